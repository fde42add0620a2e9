# The queue's servers: their settings as NixOS writes them, and what the hub and the workers are told.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) etc hub lines refused unit;
  redis = hub {};
  server = redis.services.redis.servers.reelmill;
  yes = value:
    if value
    then "yes"
    else "no";
  rabbitmq = hub {queue.kind = "rabbitmq";};
  nats = hub {queue.kind = "nats";};
  sqlite = hub {
    queue.kind = "sqlite";
    store.kind = "embedded";
  };
in {
  # The password comes in when the service starts.
  "redis.conf" =
    lines " " {
      inherit (server) port bind databases;
      appendonly = yes server.appendOnly;
      appendfsync = server.appendFsync;
      daemonize = "no";
      dir = "/var/lib/redis-reelmill";
    }
    + (
      if server.save == []
      then "save \"\"\n"
      else throw "no snapshots are wanted"
    )
    + lines " " server.settings;
  "redis-secrets" = etc redis "hub-secrets";
  "redis-password-file" = server.requirePassFile + "\n";
  "hub.toml" = etc redis "hub.toml";
  "hub-sqlite.toml" = etc sqlite "hub.toml";
  "rabbitmq.conf" = lines " = " ({"listeners.tcp.1" = "${rabbitmq.services.rabbitmq.listenAddress}:${toString rabbitmq.services.rabbitmq.port}";} // rabbitmq.services.rabbitmq.configItems);
  "rabbitmq-secrets" = etc rabbitmq "hub-secrets";
  "nats.conf" = etc nats "nats.conf";
  "refused" = lib.concatStrings (lib.mapAttrsToList (name: options: "${name}:\n${refused options}") {
    "a queue of the hub's and a store beside it".queue.kind = "sqlite";
    "a queue without an address".queue.kind = "external";
    "a store without an address and keys".store.kind = "external";
    "a broker without anything".broker.kind = "external";
    "a page without passwords".web.kind = "nginx";
    "a tailnet without a key".tailscale.enable = true;
    "a backup for nobody".backup = {
      enable = true;
      target = "/mnt/backup";
    };
    "a repository without a password".backup = {
      enable = true;
      target = "sftp:host:/backup";
    };
    "a Harbor with a PostgreSQL of yours and no password".registry = {
      kind = "harbor";
      harbor.database.host = "db.example.net";
    };
  });
  "nats-secrets" = etc nats "hub-secrets";
  "reelmill-hub.service" = unit redis "reelmill-hub.service";
  "reelmill-hub-secrets.service" = unit redis "reelmill-hub-secrets.service";
}
