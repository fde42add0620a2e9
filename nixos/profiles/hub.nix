# The hub: what nodes ask, and the services around it. Each `kind` may be `"external"` instead, with the address of one that is
# there already.
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
    store.kind = mkDefault "garage";
    queue.kind = mkDefault "redis";
    database.kind = mkDefault "postgresql";
    secrets.kind = mkDefault "openbao";
    broker.kind = mkDefault "mosquitto";
    registry.kind = mkDefault "distribution";
    monitoring.enable = mkDefault true;
    backup.enable = mkDefault true;
  };
}
