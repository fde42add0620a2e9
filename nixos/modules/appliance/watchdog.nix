# A machine that hangs comes back by itself.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  # NixOS has defaults for some of them.
  ours = lib.mkOverride 900;
in {
  config = mkIf config.reelmill.appliance.enable {
    systemd.settings.Manager = {
      # The hardware restarts the machine when systemd does not answer it for so long, as after a freeze of the kernel.
      RuntimeWatchdogSec = mkDefault "30s";
      RebootWatchdogSec = mkDefault "5min";
      KExecWatchdogSec = mkDefault "5min";
      # What does not end within that is killed, so that a reboot that was commanded takes place.
      DefaultTimeoutStopSec = mkDefault "90s";
    };
    # A system that does not find its disk restarts too: a trial boot ends so, and the next one is the old system.
    boot.kernelParams = ["panic=10" "boot.panic_on_fail"];
    boot.kernel.sysctl = {
      # Seconds until the reboot.
      "kernel.panic" = ours 10;
      # After an oops, nothing that the kernel says can be believed.
      "kernel.panic_on_oops" = ours 1;
      "kernel.softlockup_panic" = ours 1;
      "kernel.hung_task_timeout_secs" = ours 300;
      # A driver that waits for a slow disk is told, and ends nothing: media files are large.
      "kernel.hung_task_panic" = ours 0;
      # The keys of the console that end processes and dump memory are not for passers-by.
      "kernel.sysrq" = ours 0;
      "kernel.dmesg_restrict" = ours 1;
      "kernel.kptr_restrict" = ours 2;
    };
    # What the last kernel said before it died is in the journal after the boot.
    boot.kernelModules = lib.optional pkgs.stdenv.hostPlatform.isx86_64 "efi_pstore";
    # A machine that sleeps does not work.
    systemd.sleep.settings.Sleep = {
      AllowSuspend = mkDefault false;
      AllowHibernation = mkDefault false;
    };
  };
}
