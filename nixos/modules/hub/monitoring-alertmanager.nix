# Who is told of alerts: a webhook, a mail, or nobody but Prometheus' and Grafana's own pages.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf optional optionalAttrs;
  monitoring = config.services.reelmill.hub.monitoring;
  cfg = monitoring.alertmanager;
  credential = name: "/run/credentials/alertmanager.service/${name}";

  hasWebhook = cfg.webhook.url != null || cfg.webhook.urlFile != null;
  hasEmail = cfg.email.to != null;
  enabled = monitoring.enable && monitoring.prometheus.kind == "local" && (hasWebhook || hasEmail);

  webhook =
    if cfg.webhook.urlFile != null
    then {url_file = credential "webhook";}
    else {inherit (cfg.webhook) url;};
  email =
    {inherit (cfg.email) to from smarthost;}
    // optionalAttrs (cfg.email.username != "") {auth_username = cfg.email.username;}
    // optionalAttrs (cfg.email.passwordFile != null) {auth_password_file = credential "email";};
in {
  config = mkIf enabled {
    services.prometheus.alertmanagers = [
      {static_configs = [{targets = ["127.0.0.1:${toString config.services.prometheus.alertmanager.port}"];}];}
    ];
    services.prometheus.alertmanager = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      # It is alone, and opens no port to others of its kind.
      extraFlags = ["--cluster.listen-address="];
      configuration = {
        route = {
          receiver = "operators";
          # One message for one trouble, however many nodes have it.
          group_by = ["alertname"];
          group_wait = "30s";
          group_interval = "5m";
          repeat_interval = "12h";
        };
        # A silent node is not also blind, stalled or without metrics.
        inhibit_rules = [
          {
            source_matchers = ["alertname=NodeSilent"];
            target_matchers = ["alertname=~TargetDown|NodeStalled"];
            equal = ["node"];
          }
        ];
        receivers = [
          ({name = "operators";}
            // optionalAttrs hasWebhook {webhook_configs = [(webhook // {send_resolved = true;})];}
            // optionalAttrs hasEmail {email_configs = [(email // {send_resolved = true;})];})
        ];
      };
    };
    systemd.services.alertmanager.serviceConfig.LoadCredential =
      optional (cfg.webhook.urlFile != null) "webhook:${toString cfg.webhook.urlFile}"
      ++ optional (cfg.email.passwordFile != null) "email:${toString cfg.email.passwordFile}";
  };
}
