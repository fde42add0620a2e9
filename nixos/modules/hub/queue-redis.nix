# Redis as the queue: what it has taken it keeps over a power cut, and it never drops tasks to make room.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
in {
  config = mkIf (hub.enable && cfg.kind == "redis") {
    services.redis = {
      # A snapshot must not fail because memory is promised twice for a moment.
      vmOverCommit = mkDefault true;
      servers.reelmill = {
        enable = true;
        inherit (cfg) port;
        bind = hub.listenAddress;
        requirePassFile = "${hub.secretsFolder}/queue-password";
        appendOnly = true;
        appendFsync = "everysec";
        # The file that is appended to is enough.
        save = [];
        settings.maxmemory-policy = "noeviction";
      };
    };
    services.reelmill.hub.queue.server = {
      unit = "redis-reelmill";
      url = host: "redis://:<<queue-password>>@${host}:${toString cfg.port}";
    };
  };
}
