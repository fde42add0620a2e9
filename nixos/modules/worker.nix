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
  settings = name: (import ../lib/worker-settings.nix {inherit lib pkgs cfg instances;} name).checked;
  units = ../../worker/units;
  program = "${lib.getExe' cfg.package "reelmill-worker"}";

  # One that the node's own unit stops and restarts with itself: so do drains, reboots and restarts by command, which speak of
  # that one only. It is ended first, so who waits for the node's own waits for all.
  follower = name: instance:
    mkIf (name != "default") {
      partOf = ["reelmill-worker.service"];
      after = ["reelmill-worker.service"];
      wantedBy = lib.mkForce (lib.optional (!instance.batch) "reelmill-worker.service");
    };

  # The deadline for a drain, and half a minute to hand back what is left.
  said = instance: lib.recursiveUpdate cfg.settings instance.settings;
  stop = instance: lib.attrByPath ["drain" "deadline_seconds"] 60 (said instance) + 30;
  writes = instance:
    lib.attrByPath ["files" "write"] [] (said instance)
    ++ lib.optional ((said instance).media.spool or null != null) (said instance).media.spool;

  service = name: instance:
    mkMerge [
      (unit "Service" (units + "/reelmill-worker.service"))
      (follower name instance)
      {
        path = [cfg.package];
        startAt = mkIf instance.batch instance.startAt;
        serviceConfig = {
          ExecStart = "${program} --config ${settings name}${lib.optionalString instance.batch " --drain"}";
          LoadCredential = (credentials "" instance).load;
          TimeoutStopSec = "${toString (stop instance)}s";
          CPUQuota = mkIf (instance.cpuQuota != null) instance.cpuQuota;
          MemoryMax = mkIf (instance.memoryMax != null) instance.memoryMax;
          ReadWritePaths = writes instance;
        };
      }
      (mkIf instance.batch {
        serviceConfig.Restart = "no";
        wantedBy = lib.mkForce [];
      })
      # Commands change the settings of the node's own worker alone.
      (mkIf (name != "default") {
        serviceConfig.EnvironmentFile = ["-/var/lib/reelmill-host/worker.env"];
        serviceConfig.CacheDirectory = "reelmill-worker-${name}";
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
        credentials.noneInStore "${at}.settings" (said i)
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

    environment.etc."reelmill/worker.toml" = mkIf (instances.on ? default) {source = settings "default";};
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
