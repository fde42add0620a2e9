# NVIDIA's own exporter of GPU metrics, for servers: what the agent does not tell, such as bus traffic and memory errors. Not
# tried on a GPU yet.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkOption mkPackageOption types;
  cfg = config.reelmill.hardware.dcgm;

  # What it counts by default, but for the profiling fields, which need the capability to administer the system.
  counters = pkgs.writeText "dcgm-counters.csv" (lib.concatMapStrings ({
    name,
    kind,
    help,
  }: "${name}, ${kind}, ${help}\n")
  cfg.counters);
  field = kind: name: help: {inherit name kind help;};
  gauge = field "gauge";
  counter = field "counter";
in {
  options.reelmill.hardware.dcgm = {
    enable = mkEnableOption "NVIDIA's DCGM exporter; the agent tells the common metrics without it";
    package = mkPackageOption pkgs "prometheus-dcgm-exporter" {};
    listen = mkOption {
      type = types.str;
      default = "127.0.0.1:9400";
      description = ''
        Where it listens. It asks nobody who they are: on another address than loopback, the firewall must let in the hub alone.
      '';
    };
    counters = mkOption {
      type = types.listOf (types.submodule {
        options = {
          name = mkOption {
            type = types.strMatching "DCGM_(FI|EXP)_[A-Z0-9_]+";
            description = "The field's name, which is the metric's too.";
          };
          kind = mkOption {
            type = types.enum ["gauge" "counter" "label"];
            description = "The metric's type.";
          };
          help = mkOption {
            type = types.strMatching "[^,\n]+";
            description = "What it says, for people; without a comma.";
          };
        };
      });
      default = [
        (gauge "DCGM_FI_DEV_SM_CLOCK" "SM clock frequency (in MHz)")
        (gauge "DCGM_FI_DEV_MEM_CLOCK" "Memory clock frequency (in MHz)")
        (gauge "DCGM_FI_DEV_MEMORY_TEMP" "Memory temperature (in C)")
        (gauge "DCGM_FI_DEV_GPU_TEMP" "GPU temperature (in C)")
        (gauge "DCGM_FI_DEV_POWER_USAGE" "Power draw (in W)")
        (counter "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" "Energy since boot (in mJ)")
        (counter "DCGM_FI_DEV_PCIE_REPLAY_COUNTER" "PCIe retries")
        (gauge "DCGM_FI_DEV_GPU_UTIL" "GPU utilization (in %)")
        (gauge "DCGM_FI_DEV_MEM_COPY_UTIL" "Memory utilization (in %)")
        (gauge "DCGM_FI_DEV_ENC_UTIL" "Encoder utilization (in %)")
        (gauge "DCGM_FI_DEV_DEC_UTIL" "Decoder utilization (in %)")
        (gauge "DCGM_FI_DEV_XID_ERRORS" "Number of the last XID error")
        (gauge "DCGM_FI_DEV_FB_FREE" "Frame buffer memory free (in MiB)")
        (gauge "DCGM_FI_DEV_FB_USED" "Frame buffer memory used (in MiB)")
        (counter "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS" "Rows remapped for errors that were not corrected")
        (counter "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS" "Rows remapped for errors that were corrected")
        (gauge "DCGM_FI_DEV_ROW_REMAP_FAILURE" "Whether remapping of rows has failed")
        (field "label" "DCGM_FI_DRIVER_VERSION" "Driver version")
      ];
      defaultText = lib.literalMD "NVIDIA's default fields but those for profiling";
      description = "What is told.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.reelmill-dcgm = {
      description = "NVIDIA DCGM exporter";
      wantedBy = ["multi-user.target"];
      after = ["network.target"];
      # The driver's libraries, where NixOS puts them.
      environment.LD_LIBRARY_PATH = "/run/opengl-driver/lib";
      serviceConfig = {
        ExecStart = lib.escapeShellArgs [(lib.getExe cfg.package) "--address" cfg.listen "--collectors" "${counters}"];
        Restart = "on-failure";
        RestartSec = "30s";
        DynamicUser = true;
        UMask = "0077";
        MemoryMax = "512M";
        TasksMax = 128;
        OOMScoreAdjust = 500;
        NoNewPrivileges = true;
        CapabilityBoundingSet = "";
        AmbientCapabilities = "";
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateMounts = true;
        ProtectClock = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectControlGroups = true;
        ProtectProc = "invisible";
        RemoveIPC = true;
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        RestrictAddressFamilies = ["AF_UNIX" "AF_INET" "AF_INET6" "AF_NETLINK"];
        LockPersonality = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = ["@system-service" "~@privileged @keyring"];
        SystemCallErrorNumber = "EPERM";
        DevicePolicy = "closed";
        DeviceAllow = ["char-nvidia rw" "char-nvidia-frontend rw" "char-nvidiactl rw" "char-nvidia-uvm rw"];
      };
    };
  };
}
