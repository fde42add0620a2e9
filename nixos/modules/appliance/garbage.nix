# Garbage collection that keeps what the machine may have to go back to. nix-collect-garbage alone knows nothing of which
# system was the last good one.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.garbage = {
    enable = lib.mkEnableOption "taking away old generations of the system" // {default = true;};
    keep = mkOption {
      type = types.ints.positive;
      default = 3;
      description = ''
        How many of the newest generations stay, besides the present one, the booted one, the last one that was found well,
        and those of a change that is not over.
      '';
    };
    dates = mkOption {
      type = types.str;
      default = "daily";
      example = "Sun 03:00";
      description = "When, as systemd's OnCalendar= has it; up to an hour later, by chance.";
    };
  };

  config = mkIf (cfg.enable && cfg.garbage.enable) {
    systemd.services.reelmill-tidy = lib.mkMerge [
      ((import ../../lib/unit.nix {inherit lib;}) "Service" ../../../agent/units/reelmill-tidy.service)
      {
        path = [config.nix.package];
        serviceConfig.ExecStart = "${config.services.reelmill.agent.package}/bin/reelmill-exec tidy --keep ${toString cfg.garbage.keep}";
      }
    ];
    systemd.timers.reelmill-tidy = {
      wantedBy = ["timers.target"];
      timerConfig = {
        OnCalendar = mkDefault cfg.garbage.dates;
        RandomizedDelaySec = mkDefault "1h";
        Persistent = mkDefault true;
      };
    };
  };
}
