# The hub: the job API, its page, and the farm's register of nodes.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf mkMerge;
  cfg = config.services.reelmill.hub;
  unit = import ../../lib/unit.nix {inherit lib;};
  toml = import ../../lib/settings.nix {inherit lib pkgs;};
  credentials = import ../../lib/credentials.nix {inherit lib;};

  settings = toml {
    name = "hub";
    inherit (cfg) settings package;
    program = "reelmill-hub";
  };
  given = credentials "reelmill-hub.service" cfg;
in {
  imports = [./program-options.nix];

  config = mkIf cfg.enable {
    assertions = credentials.noneInStore "services.reelmill.hub.settings" cfg.settings;

    services.reelmill.hub.settings = given.settings;

    # Operators on this machine give it to `reelmill-hub token` and `reelmill-hub node`.
    environment.etc."reelmill/hub.toml".source = settings.checked;
    environment.systemPackages = [cfg.package];

    users.users.reelmill-hub = {
      isSystemUser = true;
      group = "reelmill-hub";
      description = "Reelmill hub";
      home = "/var/lib/reelmill-hub";
    };
    users.groups.reelmill-hub = {};

    systemd.services.reelmill-hub = mkMerge [
      (unit "Service" ../../../hub/units/reelmill-hub.service)
      {
        serviceConfig.ExecStart = "${lib.getExe' cfg.package "reelmill-hub"} serve --config ${settings.checked}";
        serviceConfig.LoadCredential = given.load;
        serviceConfig.ReadWritePaths = mkIf (cfg.settings.data != "/var/lib/reelmill-hub") [cfg.settings.data];
      }
    ];
  };
}
