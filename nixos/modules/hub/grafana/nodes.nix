# Each node: its encoders and GPUs, how warm it is, and what is left of its memory and disks.
{
  dashboard,
  curve,
  number,
  from,
  ...
}: let
  own = ''job="reelmill-node",node=~"$node"'';
  of = expr: legend: {inherit expr legend;};
in
  dashboard {
    uid = "reelmill-nodes";
    title = "Nodes";
    description = "Encoders and GPUs, temperatures, power, memory and disks of each node.";
    byNode = true;
    rows = [
      [
        (curve {
          title = "Encoders";
          description = "How busy the video encoders are; of a Jetson, the busiest.";
          unit = "percent";
          max = 100;
          queries = [(of "max by (node, gpu) (DCGM_FI_DEV_ENC_UTIL{${own}})" "{{node}} {{gpu}}")];
        })
        (curve {
          title = "Decoders";
          description = "How busy the video decoders are; of a Jetson, the busiest.";
          unit = "percent";
          max = 100;
          queries = [(of "max by (node, gpu) (DCGM_FI_DEV_DEC_UTIL{${own}})" "{{node}} {{gpu}}")];
        })
        (curve {
          title = "GPUs";
          description = "How busy the GPUs are.";
          unit = "percent";
          max = 100;
          queries = [(of "max by (node, gpu) (DCGM_FI_DEV_GPU_UTIL{${own}})" "{{node}} {{gpu}}")];
        })
      ]
      [
        (curve {
          title = "Temperature";
          description = "The hottest part of each node.";
          unit = "celsius";
          queries = [
            (of "max by (node) (reelmill_node_temperature_celsius{${own}})" "{{node}}")
            (of "max by (node, gpu) (DCGM_FI_DEV_GPU_TEMP{${own}})" "{{node}} GPU {{gpu}}")
          ];
        })
        (curve {
          title = "Power";
          description = "What a Jetson's board or a server's GPUs draw.";
          unit = "watt";
          queries = [(of "sum by (node) (DCGM_FI_DEV_POWER_USAGE{${own}})" "{{node}}")];
        })
        (number {
          title = "Slowed down for heat";
          description = "GPUs whose clocks are kept down because they are hot.";
          unit = "short";
          thresholds = [(from 1 "red")];
          queries = [(of ''sum by (node) (reelmill_gpu_throttled{${own},reason=~"software_thermal|hardware_thermal"})'' "{{node}}")];
        })
      ]
      [
        (curve {
          title = "Processors";
          description = "How busy the processors are, all together.";
          unit = "percentunit";
          max = 1;
          queries = [(of "max by (node) (reelmill_node_cpu_usage_ratio{${own}})" "{{node}}")];
        })
        (curve {
          title = "Memory in use";
          description = "Main memory that programs could not get any more.";
          unit = "percentunit";
          max = 1;
          queries = [(of "max by (node) (1 - reelmill_node_memory_available_bytes{${own}} / reelmill_node_memory_size_bytes{${own}})" "{{node}}")];
        })
        (curve {
          title = "Disks in use";
          description = "How full the file systems are that can be written to.";
          unit = "percentunit";
          max = 1;
          queries = [(of "max by (node, mountpoint) (1 - reelmill_node_filesystem_available_bytes{${own}} / reelmill_node_filesystem_size_bytes{${own}} unless reelmill_node_filesystem_readonly{${own}} == 1)" "{{node}} {{mountpoint}}")];
        })
      ]
      [
        (curve {
          title = "Tasks";
          description = "Tasks that the worker of each node has in work.";
          unit = "short";
          queries = [(of "sum by (node) (reelmill_node_worker_tasks{${own}})" "{{node}}")];
        })
        (curve {
          title = "Network";
          description = "Bytes per second, in above and out below.";
          unit = "Bps";
          min = null;
          queries = [
            (of "sum by (node) (rate(reelmill_node_network_receive_bytes_total{${own}}[$__rate_interval]))" "{{node}} in")
            (of "-sum by (node) (rate(reelmill_node_network_transmit_bytes_total{${own}}[$__rate_interval]))" "{{node}} out")
          ];
        })
        (curve {
          title = "Last heard of";
          description = "How long ago the hub heard of each node.";
          unit = "s";
          queries = [(of ''time() - reelmill_hub_node_last_seen_timestamp_seconds{node=~"$node"}'' "{{node}}")];
        })
      ]
    ];
  }
