# The hub: what nodes ask, and the services around it. Each may be `"external"` instead: then it is somebody else's, and its address
# is given. docs/operate/services.md has them all.
{lib, ...}: let
  inherit (lib) mkDefault;
in {
  system.stateVersion = mkDefault "26.05";
  reelmill.appliance = {
    enable = true;
    roles = ["hub"];
  };
  services.reelmill.hub = {
    enable = true;
    # Workers are on other machines; the firewall lets in those of private networks.
    listenAddress = mkDefault "0.0.0.0";
    store.kind = mkDefault "garage";
    queue.kind = mkDefault "redis";
    broker.kind = mkDefault "mosquitto";
    database.kind = mkDefault "sqlite";
    monitoring.enable = mkDefault true;
    # Reelmill needs none of these; they are for those who want them.
    secrets.kind = mkDefault "none";
    registry.kind = mkDefault "none";
    web.kind = mkDefault "none";
  };
}
