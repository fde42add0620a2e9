# The farm as a whole: what waits, what is made, what fails.
{
  dashboard,
  curve,
  stack,
  number,
  bars,
  from,
  ...
}: let
  tried = ''outcome!~"canceled|busy|no_capability"'';
  failed = ''outcome!~"published|canceled|busy|no_capability"'';
in
  dashboard {
    uid = "reelmill-farm";
    title = "Farm";
    description = "What waits, what is made, what fails.";
    rows = [
      [
        (number {
          title = "Waiting";
          description = "Tasks on all lanes.";
          unit = "short";
          queries = [{expr = "sum(reelmill_hub_lane_depth)";}];
        })
        (number {
          title = "Oldest waits";
          description = "How long the oldest task has waited, over all lanes.";
          unit = "s";
          thresholds = [(from 900 "orange") (from 1800 "red")];
          queries = [{expr = "max(reelmill_hub_lane_oldest_seconds)";}];
        })
        (number {
          title = "In work";
          description = "Tasks that workers have now.";
          unit = "short";
          queries = [{expr = "sum(reelmill_worker_tasks_running)";}];
        })
        (number {
          title = "Nodes there";
          description = "Nodes that the hub hears, well or not.";
          unit = "short";
          queries = [{expr = "sum(reelmill_hub_node_up)";}];
        })
        (number {
          title = "Speed";
          description = "Minutes of sources published per minute, within an hour.";
          unit = "short";
          queries = [{expr = "sum(rate(reelmill_worker_published_media_seconds_total[1h]))";}];
        })
        (number {
          title = "Error rate";
          description = "Part of the attempts that failed within an hour; tasks that were given back are none.";
          unit = "percentunit";
          max = 1;
          thresholds = [(from 0.1 "orange") (from 0.2 "red")];
          queries = [
            {expr = "sum(rate(reelmill_worker_attempts_total{${failed}}[1h])) / (sum(rate(reelmill_worker_attempts_total{${tried}}[1h])) > 0) or vector(0)";}
          ];
        })
      ]
      [
        (curve {
          title = "Queue depth";
          description = "Tasks that wait, by lane.";
          unit = "short";
          queries = [
            {
              expr = "sum by (lane) (reelmill_hub_lane_depth)";
              legend = "{{lane}}";
            }
          ];
        })
        (curve {
          title = "Queue age";
          description = "How long the oldest task of each lane has waited.";
          unit = "s";
          queries = [
            {
              expr = "max by (lane) (reelmill_hub_lane_oldest_seconds)";
              legend = "{{lane}}";
            }
          ];
        })
      ]
      [
        (stack {
          title = "Frames per second";
          description = "Source frames that each node encodes, counted once however many renditions are made.";
          unit = "short";
          queries = [
            {
              expr = "sum by (node) (rate(reelmill_worker_frames_total[$__rate_interval]))";
              legend = "{{node}}";
            }
          ];
        })
        (curve {
          title = "Errors";
          description = "Part of each node's attempts that failed within a quarter of an hour.";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = "sum by (node) (rate(reelmill_worker_attempts_total{${failed}}[15m])) / (sum by (node) (rate(reelmill_worker_attempts_total{${tried}}[15m])) > 0) or sum by (node) (rate(reelmill_worker_attempts_total{${failed}}[15m]))";
              legend = "{{node}}";
            }
          ];
        })
      ]
      [
        (stack {
          title = "Jobs";
          description = "Jobs by their state.";
          unit = "short";
          queries = [
            {
              expr = "sum by (state) (reelmill_hub_jobs)";
              legend = "{{state}}";
            }
          ];
        })
        (stack {
          title = "Attempts";
          description = "How attempts end, per minute.";
          unit = "short";
          queries = [
            {
              expr = "60 * sum by (outcome) (rate(reelmill_worker_attempts_total[$__rate_interval]))";
              legend = "{{outcome}}";
            }
          ];
        })
        (bars {
          title = "Failing sources";
          description = "Sources of which at least three attempts failed within a day.";
          unit = "short";
          queries = [
            {
              expr = "max by (source) (reelmill_hub_source_failures)";
              legend = "{{source}}";
            }
          ];
        })
      ]
    ];
  }
