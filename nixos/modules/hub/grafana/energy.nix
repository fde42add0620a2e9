# What the work costs in power.
{
  dashboard,
  curve,
  stack,
  number,
  bars,
  ...
}: let
  of = expr: legend: {inherit expr legend;};
  # One node's draw, whether a Jetson's board or a server's GPUs.
  watts = ''DCGM_FI_DEV_POWER_USAGE{job="reelmill-node"}'';
  # Watts by seconds of sources per second are joules for a second of source; sixty of them make a minute, 3600 a watt hour.
  perMinute = by: ''
    sum ${by} (avg_over_time(${watts}[1h]))
    / (sum ${by} (rate(reelmill_worker_published_media_seconds_total[1h])) > 0) * 60 / 3600'';
in
  dashboard {
    uid = "reelmill-energy";
    title = "Energy";
    description = "What the work costs in power.";
    rows = [
      [
        (number {
          title = "Power";
          description = "What all nodes draw now.";
          unit = "watt";
          queries = [(of "sum(${watts})" "")];
        })
        (number {
          title = "Energy per minute of source";
          description = "What a published minute of source took, within an hour: all of its renditions, and what nodes draw when they wait.";
          unit = "watth";
          queries = [(of (perMinute "") "")];
        })
        (number {
          title = "Published";
          description = "Hours of sources published within a day.";
          unit = "h";
          queries = [(of "sum(increase(reelmill_worker_published_media_seconds_total[1d])) / 3600" "")];
        })
      ]
      [
        (stack {
          title = "Power of each node";
          description = "What a Jetson's board or a server's GPUs draw.";
          unit = "watt";
          queries = [(of "sum by (node) (${watts})" "{{node}}")];
        })
        (curve {
          title = "Energy per minute of source, by node";
          description = "What a published minute of source took on each node, within an hour.";
          unit = "watth";
          queries = [(of (perMinute "by (node)") "{{node}}")];
        })
      ]
      [
        (bars {
          title = "Energy of a day";
          description = "What each node took within a day.";
          unit = "watth";
          queries = [(of "sum by (node) (sum_over_time(${watts}[1d:1m])) / 60" "{{node}}")];
        })
        (curve {
          title = "Rails";
          description = "Where a Jetson's power goes.";
          unit = "watt";
          queries = [(of "sum by (node, rail) (tegra_rail_power_watts)" "{{node}} {{rail}}")];
        })
      ]
    ];
  }
