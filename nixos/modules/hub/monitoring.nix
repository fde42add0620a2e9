# What the farm is watched with, as options: Prometheus, Alertmanager and Grafana on the hub, or your own.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  cfg = config.services.reelmill.hub.monitoring;
  text = default: description:
    mkOption {
      type = types.str;
      inherit default description;
    };
in {
  options.services.reelmill.hub.monitoring = {
    enable = mkEnableOption "watching the farm: metrics, dashboards and alerts";

    prometheus = {
      kind = mkOption {
        type = types.enum ["local" "external"];
        default = "local";
        description = ''
          `local` runs Prometheus on the hub, on loopback. For `external`, a Prometheus of yours, the scrape configuration and
          the rules are written to {file}`/etc/reelmill/prometheus`; it must reach the nodes and the hub's loopback port.
        '';
      };
      url = text "http://127.0.0.1:${toString config.services.prometheus.port}" "Where Grafana asks Prometheus.";
      retention = text "90d" "How long metrics are kept. A farm of 50 nodes needs about 1 GB a week.";
      interval = text "15s" "Time between two looks at everything.";
    };

    nodePasswordFile = mkSecretFile ''
      the password of the nodes' pages (`services.reelmill.agent.pagePasswordFile` there), which Prometheus shows. It goes over
      the wire as it is, and every node that says where its page is gets to see it: use it for nothing else'';

    dcgm = mkOption {
      type = types.attrsOf types.str;
      default = {};
      example = {edge-1 = "10.0.0.5:9400";};
      description = ''
        Where NVIDIA's exporter tells of nodes that run it (`reelmill.hardware.dcgm` there), by the node's name: an address that
        Prometheus reaches.
      '';
    };

    grafana = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether Grafana runs on the hub, on loopback, with Reelmill's dashboards.";
      };
      adminPasswordFile = mkSecretFile ''
        the password of Grafana's `admin`. Without it one is drawn at the first start and lies in
        {file}`/var/lib/grafana/admin-password`, for root'';
    };

    alertmanager = {
      webhook.url = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "http://127.0.0.1:9095/alerts";
        description = "Where alerts are posted as Alertmanager's JSON; an address without a secret in it.";
      };
      webhook.urlFile = mkSecretFile "the address to which alerts are posted, which may hold a secret";
      email = {
        to = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "farm@example.net";
          description = "Who gets alerts by mail.";
        };
        from = text "reelmill@${config.networking.hostName}" "Whom they come from.";
        smarthost = text "localhost:587" "The mail server and its port, which must offer TLS.";
        username = text "" "The user there; empty: none is shown.";
        passwordFile = mkSecretFile "the password there";
      };
    };

    runbooks =
      text "https://github.com/reelmill/reelmill/blob/main/docs/operate/alerts" ''
        Where the pages of the alerts are; the message of an alert names its own.'';

    rules = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      description = "The alerts as a rule file of Prometheus.";
    };

    dashboards = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      default = import ./grafana {inherit lib;};
      defaultText = lib.literalMD "Reelmill's dashboards";
      description = "The dashboards by their name, in Grafana's JSON.";
    };
  };

  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = !(cfg.alertmanager.webhook.url != null && cfg.alertmanager.webhook.urlFile != null);
      message = "services.reelmill.hub.monitoring.alertmanager.webhook: give url or urlFile, not both";
    }
    {
      assertion = cfg.alertmanager.email.passwordFile == null || cfg.alertmanager.email.username != "";
      message = "services.reelmill.hub.monitoring.alertmanager.email: a passwordFile needs a username too";
    }
  ];

  config.environment.etc = lib.mkIf (cfg.enable && cfg.prometheus.kind == "external") {
    "reelmill/prometheus/rules.json".source = (pkgs.formats.json {}).generate "rules.json" cfg.rules;
    "reelmill/prometheus/scrape.json".source = (pkgs.formats.json {}).generate "scrape.json" {scrape_configs = cfg.scrape;};
  };
}
