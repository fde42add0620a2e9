# What dashboards are made of.
{lib}: let
  datasource = {
    type = "prometheus";
    uid = "reelmill";
  };
  from = value: color: {inherit value color;};
  # Panels lie in a grid of 24 columns, one row after the other.
  height = 8;

  query = index: {
    expr,
    legend ? "",
  }: {
    refId = builtins.elemAt ["A" "B" "C" "D"] index;
    inherit datasource expr;
    legendFormat = legend;
    range = true;
  };

  panel = {
    type,
    title,
    description,
    unit,
    queries,
    min ? 0,
    max ? null,
    thresholds ? [],
    custom ? {},
    options,
  }: {
    inherit type title description datasource options;
    fieldConfig = {
      defaults = lib.filterAttrs (_: value: value != null) {
        inherit unit min max custom;
        color.mode =
          if thresholds == []
          then "palette-classic"
          else "thresholds";
        thresholds = {
          mode = "absolute";
          steps = [(from null "green")] ++ thresholds;
        };
      };
      overrides = [];
    };
    targets = lib.imap0 query queries;
  };
in rec {
  inherit from;

  # Values over time.
  curve = args:
    panel ({
        type = "timeseries";
        custom = {
          lineWidth = 1;
          fillOpacity = 10;
          showPoints = "never";
          spanNulls = false;
        };
        options = {
          legend = {
            displayMode = "list";
            placement = "bottom";
            showLegend = true;
            calcs = [];
          };
          tooltip = {
            mode = "multi";
            sort = "desc";
          };
        };
      }
      // args);

  # The same, one on top of the other.
  stack = args: let
    plain = curve args;
  in
    lib.recursiveUpdate plain {
      fieldConfig.defaults.custom = {
        fillOpacity = 40;
        stacking = {
          mode = "normal";
          group = "A";
        };
      };
    };

  # The newest value, large.
  number = args:
    panel ({
        type = "stat";
        options = {
          colorMode = "value";
          graphMode = "area";
          justifyMode = "auto";
          textMode = "auto";
          orientation = "auto";
          reduceOptions = {
            calcs = ["lastNotNull"];
            fields = "";
            values = false;
          };
        };
      }
      // args);

  # One bar for each.
  bars = args:
    panel ({
        type = "bargauge";
        options = {
          displayMode = "lcd";
          orientation = "horizontal";
          showUnfilled = true;
          reduceOptions = {
            calcs = ["lastNotNull"];
            fields = "";
            values = false;
          };
        };
      }
      // args);

  # Rows of panels that share the width.
  dashboard = {
    uid,
    title,
    description,
    rows,
    byNode ? false,
  }: let
    place = y: panels: let
      width = 24 / builtins.length panels;
    in
      lib.imap0 (column: panel:
        panel
        // {
          gridPos = {
            h = height;
            w = width;
            x = column * width;
            inherit y;
          };
        })
      panels;
    placed = lib.concatLists (lib.imap0 (row: place (row * height)) rows);
  in {
    inherit uid title description;
    tags = ["reelmill"];
    timezone = "browser";
    editable = false;
    graphTooltip = 1;
    schemaVersion = 41;
    refresh = "30s";
    time = {
      from = "now-6h";
      to = "now";
    };
    panels = lib.imap1 (id: panel: panel // {inherit id;}) placed;
    templating.list = lib.optional byNode {
      type = "query";
      name = "node";
      label = "Node";
      inherit datasource;
      query = "label_values(up{job=\"reelmill-node\"}, node)";
      refresh = 2;
      multi = true;
      includeAll = true;
      allValue = ".*";
      sort = 1;
    };
    annotations.list = [
      {
        name = "Alerts";
        inherit datasource;
        enable = true;
        iconColor = "red";
        target =
          query 0 {
            expr = "ALERTS{alertstate=\"firing\"}";
            legend = "{{alertname}}";
          }
          // {refId = "Anno";};
      }
    ];
  };
}
