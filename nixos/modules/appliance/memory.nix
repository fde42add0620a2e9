# Memory: a compressed swap instead of one that wears out a card, and an early end for who takes too much.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf;
in {
  config = mkIf config.reelmill.appliance.enable {
    zramSwap = {
      enable = mkDefault true;
      # Percent of memory. Frames do not compress; what compresses is the rest.
      memoryPercent = mkDefault 25;
    };
    boot.kernel.sysctl = {
      "vm.swappiness" = lib.mkOverride 900 100;
      # Zram reads no neighbours.
      "vm.page-cluster" = lib.mkOverride 900 0;
    };
    # It would end a whole worker at some pressure; the worker limits each of its media programs instead.
    systemd.oomd.enable = mkDefault false;
  };
}
