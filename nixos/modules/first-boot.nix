# What a person gave the machine before it was switched on: its name, its farm, its network, keys and the worker's settings.
# `reelmill-exec first-boot` takes it from the boot partition or from a stick labelled REELMILL, and puts it into force at every
# boot, before anything that needs it.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  cfg = config.reelmill.appliance;
  exec = "${config.services.reelmill.agent.package}/bin/reelmill-exec";
  unit = (import ../lib/unit.nix {inherit lib;}) "Service";
  state = "/var/lib/reelmill-host";
in {
  options.reelmill.appliance.firstBoot = {
    enable =
      lib.mkEnableOption "taking the files of the first boot"
      // {
        default = cfg.enable;
        defaultText = lib.literalExpression "config.reelmill.appliance.enable";
      };
    stick = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a stick labelled `REELMILL` is read too. Whoever can plug one in while the machine belongs to no farm decides
        whose it is; once it has a join file, sticks are not read any more.
      '';
    };
  };

  config = mkIf cfg.firstBoot.enable (mkMerge [
    {
      systemd.services.reelmill-first-boot = mkMerge [
        (unit ../../agent/units/reelmill-first-boot.service)
        {serviceConfig.ExecStart = "${exec} first-boot --from /boot/reelmill --state ${state}";}
      ];
      # NixOS sets the name of its configuration whenever a system comes into force; the name that was given stays.
      system.activationScripts.reelmill-host-name = ''
        if [ -e ${state} ]; then
          ${exec} first-boot --state ${state} || echo "the name of this machine is not what it was given" >&2
        fi
      '';
    }
    (mkIf cfg.firstBoot.stick {
      systemd.services.reelmill-stick = mkMerge [
        (unit ../../agent/units/reelmill-stick.service)
        {
          serviceConfig = {
            ExecStart = "${exec} first-boot --stick --from /run/reelmill/stick/reelmill --from /run/reelmill/stick --state ${state}";
            ExecStartPost = "-${config.systemd.package}/bin/networkctl reload";
          };
        }
      ];
      systemd.mounts = [
        {
          description = "Reelmill: the stick of the first boot";
          what = "/dev/disk/by-label/REELMILL";
          where = "/run/reelmill/stick";
          type = "vfat";
          options = "umask=0077,noexec,nosuid,nodev";
          unitConfig.StopWhenUnneeded = true;
        }
      ];
      services.udev.extraRules = ''
        SUBSYSTEM=="block", ACTION!="remove", ENV{ID_FS_TYPE}=="vfat", ENV{ID_FS_LABEL}=="REELMILL", TAG+="systemd", ENV{SYSTEMD_WANTS}+="reelmill-stick.service"
      '';
    })
  ]);
}
