# Redis as the queue: what it has taken it keeps over a power cut, and it never drops tasks to make room.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
  secrets = hub.secretsFolder;
  url = host: "redis://:<<queue-password>>@${host}:${toString cfg.port}";
in {
  config = mkIf (hub.enable && cfg.kind == "redis") {
    services.redis = {
      # A snapshot must not fail because memory is promised twice for a moment.
      vmOverCommit = mkDefault true;
      servers.reelmill = {
        enable = true;
        inherit (cfg) port;
        bind = hub.listenAddress;
        requirePassFile = "${secrets}/queue-password";
        appendOnly = true;
        appendFsync = "everysec";
        # The file that is appended to is enough.
        save = [];
        settings.maxmemory-policy = "noeviction";
      };
    };
    services.reelmill.hub = {
      generatedSecrets.queue-url = url "127.0.0.1";
      queueUrlFile = mkDefault "${secrets}/queue-url";
      workerEnvironment.QUEUE_URL = url (lib.head hub.names);
    };
    systemd.services = {
      redis-reelmill = {
        requires = ["reelmill-hub-secrets.service"];
        after = ["reelmill-hub-secrets.service"];
      };
      reelmill-hub = {
        wants = ["redis-reelmill.service"];
        after = ["redis-reelmill.service"];
      };
    };
  };
}
