# NATS with JetStream, for programs of your own: one user with the drawn password.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkForce mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
  secrets = hub.secretsFolder;
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
    services.reelmill.hub.generatedSecrets = {
      # NATS reads the value as it reads its file: what begins with a letter is no number.
      "nats.env" = "REELMILL_QUEUE_PASSWORD=p<<queue-password>>";
      "nats-url" = "nats://reelmill:p<<queue-password>>@${lib.head hub.names}:${toString cfg.port}";
    };
    systemd.services.nats = {
      requires = ["reelmill-hub-secrets.service"];
      after = ["reelmill-hub-secrets.service"];
      serviceConfig = {
        EnvironmentFile = "${secrets}/nats.env";
        ExecStart = mkForce "${pkgs.nats-server}/bin/nats-server -c /etc/reelmill/nats.conf";
      };
      restartTriggers = [conf];
    };
  };
}
