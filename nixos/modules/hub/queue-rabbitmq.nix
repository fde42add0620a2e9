# RabbitMQ as the queue: one user with the drawn password, and nobody called guest.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
  # What the broker knows from the start. A password in clear text is hashed when it is read.
  definitions = builtins.toJSON {
    users = [
      {
        name = "reelmill";
        password = "<<queue-password>>";
        tags = "administrator";
      }
    ];
    vhosts = [{name = "/";}];
    permissions = [
      {
        user = "reelmill";
        vhost = "/";
        configure = ".*";
        write = ".*";
        read = ".*";
      }
    ];
  };
in {
  config = mkIf (hub.enable && cfg.kind == "rabbitmq") {
    services.rabbitmq = {
      enable = true;
      inherit (cfg) port;
      inherit (hub) listenAddress;
      configItems = {
        # Given by systemd, because the broker's user may not read the hub's folder.
        "load_definitions" = "/run/credentials/rabbitmq.service/definitions.json";
        "loopback_users.guest" = "true";
        # Ends what waits instead of taking more than there is.
        "vm_memory_high_watermark.relative" = "0.4";
        "disk_free_limit.absolute" = "2GB";
      };
    };
    services.reelmill.hub = {
      generatedSecrets."rabbitmq-definitions.json" = definitions;
      queue.server = {
        unit = "rabbitmq";
        url = host: "amqp://reelmill:<<queue-password>>@${host}:${toString cfg.port}/%2f";
      };
    };
    systemd.services.rabbitmq.serviceConfig.LoadCredential = [
      "definitions.json:${hub.secretsFolder}/rabbitmq-definitions.json"
    ];
  };
}
