# A way to the machine through other people's networks. The farm works without it.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  cfg = config.reelmill.appliance;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
in {
  options.reelmill.appliance.tailscale = {
    enable = lib.mkEnableOption "Tailscale, as a way to this machine";
    authKeyFile = mkSecretFile "the key that lets the machine into the tailnet";
  };

  config = mkIf (cfg.enable && cfg.tailscale.enable) {
    services.tailscale = {
      enable = mkDefault true;
      authKeyFile = mkDefault cfg.tailscale.authKeyFile;
      # Routes of others are not taken, and names of others not asked, unless somebody wants that.
      extraUpFlags = mkDefault ["--accept-routes=false" "--accept-dns=false"];
    };
    # What comes from there reaches the same as others, whatever is said of where those come from.
    networking.firewall.interfaces.${config.services.tailscale.interfaceName}.allowedTCPPorts =
      cfg.firewall.ports ++ cfg.firewall.privatePorts ++ config.services.openssh.ports;
  };
}
