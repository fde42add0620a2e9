# The backup of what the hub cannot do without: its database, the farm's authority, and the secrets. Not the media.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkIf mkOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  hub = config.services.reelmill.hub;
  cfg = hub.backup;
  data = hub.settings.data;
  metrics = "/var/lib/reelmill-metrics";
  postgresql = hub.database.kind == "postgresql";
  tools = [pkgs.coreutils pkgs.gnutar pkgs.zstd pkgs.sqlite pkgs.findutils pkgs.util-linux pkgs.age pkgs.restic];
  script = name:
    pkgs.writeShellApplication {
      name = "reelmill-hub-${name}";
      runtimeInputs = tools ++ lib.optional postgresql config.services.postgresql.package;
      text = builtins.readFile (./scripts + "/${name}.sh");
    };
  isFolder = lib.hasPrefix "/" cfg.target;
in {
  options.services.reelmill.hub.backup = {
    enable = mkEnableOption "backups of the hub's database, the farm's authority and the secrets";
    target = mkOption {
      type = types.str;
      example = "/mnt/backup/reelmill";
      description = ''
        Where backups go: a folder, which should be on another disk or machine, or a repository as restic names it, such as
        `s3:https://s3.example.net/reelmill-backup` or `sftp:host:/folder`.
      '';
    };
    recipients = mkOption {
      type = types.listOf (types.strMatching "age1[0-9a-z]+|ssh-(ed25519|rsa) .*");
      default = [];
      example = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"];
      description = ''
        For a folder: public keys of age, or of SSH, for which backups are encrypted. The private keys do not belong on this
        machine, and without one of them no backup can be read.
      '';
    };
    passwordFile = mkSecretFile "the password of restic's repository";
    environmentFile = mkSecretFile "variables for restic, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    schedule = mkOption {
      type = types.str;
      default = "daily";
      description = "When backups are made, as systemd writes times (systemd.time(7)).";
    };
    keep = mkOption {
      type = types.ints.positive;
      default = 30;
      description = "How many backups are kept.";
    };
  };

  config = mkIf (hub.enable && cfg.enable) {
    assertions = [
      {
        assertion = isFolder -> cfg.recipients != [];
        message = "services.reelmill.hub.backup.recipients is empty: a backup holds the farm's keys, so it is always encrypted.";
      }
      {
        assertion = !isFolder -> cfg.passwordFile != null;
        message = "services.reelmill.hub.backup.passwordFile is not set, and restic's repository ${cfg.target} needs one.";
      }
    ];
    # What a backup is put back with, by hand.
    environment.systemPackages = [(script "restore")];
    systemd.tmpfiles.rules =
      lib.optional isFolder "d ${cfg.target} 0700 reelmill-hub reelmill-hub -"
      # Where monitoring is, it says the same.
      ++ ["d ${metrics} 0775 root reelmill-hub -"];
    systemd.services.reelmill-hub-backup = {
      description = "Reelmill: backup of the hub";
      after = ["reelmill-hub-secrets.service" "network-online.target"] ++ lib.optional postgresql "postgresql.service";
      wants = ["network-online.target"];
      unitConfig = lib.optionalAttrs isFolder {RequiresMountsFor = cfg.target;};
      environment =
        {
          DATA = data;
          TARGET = cfg.target;
          KEEP = toString cfg.keep;
          METRICS = metrics;
        }
        // lib.optionalAttrs isFolder {
          RECIPIENTS = "${pkgs.writeText "backup-recipients" (lib.concatMapStrings (key: key + "\n") cfg.recipients)}";
        }
        // lib.optionalAttrs (!isFolder) {RESTIC_PASSWORD_FILE = "%d/password";}
        // lib.optionalAttrs postgresql {POSTGRESQL_DATABASE = "reelmill-hub";};
      serviceConfig =
        import ../../lib/hardened.nix
        // {
          Type = "oneshot";
          ExecStart = lib.getExe (script "backup");
          User = "reelmill-hub";
          Group = "reelmill-hub";
          # The copy before it is packed.
          CacheDirectory = "reelmill-hub-backup";
          CacheDirectoryMode = "0700";
          ReadWritePaths = [data metrics] ++ lib.optional isFolder cfg.target;
          Nice = 10;
          IOSchedulingClass = "idle";
        }
        // lib.optionalAttrs (!isFolder) {LoadCredential = ["password:${toString cfg.passwordFile}"];}
        // lib.optionalAttrs (cfg.environmentFile != null) {EnvironmentFile = cfg.environmentFile;};
    };
    systemd.timers.reelmill-hub-backup = {
      description = "Reelmill: when the hub is backed up";
      wantedBy = ["timers.target"];
      timerConfig = {
        OnCalendar = cfg.schedule;
        Persistent = true;
        RandomizedDelaySec = "30min";
      };
    };
  };
}
