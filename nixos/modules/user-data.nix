# A rented machine has nobody who could plug in a stick: its join file is the user data that it was ordered with, which its provider
# tells at an address or has on a disk.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkEnableOption mkIf mkMerge mkOption types;
  cfg = config.reelmill.appliance;
  exec = "${config.services.reelmill.agent.package}/bin/reelmill-exec";
  unit = (import ../lib/unit.nix {inherit lib;}) "Service";
  given = "/run/reelmill/user-data";
  state = "/var/lib/reelmill-host";
  # NoCloud's label, as small and as large, and OpenStack's.
  labels = ["cidata" "CIDATA" "config-2"];
  # A name that units need not spell in another way.
  place = lib.replaceStrings ["-"] [""];
  where = label: "/run/reelmill/disk/${place label}";
  mountOf = label: "run-reelmill-disk-${place label}.mount";
in {
  options.reelmill.appliance.userData = {
    enable = mkEnableOption ''
      taking the join file from the user data of a rented machine. Only for those: elsewhere, anybody in the network could
      answer at that address, and would own the machine
    '';
    url = mkOption {
      type = types.str;
      default = "http://169.254.169.254";
      description = "Where the provider tells a machine its user data, as EC2 and OpenStack do.";
    };
  };

  config = mkIf cfg.userData.enable {
    reelmill.appliance.firstBoot.enable = lib.mkDefault true;
    systemd.services.reelmill-user-data = mkMerge [
      (unit ../../agent/units/reelmill-user-data.service)
      {
        after = map mountOf labels;
        serviceConfig.ExecStart = [
          "${exec} user-data ${toString (map (label: "--disk ${where label}") labels)} --url ${cfg.userData.url} --to ${given} --state ${state}"
          "${exec} first-boot --from ${given} --state ${state}"
        ];
      }
    ];
    # A disk that is there when the machine starts is mounted long before there is a network.
    services.udev.extraRules =
      lib.concatMapStrings (label: ''
        SUBSYSTEM=="block", ACTION!="remove", ENV{ID_FS_TYPE}=="iso9660|vfat", ENV{ID_FS_LABEL}=="${label}", TAG+="systemd", ENV{SYSTEMD_WANTS}+="${mountOf label}"
      '')
      labels;
    systemd.mounts =
      map (label: {
        description = "Reelmill: the disk with the user data";
        what = "/dev/disk/by-label/${label}";
        where = where label;
        type = "auto";
        options = "ro,noexec,nosuid,nodev";
      })
      labels;
  };
}
