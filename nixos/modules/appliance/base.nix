# What a machine without people leaves out, and how its system is kept from being written to.
#
# Read-mostly: programs and settings lie in the Nix store, which is mounted read-only; users cannot be changed on the machine;
# `/tmp` is empty after a boot; what Reelmill runs has `ProtectSystem=strict`, so that it writes in its own folders of
# `/var/lib` only. What stays writable for root is `/etc` (that activation changes) and `/var`, `/nix`, `/boot`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.sealedEtc = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether `/etc` is an overlay that cannot be written to. It needs a kernel of 6.6 or newer, which JetPack 5 and 6 do not
      have, so it is off unless asked for.
    '';
  };

  config = mkIf cfg.enable {
    # Root has no password and nobody else is there: the way in is a key, or the console of a system that was built with one.
    users.mutableUsers = mkDefault false;
    users.allowNoPasswordLogin = mkDefault true;
    services.userborn.enable = mkDefault cfg.sealedEtc;
    system.etc.overlay = mkIf cfg.sealedEtc {
      enable = true;
      mutable = false;
    };
    # Journal and leases are told apart by it, and there it cannot be written down.
    boot.kernelParams = lib.optional cfg.sealedEtc "systemd.machine_id=firmware";
    boot.tmp.cleanOnBoot = mkDefault true;

    # Nobody sits there to type a root password; a machine that goes on can be reached.
    systemd.enableEmergencyMode = mkDefault false;

    time.timeZone = mkDefault "UTC";
    documentation.enable = mkDefault false;
    documentation.nixos.enable = mkDefault false;
    documentation.man.enable = mkDefault false;
    environment.defaultPackages = mkDefault [];
    environment.stub-ld.enable = mkDefault false;
    programs.command-not-found.enable = mkDefault false;
    fonts.fontconfig.enable = mkDefault false;
    xdg = {
      autostart.enable = mkDefault false;
      icons.enable = mkDefault false;
      mime.enable = mkDefault false;
      sounds.enable = mkDefault false;
    };
    services.udisks2.enable = mkDefault false;

    # The agent asks systemd and logind, and polkit decides.
    security.polkit.enable = mkDefault true;
    security.sudo.enable = mkDefault false;
    # A core file could hold a key, and fills the disk.
    systemd.coredump.enable = mkDefault false;
  };
}
