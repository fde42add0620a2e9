# PostgreSQL beside the hub.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub;
  cfg = (hub {database.kind = "postgresql";}).services.postgresql;
  quoted = value:
    if lib.isBool value
    then lib.boolToString value
    else if lib.isInt value
    then toString value
    else "'${value}'";
  ours = {inherit (cfg.settings) listen_addresses password_encryption;};
in {
  "postgresql.conf" = lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${quoted value}\n") ours);
  "pg_hba.conf" = cfg.authentication;
  "setup.sql" =
    lib.concatMapStrings (name: "CREATE DATABASE \"${name}\";\n") cfg.ensureDatabases
    + lib.concatMapStrings (user: ''
      CREATE ROLE "${user.name}" LOGIN;
      ${lib.optionalString user.ensureDBOwnership "ALTER DATABASE \"${user.name}\" OWNER TO \"${user.name}\";"}
    '')
    cfg.ensureUsers;
}
