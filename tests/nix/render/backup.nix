# Backups: to a folder, and by restic.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub unit;
  folder = hub {
    backup = {
      enable = true;
      target = "/mnt/backup/reelmill";
      recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"];
    };
  };
  restic = hub {
    database.kind = "postgresql";
    backup = {
      enable = true;
      target = "s3:https://s3.example.net/reelmill-backup";
      passwordFile = "/var/lib/secrets/restic";
      environmentFile = "/var/lib/secrets/restic.env";
    };
  };
  name = "reelmill-hub-backup";
in {
  "folder.service" = unit folder "${name}.service";
  "folder.timer" = unit folder "${name}.timer";
  "restic.service" = unit restic "${name}.service";
}
