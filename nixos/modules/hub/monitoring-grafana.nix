# What the farm looks like: Grafana with our dashboards, which nobody changes by hand.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  monitoring = config.services.reelmill.hub.monitoring;
  cfg = monitoring.grafana;
  json = pkgs.formats.json {};
  own = config.services.grafana.dataDir;
  password =
    if cfg.adminPasswordFile != null
    then "/run/credentials/grafana.service/admin-password"
    else "${own}/admin-password";

  folder = pkgs.linkFarm "reelmill-dashboards" (lib.mapAttrsToList (name: dashboard: {
      name = "${name}.json";
      path = json.generate "${name}.json" dashboard;
    })
    monitoring.dashboards);
in {
  config = mkIf (monitoring.enable && cfg.enable) {
    services.grafana = {
      enable = true;
      settings = {
        server.http_addr = mkDefault "127.0.0.1";
        security = {
          admin_password = "$__file{${password}}";
          # What Grafana keeps of others' secrets is encrypted with it; every hub has its own.
          secret_key = "$__file{${own}/secret-key}";
          cookie_samesite = mkDefault "strict";
          disable_gravatar = mkDefault true;
        };
        users.allow_sign_up = mkDefault false;
        analytics = {
          reporting_enabled = mkDefault false;
          check_for_updates = mkDefault false;
          feedback_links_enabled = mkDefault false;
        };
      };
      provision = {
        enable = true;
        datasources.settings.datasources = [
          {
            name = "Reelmill";
            type = "prometheus";
            uid = "reelmill";
            inherit (monitoring.prometheus) url;
            isDefault = true;
            jsonData.timeInterval = monitoring.prometheus.interval;
          }
        ];
        dashboards.settings.providers = [
          {
            name = "reelmill";
            type = "file";
            folder = "Reelmill";
            options.path = folder;
            allowUiUpdates = false;
          }
        ];
      };
    };
    systemd.services.grafana = {
      preStart = lib.mkBefore ''
        draw() {
          if [ ! -s "${own}/$1" ]; then
            (umask 077; head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "${own}/$1.new")
            mv "${own}/$1.new" "${own}/$1"
          fi
        }
        draw secret-key
        ${lib.optionalString (cfg.adminPasswordFile == null) "draw admin-password"}
      '';
      serviceConfig.LoadCredential = lib.optional (cfg.adminPasswordFile != null) "admin-password:${toString cfg.adminPasswordFile}";
    };
  };
}
