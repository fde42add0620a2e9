# The firewall: what nobody needs from outside is shut.
{
  config,
  lib,
  ...
}: let
  inherit (lib) concatMapStrings concatStringsSep mkDefault mkIf mkOption optionals types;
  cfg = config.reelmill.appliance;
  wall = cfg.firewall;
  inherit (config.services.reelmill) hub;
  isHub = lib.elem "hub" cfg.roles && hub.enable;
  inherit (config.services.openssh) ports;

  set = items: "{ ${concatStringsSep ", " items} }";
  # Both families have a rule of their own, if they have networks.
  allow = from: ports: let
    of = lib.partition (lib.hasInfix ":") from;
    rule = family: nets: lib.optionalString (nets != [] && ports != []) "${family} saddr ${set nets} tcp dport ${set (map toString ports)} accept\n";
  in
    rule "ip" of.wrong + rule "ip6" of.right;
in {
  options.reelmill.appliance.firewall = {
    ports = mkOption {
      type = types.listOf types.port;
      default = [];
      description = ''
        TCP ports that everybody may reach: of what speaks TLS and asks who is there. A hub adds those of its door and of the
        nodes' broker.
      '';
    };
    privatePorts = mkOption {
      type = types.listOf types.port;
      default = [];
      description = ''
        TCP ports that only {option}`reelmill.appliance.firewall.privateNetworks` may reach: of what speaks in plain text. A
        hub adds those of its queue, store and registry, where these listen for others.
      '';
    };
    privateNetworks = mkOption {
      type = types.listOf types.str;
      default = ["10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" "fc00::/7" "fe80::/10"];
      example = ["10.0.9.0/24"];
      description = "Networks whose machines are trusted with plain text: by default, all that are not the internet.";
    };
    sshFrom = mkOption {
      type = types.listOf types.str;
      default = [];
      example = ["10.0.9.0/24"];
      description = "Networks that may reach SSH. Empty: everybody may; it takes keys only.";
    };
  };

  config = mkIf cfg.enable {
    reelmill.appliance.firewall = mkIf isHub {
      ports = optionals (hub.broker.kind != "none") [hub.broker.enrolPort hub.broker.nodePort];
      privatePorts = hub.servicePorts;
    };
    networking.nftables.enable = mkDefault true;
    networking.firewall = {
      enable = mkDefault true;
      allowPing = mkDefault true;
      logRefusedConnections = mkDefault false;
      allowedTCPPorts = wall.ports ++ optionals (wall.sshFrom == []) ports;
      extraInputRules = concatMapStrings (rule: allow rule.from rule.ports) [
        {
          from = wall.privateNetworks;
          ports = wall.privatePorts;
        }
        {
          from = wall.sshFrom;
          inherit ports;
        }
      ];
    };
  };
}
