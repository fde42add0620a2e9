# A hub with every service that it can bring runs them all, and each answers.
{
  name = "hub-all-services";
  nodes.hub = {lib, ...}: {
    imports = [./lib/machine-hub.nix];
    services.reelmill.hub = {
      database.kind = "postgresql";
      secrets.kind = "openbao";
      registry.kind = "distribution";
      monitoring = {
        enable = true;
        # Alertmanager runs where somebody is to be told; here nobody listens.
        alertmanager.webhook.url = "http://127.0.0.1:9095/";
      };
      backup = {
        enable = true;
        target = "/var/lib/backup";
        # Whose key this is has nothing to say here.
        recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"];
      };
    };
    virtualisation.memorySize = lib.mkForce 4096;
  };
  testScript =
    builtins.readFile ./lib/farm.py
    + ''
      start_hub()
      hub.wait_for_unit("garage.service")
      hub.wait_for_unit("redis-reelmill.service")
      hub.wait_for_unit("postgresql.service")
      hub.wait_for_unit("openbao.service")
      hub.wait_for_unit("mosquitto.service")
      hub.wait_for_unit("docker-registry.service")
      hub.wait_for_unit("prometheus.service")
      hub.wait_for_unit("alertmanager.service")
      hub.wait_for_unit("grafana.service")

      with subtest("each answers"):
          hub.wait_until_succeeds(f"redis-cli -a $(cat {SECRETS}/queue-password) ping | grep PONG")
          hub.wait_until_succeeds("runuser -u reelmill-hub -- psql -c 'select 1'")
          hub.wait_until_succeeds("curl -sf http://127.0.0.1:8200/v1/sys/health | jq -e '.sealed == false'")
          hub.wait_until_succeeds("curl -sf http://127.0.0.1:5000/v2/")
          hub.wait_until_succeeds("curl -sf http://127.0.0.1:3000/api/health | jq -e '.database == \"ok\"'")

      with subtest("all that Prometheus watches is up"):
          hub.wait_until_succeeds(
              "curl -sf 'http://127.0.0.1:9090/api/v1/query?query=up' "
              "| jq -e '.data.result | length > 0 and all(.value[1] == \"1\")'"
          )

      with subtest("a backup is made, and nobody but its owner reads it"):
          hub.succeed("systemctl start reelmill-hub-backup.service")
          hub.succeed("ls /var/lib/backup | grep .")
          hub.fail("runuser -u nobody -- ls /var/lib/backup")

      with subtest("no secret is readable by others"):
          hub.fail(f"runuser -u nobody -- ls {SECRETS}")
          hub.fail(f"grep -rqF $(cat {SECRETS}/queue-password) /etc /run/current-system/etc 2>/dev/null")
    '';
}
