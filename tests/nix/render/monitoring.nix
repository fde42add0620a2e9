# What the hub's monitoring hands to Prometheus, Alertmanager and Grafana, in their own formats.
{
  self,
  lib,
  unit,
  ...
}: let
  evaluated = extra:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        self.nixosModules.cpu
        ../../../nixos/profiles/hub.nix
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          networking.hostName = "hub";
          services.reelmill.hub.monitoring.enable = true;
        }
        extra
      ];
    })
    .config;
  monitoring = config: config.services.reelmill.hub.monitoring;
  plain = evaluated {};
  # A farm of one machine, whose agent's page is on loopback.
  alone = evaluated {
    imports = [../../../nixos/profiles/node.nix];
  };
  full = evaluated {
    services.reelmill.hub.monitoring = {
      alerts.BackupOld.enable = true;
      nodePasswordFile = "/var/lib/secrets/pages";
      dcgm.box-1 = "10.0.0.5:9400";
      alertmanager = {
        webhook.url = "http://127.0.0.1:9095/alerts";
        email = {
          to = "farm@example.net";
          smarthost = "mail.example.net:587";
          username = "reelmill";
          passwordFile = "/var/lib/secrets/mail";
        };
      };
    };
  };
  # A server whose cards NVIDIA's own exporter tells of.
  dcgm =
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        self.nixosModules.nvidia
        ../../../nixos/profiles/node.nix
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          reelmill.hardware.dcgm.enable = true;
        }
      ];
    })
    .config;
  json = import ../lib/pretty.nix {inherit lib;};
  # As NixOS' own module puts it together.
  prometheus = config: {
    global = lib.filterAttrs (_: value: value != null) config.services.prometheus.globalConfig;
    scrape_configs = (monitoring config).scrape;
    alerting.alertmanagers = config.services.prometheus.alertmanagers;
    rule_files = ["rules.json"];
  };
  # In quick motion, for a test that makes each cause: as fast as what tells of it allows.
  quick = import ../../../nixos/lib/alerts.nix {inherit lib;} {
    inherit (monitoring full) alerts runbooks;
    quicker = name:
      {
        # Nodes say something every 15 seconds.
        NodeSilent = 10;
        BackupOld = 3600;
      }
      .${
        name
      }
      or 60;
  };
in
  {
    "plain/prometheus.json" = json (prometheus plain);
    "plain/rules.json" = json (monitoring plain).rules;
    "alone/prometheus.json" = json (prometheus alone);
    "full/redis-exporter.json" = json {
      flags = full.services.prometheus.exporters.redis.extraFlags;
      credentials = full.systemd.services.prometheus-redis-exporter.serviceConfig.LoadCredential;
      secret = full.services.reelmill.hub.generatedSecrets.queue-exporter;
    };
    "dcgm/reelmill-dcgm.service" = unit dcgm "reelmill-dcgm.service";
    "dcgm/counters.csv" = dcgm.environment.etc."reelmill/dcgm-counters.csv".text;
    "full/prometheus.json" = json (prometheus full);
    "full/rules.json" = json (monitoring full).rules;
    "full/rules-quick.json" = json quick;
    "full/alertmanager.json" = json full.services.prometheus.alertmanager.configuration;
    "full/grafana.json" = json {
      security = {inherit (full.services.grafana.settings.security) admin_password secret_key cookie_samesite disable_gravatar;};
      server = {inherit (full.services.grafana.settings.server) http_addr;};
    };
    # Which NixOS writes for Grafana as they are.
    "full/grafana-datasources.json" = json full.services.grafana.provision.datasources.settings;
    "full/grafana-dashboards.json" = json full.services.grafana.provision.dashboards.settings;
    "full/credentials.json" =
      json (lib.genAttrs ["prometheus" "alertmanager" "grafana"] (name:
          full.systemd.services.${name}.serviceConfig.LoadCredential or []));
    "full/grafana-start.sh" = full.systemd.services.grafana.preStart;
  }
  // lib.mapAttrs' (name: dashboard: lib.nameValuePair "dashboards/${name}.json" (json dashboard)) (monitoring plain).dashboards
