# The network: systemd-networkd, DHCP on every cable, and names by systemd-resolved. What a join file says of the network is
# written before this begins; see first-boot.nix.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf;
in {
  config = mkIf config.reelmill.appliance.enable {
    networking.useNetworkd = mkDefault true;
    networking.useDHCP = mkDefault false;
    systemd.network = {
      enable = mkDefault true;
      # After the join file's `10-reelmill-join`, of which the first that fits counts.
      networks."80-reelmill-cable" = {
        matchConfig = {
          Type = "ether";
          Kind = "!*";
        };
        networkConfig = {
          DHCP = mkDefault "yes";
          IPv6AcceptRA = mkDefault true;
          LinkLocalAddressing = mkDefault "ipv6";
          MulticastDNS = mkDefault false;
        };
        # A cable that is not there yet must not take the address away.
        linkConfig.RequiredForOnline = mkDefault "routable";
        dhcpV4Config = {
          UseNTP = mkDefault true;
          # The name is the join file's or the configuration's. One that comes by DHCP would have systemd-hostnamed set the
          # configuration's anew.
          UseHostname = mkDefault false;
        };
        dhcpV6Config.UseHostname = mkDefault false;
      };
      # One network is enough, and none must not hold up the boot.
      wait-online = {
        anyInterface = mkDefault true;
        timeout = mkDefault 30;
      };
    };
    services.resolved = {
      enable = mkDefault true;
      # Anybody in the network can answer that.
      settings.Resolve.LLMNR = mkDefault "no";
    };
  };
}
