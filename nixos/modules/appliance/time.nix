# The time: commands expire and certificates begin, so a node that does not know it does nothing.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.timeServers = mkOption {
    type = types.listOf types.str;
    default = [];
    example = ["ntp.example.net"];
    description = "Who is asked for the time, besides those that DHCP names. Default: the servers of NixOS' pool.";
  };

  config = mkIf cfg.enable {
    services.timesyncd.enable = mkDefault true;
    networking.timeServers = mkIf (cfg.timeServers != []) cfg.timeServers;
  };
}
