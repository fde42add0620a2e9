# The fleet's MQTT broker: what it is, whose, and what the hub is told of it. The brokers themselves are in `broker-*.nix`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge mkOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  hub = config.services.reelmill.hub;
  cfg = hub.broker;
  credentials = "/run/credentials/reelmill-hub.service";
in {
  options.services.reelmill.hub.broker = {
    kind = mkOption {
      type = types.enum ["none" "mosquitto" "embedded" "external"];
      default = "none";
      description = ''
        The fleet's MQTT broker. `mosquitto` runs one beside the hub, with certificates of the farm's own authority: the hub's
        appliance has that. `embedded` is the hub's own small one, which needs no other program. `external` is yours. With
        `none` the hub knows no nodes.
      '';
    };
    nodePort = mkOption {
      type = types.port;
      default = 8883;
      description = "The port of the listener for nodes; of an external broker too, as the hub tells nodes of it.";
    };
    operatorPort = mkOption {
      type = types.port;
      default = 8884;
      description = "The port of the listener for the hub and for operators. The embedded broker has one port for all: `nodePort`.";
    };
    enrolPort = mkOption {
      type = types.port;
      default = 7443;
      description = "The port of the hub's door, where nodes ask to be let in.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether other machines may reach these ports. Whoever has no certificate gets no further than the greeting.";
    };
    host = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "broker.example.net";
      description = "An external broker's host, as its certificate names it and as nodes reach it.";
    };
    caFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "PEM file with who vouches for an external broker.";
    };
    certFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "PEM file with the hub's certificate at an external broker.";
    };
    keyFile = mkSecretFile "the key of the hub's certificate at an external broker, PEM";
  };

  config = mkIf hub.enable (mkMerge [
    (mkIf (cfg.kind != "none") {
      services.reelmill.hub.settings.fleet = {
        names = mkDefault hub.names;
        enrol = mkDefault "0.0.0.0:${toString cfg.enrolPort}";
      };
      networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [cfg.enrolPort];
    })
    (mkIf (cfg.kind == "embedded") {
      services.reelmill.hub.settings.fleet.listen = mkDefault "0.0.0.0:${toString cfg.nodePort}";
      networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [cfg.nodePort];
    })
    (mkIf (cfg.kind == "external") {
      assertions = [
        {
          assertion = cfg.host != null && cfg.caFile != null && cfg.certFile != null && cfg.keyFile != null;
          message = "services.reelmill.hub.broker: an external broker needs host, caFile, certFile and keyFile.";
        }
      ];
      services.reelmill.hub.settings.fleet = lib.mapAttrs (_: mkDefault) (lib.filterAttrs (_: value: value != null) {
        broker = cfg.host;
        port = cfg.operatorPort;
        node_port = cfg.nodePort;
        ca = cfg.caFile;
        cert = cfg.certFile;
        key = "${credentials}/fleet-key";
      });
      systemd.services.reelmill-hub.serviceConfig.LoadCredential = lib.optional (cfg.keyFile != null) "fleet-key:${cfg.keyFile}";
    })
  ]);
}
