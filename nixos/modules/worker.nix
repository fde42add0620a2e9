# The workers of a node. Each is a unit of its own; what the unit is held to lies beside the program.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mapAttrs' mkIf mkMerge nameValuePair;
  cfg = config.services.reelmill.worker;
  instances = import ../lib/instances.nix {inherit lib;} cfg;
  credentials = import ../lib/credentials.nix {inherit lib;};
  unit = import ../lib/unit.nix {inherit lib;};
  made = import ../lib/worker-settings.nix {inherit lib pkgs cfg instances;};
  units = ../../worker/units;
  program = "${lib.getExe' cfg.package "reelmill-worker"}";

  service = name: instance:
    mkMerge [
      (unit "Service" (units + "/reelmill-worker.service"))
      (instances.follower name)
      {
        path = [cfg.package];
        startAt = mkIf instance.batch instance.startAt;
        serviceConfig = {
          ExecStart = "${program} --config ${(made name).checked}${lib.optionalString instance.batch " --drain"}";
          LoadCredential = (credentials "" instance).load;
          TimeoutStopSec = "${toString (made name).stop}s";
          CPUQuota = mkIf (instance.cpuQuota != null) instance.cpuQuota;
          MemoryMax = mkIf (instance.memoryMax != null) instance.memoryMax;
          ReadWritePaths = (made name).writes;
        };
      }
      (mkIf instance.batch {
        serviceConfig.Restart = "no";
        wantedBy = lib.mkForce [];
      })
      # Commands change the settings of the node's own worker alone.
      (mkIf (name != "default") {
        serviceConfig.EnvironmentFile = ["-/var/lib/reelmill-host/worker.env"];
        serviceConfig.CacheDirectory = instances.cache name;
      })
    ];
  native = lib.filterAttrs (_: i: !i.container.enable) instances.on;
in {
  imports = [./worker-options.nix ./worker-container.nix ./worker-commands.nix];

  config = mkIf (instances.on != {}) {
    assertions =
      [
        {
          assertion = instances.fits;
          message = "services.reelmill.worker.instances: together they would run ${toString instances.total} encoder sessions at once, and services.reelmill.worker.node.concurrency is ${toString cfg.node.concurrency}; each needs at least one of these";
        }
        {
          assertion = instances.on ? default && !instances.on.default.batch;
          message = "services.reelmill.worker.instances: one that is called `default` and is no batch is needed; the agent's commands speak of it, and the others follow it";
        }
      ]
      ++ lib.concatLists (lib.mapAttrsToList (name: i: let
        at = "services.reelmill.worker.instances.${name}";
      in
        credentials.noneInStore "${at}.settings" (lib.recursiveUpdate cfg.settings i.settings)
        ++ [
          {
            assertion = i.startAt == [] || i.batch;
            message = "${at}.startAt is for a batch; set ${at}.batch";
          }
          {
            assertion = i.gpuMemoryMiB == null || i.gpuMemoryMiB >= i.gpuMemoryPerSessionMiB;
            message = "${at}.gpuMemoryMiB is less than one encoder session needs (gpuMemoryPerSessionMiB)";
          }
          {
            assertion = builtins.match "[A-Za-z0-9_-]+" name != null;
            message = "${at}: the name becomes part of a unit's name; use letters, digits, - and _";
          }
        ])
      instances.on);

    environment.etc."reelmill/worker.toml" = mkIf (instances.on ? default) {source = (made "default").checked;};
    environment.systemPackages = [cfg.package];

    users.users.reelmill-worker = {
      isSystemUser = true;
      group = "reelmill-worker";
      description = "Reelmill transcode worker";
      home = "/var/lib/reelmill-worker";
      extraGroups = ["video" "render"];
    };
    users.groups.reelmill-worker = {};

    systemd.services = mapAttrs' (name: i: nameValuePair (instances.unit name) (service name i)) native;
    systemd.slices.reelmill-workers = mkMerge [
      (unit "Slice" (units + "/reelmill-workers.slice"))
      {
        sliceConfig = {
          CPUQuota = mkIf (cfg.node.cpuQuota != null) cfg.node.cpuQuota;
          MemoryMax = mkIf (cfg.node.memoryMax != null) cfg.node.memoryMax;
        };
      }
    ];
  };
}
