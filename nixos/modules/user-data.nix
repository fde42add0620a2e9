# A rented machine has nobody who could plug in a stick: its join file is the user data that it was ordered with.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  cfg = config.reelmill.appliance;
  exec = "${config.services.reelmill.agent.package}/bin/reelmill-exec";
  unit = (import ../lib/unit.nix {inherit lib;}) "Service";
  given = "/run/reelmill/user-data";
  state = "/var/lib/reelmill-host";
in {
  options.reelmill.appliance.userData = {
    enable = lib.mkEnableOption ''
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
        serviceConfig.ExecStart = [
          "${exec} user-data --url ${cfg.userData.url} --to ${given} --state ${state}"
          "${exec} first-boot --from ${given} --state ${state}"
        ];
      }
    ];
  };
}
