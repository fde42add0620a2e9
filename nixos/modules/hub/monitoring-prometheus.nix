# What is watched: the hub, the nodes that it tells of, and the services around it.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption optional types;
  hub = config.services.reelmill.hub;
  cfg = hub.monitoring;
  listen = hub.settings.listen;
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
  agent = config.services.reelmill.agent;
  page = agent.settings.page.listen;
  isLoopback = import ../../lib/loopback.nix {inherit lib;};
  ownPage = lib.head page;

  # Redis asks for a password, which only the exporter is told.
  redis = "redis://127.0.0.1:${toString hub.queue.port}";
  hasRedis = hub.enable && hub.queue.kind == "redis";
in {
  options.services.reelmill.hub.monitoring.scrape = mkOption {
    type = types.listOf types.anything;
    readOnly = true;
    description = "What is watched, in Prometheus' words.";
  };

  config = mkIf cfg.enable {
    services.reelmill.hub.monitoring.scrape =
      [
        # What the hub tells of a node has the node's name, not the hub's.
        (job "reelmill-hub" listen // {honor_labels = true;})
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
      ++ optional (cfg.dcgm != {}) {
        job_name = "dcgm";
        static_configs =
          lib.mapAttrsToList (node: at: {
            targets = [at];
            labels = {inherit node;};
          })
          cfg.dcgm;
      }
      ++ optional hasRedis (job "redis" "${exporters.redis.listenAddress}:${toString exporters.redis.port}");

    services.prometheus = lib.mkMerge [
      {
        exporters.node = {
          enable = true;
          listenAddress = mkDefault "127.0.0.1";
          # What programs of the hub leave there, such as when the last backup succeeded.
          enabledCollectors = ["textfile"];
          extraFlags = ["--collector.textfile.directory=/var/lib/reelmill-metrics"];
        };
        exporters.redis = mkIf hasRedis {
          enable = true;
          listenAddress = mkDefault "127.0.0.1";
          extraFlags = [
            "--redis.addr=${redis}"
            "--redis.password-file=/run/credentials/prometheus-redis-exporter.service/passwords"
          ];
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
    # With backups, the folder is theirs to write to as well.
    systemd.tmpfiles.rules = lib.optional (!hub.backup.enable) "d /var/lib/reelmill-metrics 0755 root root -";
    services.reelmill.hub.generatedSecrets = mkIf hasRedis {
      queue-exporter = builtins.toJSON {${redis} = "<<queue-password>>";};
    };
    systemd.services.prometheus-redis-exporter = mkIf hasRedis {
      requires = ["reelmill-hub-secrets.service"];
      after = ["reelmill-hub-secrets.service" "redis-reelmill.service"];
      serviceConfig.LoadCredential = ["passwords:${hub.secretsFolder}/queue-exporter"];
    };
  };
}
