# What is watched: the hub, the nodes that it tells of, and the services around it.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption optional types;
  cfg = config.services.reelmill.hub.monitoring;
  hub = config.services.reelmill.hub;
  listen = hub.settings.listen or "127.0.0.1:7700";
  exporters = config.services.prometheus.exporters;
  isLocal = cfg.enable && cfg.prometheus.kind == "local";
  password = "/run/credentials/prometheus.service/node-password";

  # The hub's own machine, as it names itself.
  here = at: {
    targets = [at];
    labels.node = config.networking.hostName;
  };
  job = name: at: {
    job_name = name;
    static_configs = [(here at)];
  };
  ofNodes = lib.optionalAttrs (cfg.nodePasswordFile != null) {
    basic_auth = {
      username = "prometheus";
      password_file = password;
    };
  };

  # A node on this machine whose page listens on loopback only is none that the hub tells of.
  agent = config.services.reelmill.agent or {enable = false;};
  page = agent.settings.page.listen or ["127.0.0.1:9310"];
  isLoopback = at: lib.hasPrefix "127." at || lib.hasPrefix "[::1]:" at;
  ownPage = lib.head page;
  queue = hub.queue.kind or "none";
in {
  options.services.reelmill.hub.monitoring.scrape = mkOption {
    type = types.listOf types.anything;
    readOnly = true;
    description = "What is watched, in Prometheus' words.";
  };

  config = mkIf cfg.enable {
    services.reelmill.hub.monitoring.scrape =
      [
        (job "reelmill-hub" listen)
        (job "reelmill-host" "${exporters.node.listenAddress}:${toString exporters.node.port}")
        # The hub tells of nodes and of the workers on them, and says by labels which is which.
        ({
            job_name = "reelmill-farm";
            http_sd_configs = [
              {
                url = "http://${listen}/v1/targets";
                refresh_interval = "30s";
              }
            ];
          }
          // ofNodes)
      ]
      ++ lib.optionals (agent.enable && lib.all isLoopback page) [
        (job "reelmill-node" ownPage // ofNodes)
        (job "reelmill-worker" ownPage // ofNodes // {metrics_path = "/metrics/worker";})
      ]
      ++ optional (queue == "redis") (job "redis" "${exporters.redis.listenAddress}:${toString exporters.redis.port}")
      ++ optional (queue == "rabbitmq") (job "rabbitmq" "127.0.0.1:15692");

    services.prometheus = lib.mkMerge [
      {
        exporters.node = {
          enable = true;
          listenAddress = mkDefault "127.0.0.1";
          # What programs of the hub leave there, such as when the last backup succeeded.
          enabledCollectors = ["textfile"];
          extraFlags = ["--collector.textfile.directory=/var/lib/reelmill-metrics"];
        };
        exporters.redis = mkIf (queue == "redis") {
          enable = true;
          listenAddress = mkDefault "127.0.0.1";
        };
      }
      (mkIf isLocal {
        enable = true;
        listenAddress = mkDefault "127.0.0.1";
        retentionTime = mkDefault cfg.prometheus.retention;
        # The password is there only when Prometheus runs.
        checkConfig = mkIf (cfg.nodePasswordFile != null) (mkDefault "syntax-only");
        globalConfig = {
          scrape_interval = mkDefault cfg.prometheus.interval;
          evaluation_interval = mkDefault cfg.prometheus.interval;
        };
        scrapeConfigs = cfg.scrape;
        ruleFiles = [((pkgs.formats.json {}).generate "rules.json" cfg.rules)];
      })
    ];
    systemd.services.prometheus = mkIf (isLocal && cfg.nodePasswordFile != null) {
      serviceConfig.LoadCredential = ["node-password:${toString cfg.nodePasswordFile}"];
    };
    systemd.tmpfiles.settings."10-reelmill-metrics"."/var/lib/reelmill-metrics".d = {
      user = "root";
      group = "root";
      mode = "0755";
    };
    services.rabbitmq = mkIf (queue == "rabbitmq") {
      plugins = ["rabbitmq_prometheus"];
      configItems."prometheus.tcp.ip" = mkDefault "127.0.0.1";
    };
  };
}
