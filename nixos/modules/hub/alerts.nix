# What somebody is told of: the alerts, as data. Each has a page in docs/operate/alerts and a test that makes its cause.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkOption types;
  cfg = config.services.reelmill.hub.monitoring;

  alert = types.submodule {
    options = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether anybody is told.";
      };
      expr = mkOption {
        type = types.str;
        description = "The cause, in PromQL; `@window@` and `@age@` stand for the times below.";
      };
      for = mkOption {
        type = types.ints.unsigned;
        default = 0;
        description = "Seconds for which the cause must last.";
      };
      window = mkOption {
        type = types.ints.positive;
        default = 300;
        description = "Seconds that are looked back at: `@window@`.";
      };
      age = mkOption {
        type = types.ints.positive;
        default = 300;
        description = "Seconds after which something is old: `@age@`.";
      };
      severity = mkOption {
        type = types.enum ["critical" "warning"];
        description = "`critical` where work stops or is about to, `warning` where it will if nobody looks.";
      };
      summary = mkOption {
        type = types.str;
        description = "One line for the message's subject, with Prometheus' templates.";
      };
      description = mkOption {
        type = types.str;
        description = "What is so and why it matters, with Prometheus' templates; `@window@`, `@age@` and `@since@` (the age and what it must last) are seconds.";
      };
    };
  };

  # What a worker gives back or is called off from is no failure.
  failed = ''outcome!~"published|canceled|busy|no_capability"'';
  tried = ''outcome!~"canceled|busy|no_capability"'';
  # File systems that are read only, or live in memory, fill up by design.
  ofHub = ''job="reelmill-host",fstype!~"tmpfs|ramfs|squashfs|erofs|overlay|fuse.*"'';
in {
  options.services.reelmill.hub.monitoring.alerts = mkOption {
    type = types.attrsOf alert;
    description = ''
      The alerts, by name. Those of Reelmill can be changed one by one, e.g.
      `services.reelmill.hub.monitoring.alerts.QueueBackingUp.age = 7200;`, and yours added.
    '';
  };

  config.services.reelmill.hub.monitoring.alerts = lib.mapAttrs (_: lib.mapAttrs (_: lib.mkDefault)) {
    NodeStalled = {
      expr = ''reelmill_worker_tasks_running > 0 unless increase(reelmill_worker_frames_total[@window@]) > 0'';
      for = 300;
      window = 900;
      severity = "critical";
      summary = "{{ $labels.node }} has tasks and encodes nothing";
      description = "The worker on {{ $labels.node }} has {{ $value }} tasks in work, and not one frame was encoded in {{ humanizeDuration @window@ }}.";
    };
    NodeSilent = {
      expr = ''
        time() - reelmill_hub_node_last_seen_timestamp_seconds > @age@
        or (reelmill_hub_node_up == 0 unless on (node) reelmill_hub_node_last_seen_timestamp_seconds)'';
      for = 60;
      age = 300;
      severity = "critical";
      summary = "{{ $labels.node }} says nothing";
      description = "The hub has heard nothing of {{ $labels.node }} for more than {{ humanizeDuration @age@ }}: it is off, cut off, or its agent is dead.";
    };
    QueueBackingUp = {
      expr = ''max by (lane) (reelmill_hub_lane_oldest_seconds) > @age@'';
      for = 300;
      age = 1800;
      severity = "warning";
      summary = "Tasks wait on lane {{ $labels.lane }}";
      description = "The oldest task on lane {{ $labels.lane }} has waited for {{ $value | humanizeDuration }}: too few nodes serve the lane, or none.";
    };
    SourceFailing = {
      expr = ''max by (source) (reelmill_hub_source_failures) >= 3'';
      severity = "warning";
      summary = "A source fails again and again";
      description = "{{ $value }} attempts at {{ $labels.source }} have failed within a day.";
    };
    ErrorRate = {
      expr = ''
        sum by (node) (rate(reelmill_worker_attempts_total{${failed}}[@window@]))
        / sum by (node) (rate(reelmill_worker_attempts_total{${tried}}[@window@])) > 0.2
        and sum by (node) (increase(reelmill_worker_attempts_total{${failed}}[@window@])) >= 5'';
      for = 300;
      window = 3600;
      severity = "warning";
      summary = "{{ $value | humanizePercentage }} of the attempts on {{ $labels.node }} fail";
      description = "Of the attempts on {{ $labels.node }} within {{ humanizeDuration @window@ }} {{ $value | humanizePercentage }} have failed.";
    };
    Hot = {
      expr = ''
        max by (node) (
          reelmill_node_temperature_celsius >= reelmill_node_temperature_critical_celsius - 10
          or (reelmill_node_temperature_celsius unless reelmill_node_temperature_critical_celsius) >= 90
          or DCGM_FI_DEV_GPU_TEMP >= 90
        )'';
      for = 300;
      severity = "warning";
      summary = "{{ $labels.node }} is hot";
      description = "A part of {{ $labels.node }} is at {{ $value }} °C, within 10 °C of where its clocks are cut (90 °C where it tells no limit).";
    };
    Disk = {
      expr = ''
        min by (node, mountpoint) (
          (reelmill_node_filesystem_available_bytes / reelmill_node_filesystem_size_bytes < 0.1
            and reelmill_node_filesystem_available_bytes < 40e9
            unless reelmill_node_filesystem_readonly == 1)
          or (node_filesystem_avail_bytes{${ofHub}} / node_filesystem_size_bytes{${ofHub}} < 0.1
            and node_filesystem_avail_bytes{${ofHub}} < 40e9
            unless node_filesystem_readonly{${ofHub}} == 1)
        )'';
      for = 300;
      severity = "warning";
      summary = "{{ $labels.mountpoint }} of {{ $labels.node }} is nearly full";
      description = "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on {{ $labels.node }} is free, and less than 40 GB.";
    };
    CertificateEnding = {
      expr = ''
        reelmill_hub_certificate_expiry_timestamp_seconds{kind!="authority"} - time() < 7 * 86400
        or reelmill_hub_certificate_expiry_timestamp_seconds{kind="authority"} - time() < 90 * 86400'';
      for = 300;
      severity = "critical";
      summary = "The certificate of {{ $labels.name }} ends";
      description = "The certificate of {{ $labels.name }} ({{ $labels.kind }}) ends in {{ $value | humanizeDuration }}. A node renews its own when ten days are left, so this one could not.";
    };
    BackupOld = {
      # Where nothing is backed up nothing can be old.
      enable = config.services.reelmill.hub.backup.enable;
      expr = ''
        time() - max(reelmill_backup_last_success_timestamp_seconds) > @age@
        or absent(reelmill_backup_last_success_timestamp_seconds)'';
      for = 21600;
      age = 108000;
      severity = "critical";
      summary = "The hub's backup is old";
      description = "No backup of the hub's database and keys has succeeded for {{ humanizeDuration @since@ }}.";
    };
    TargetDown = {
      expr = ''up == 0'';
      for = 300;
      severity = "warning";
      summary = "{{ $labels.job }} at {{ $labels.instance }} gives no metrics";
      description = "Prometheus cannot read the metrics of {{ $labels.job }} at {{ $labels.instance }}: all other alerts about it are blind.";
    };
  };

  # For programs that read rules of their own, and for the tests.
  config.services.reelmill.hub.monitoring.rules = import ../../lib/alerts.nix {inherit lib;} {
    inherit (cfg) alerts runbooks;
  };
}
