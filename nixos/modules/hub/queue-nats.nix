# NATS with JetStream as the queue: one user with the drawn password.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkForce mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
  # NATS reads the password as it reads its file: what begins with a letter is no number.
  password = "p<<queue-password>>";
  # A variable of the process is no JSON, so the file cannot be the one that NixOS writes of the settings.
  conf = (
    lib.concatStrings (lib.mapAttrsToList (key: value: "${key}: ${builtins.toJSON value}\n") config.services.nats.settings)
    + "authorization: {user: reelmill, password: $REELMILL_QUEUE_PASSWORD}\n"
  );
in {
  config = mkIf (hub.enable && cfg.kind == "nats") {
    services.nats = {
      enable = true;
      jetstream = true;
      inherit (cfg) port;
      serverName = "reelmill";
      settings = {
        server_name = "reelmill";
        host = hub.listenAddress;
        inherit (cfg) port;
        jetstream.store_dir = "/var/lib/nats";
      };
    };
    environment.etc."reelmill/nats.conf".text = conf;
    services.reelmill.hub = {
      generatedSecrets."nats.env" = "REELMILL_QUEUE_PASSWORD=${password}";
      queue.server = {
        unit = "nats";
        url = host: "nats://reelmill:${password}@${host}:${toString cfg.port}";
      };
    };
    systemd.services.nats = {
      serviceConfig = {
        EnvironmentFile = "${hub.secretsFolder}/nats.env";
        ExecStart = mkForce "${pkgs.nats-server}/bin/nats-server -c /etc/reelmill/nats.conf";
      };
      restartTriggers = [conf];
    };
  };
}
