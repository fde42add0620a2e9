# What the agent's commands need of the worker: batches, and the check of settings before they are in force.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf mkMerge;
  agent = config.services.reelmill.agent;
  cfg = config.services.reelmill.worker;
  instances = import ../lib/instances.nix {inherit lib;} cfg;
  credentials = import ../lib/credentials.nix {inherit lib;};
  unit = import ../lib/unit.nix {inherit lib;};
  settings = (import ../lib/worker-settings.nix {inherit lib pkgs cfg instances;} "default").checked;
  worker = "${lib.getExe' cfg.package "reelmill-worker"} --config ${settings}";
  program = lib.getExe' agent.package "reelmill-agent";
  units = ../../agent/units;

  # Credentials have the unit's own name in their path, so the files' references hold in one unit only; the environment's
  # win over them.
  own = name: let
    values = {
      QUEUE_URL = "queueUrlFile";
      AWS_ACCESS_KEY_ID = "accessKeyFile";
      AWS_SECRET_ACCESS_KEY = "secretKeyFile";
    };
    set = lib.filterAttrs (_: option: cfg.instances.default.${option} != null) values;
  in {
    environment = lib.mapAttrs (_: option: "file:/run/credentials/${name}.service/${credentials.kinds.${option}.credential}") set;
    serviceConfig.LoadCredential = (credentials "" cfg.instances.default).load;
  };
in {
  config = mkIf (agent.enable && instances.on ? default) {
    systemd.services = {
      reelmill-exec-check = mkMerge [
        (unit "Service" (units + "/reelmill-exec-check.service"))
        (own "reelmill-exec-check")
        {
          path = [cfg.package];
          serviceConfig.ExecStart = "${worker} check-config";
        }
      ];
      "reelmill-batch@" = mkMerge [
        (unit "Service" (units + "/reelmill-batch@.service"))
        (own "reelmill-batch@%i")
        {
          path = [cfg.package];
          serviceConfig.ExecStart = "${program} batch %i -- ${worker} --drain";
        }
      ];
      "reelmill-examine@" = mkMerge [
        (unit "Service" (units + "/reelmill-examine@.service"))
        (own "reelmill-examine@%i")
        {
          path = [cfg.package];
          serviceConfig.ExecStart = "${program} examine %i -- ${worker} doctor --json --encoders";
        }
      ];
    };
  };
}
