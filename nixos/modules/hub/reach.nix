# By what names this machine is known, and who may reach the services that workers and nodes need.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkOption types;
  hub = config.services.reelmill.hub;
in {
  options.services.reelmill.hub = {
    names = mkOption {
      type = types.nonEmptyListOf types.str;
      default = [config.networking.hostName];
      defaultText = lib.literalExpression "[ config.networking.hostName ]";
      example = ["hub.example.net" "10.0.0.2"];
      description = ''
        Names and addresses by which nodes, workers and operators reach this machine. They stand in the certificates of the
        hub's door and of its broker; the first one is what nodes and workers are told.
      '';
    };
    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "0.0.0.0";
      description = ''
        Address at which the queue and the store listen; `0.0.0.0` is every one of this machine's. They ask for passwords and keys
        but speak in plain text, so let them be reached only within a network that you trust, or by Tailscale. Workers on other
        machines need it to be more than loopback. The registry has `registry.listenAddress`.
      '';
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the firewall lets everybody reach the queue, the store and the registry, where these listen for others; not needed
        within Tailscale.
      '';
    };
    secretsFolder = mkOption {
      type = types.path;
      default = "/var/lib/reelmill-hub/secrets";
      readOnly = true;
      internal = true;
      description = "Where the secrets lie that this hub has drawn.";
    };
    servicePorts = mkOption {
      type = types.listOf types.port;
      default = [];
      internal = true;
      description = "The ports of the services that listen for other machines.";
    };
  };

  config = mkIf hub.enable {
    networking.firewall.allowedTCPPorts = mkIf hub.openFirewall hub.servicePorts;
  };
}
