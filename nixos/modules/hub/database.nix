# The database for what the hub knows of jobs and nodes.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.database;
in {
  options.services.reelmill.hub.database = {
    kind = mkOption {
      type = types.enum ["sqlite" "postgresql" "external"];
      default = "sqlite";
      description = ''
        The database. The hub of this version keeps everything in SQLite in its data folder, whatever is chosen here.
        `postgresql` sets up a server with a database and a role named `reelmill-hub`, which only programs of that user on this
        machine reach, without a password, for the version that will use it and for programs of your own; its content is backed
        up. With `external` nothing is set up; it says that you have one.
      '';
    };
  };

  config = mkIf (hub.enable && cfg.kind == "postgresql") {
    warnings = [
      ''
        services.reelmill.hub.database.kind = "postgresql": the server is set up, and the hub of this version still keeps its jobs
        and nodes in SQLite in ${hub.settings.data}.
      ''
    ];
    services.postgresql = {
      enable = true;
      ensureDatabases = ["reelmill-hub"];
      ensureUsers = [
        {
          name = "reelmill-hub";
          ensureDBOwnership = true;
        }
      ];
      # Nobody comes over the network, and on this machine who you are is what the system says.
      enableTCPIP = mkDefault false;
      settings.listen_addresses = lib.mkForce "";
      settings.password_encryption = mkDefault "scram-sha-256";
      authentication = lib.mkForce ''
        local all all peer
      '';
    };
  };
}
