# Tailscale, for nodes and workers that are elsewhere: the services listen for everybody, and the firewall lets only the tailnet
# in. The farm works without it.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkEnableOption mkIf;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  hub = config.services.reelmill.hub;
  cfg = hub.tailscale;
in {
  options.services.reelmill.hub.tailscale = {
    enable = mkEnableOption "Tailscale on the hub: the queue, the store and the broker can then be reached by the tailnet";
    authKeyFile = mkSecretFile "the key that lets this machine into the tailnet, once";
  };

  config = mkIf (hub.enable && cfg.enable) {
    assertions = [
      {
        assertion = cfg.authKeyFile != null;
        message = "services.reelmill.hub.tailscale.authKeyFile is not set: an appliance cannot be asked to log in.";
      }
    ];
    services.tailscale = {
      enable = true;
      inherit (cfg) authKeyFile;
      openFirewall = mkDefault true;
    };
    services.reelmill.hub.listenAddress = mkDefault "0.0.0.0";
    networking.firewall.interfaces.${config.services.tailscale.interfaceName}.allowedTCPPorts =
      hub.servicePorts
      ++ lib.optionals (hub.broker.kind != "none") [hub.broker.enrolPort hub.broker.nodePort hub.broker.operatorPort];
  };
}
