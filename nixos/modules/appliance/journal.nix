# The journal outlasts boots, and never fills the disk or wears out a card.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.journal.maxSize = mkOption {
    type = types.strMatching "[0-9]+[KMGT]";
    default = "500M";
    description = "The most that the journal takes on the disk; the oldest goes first.";
  };

  config = mkIf cfg.enable {
    services.journald.extraConfig = ''
      Storage=persistent
      SystemMaxUse=${cfg.journal.maxSize}
      SystemKeepFree=1G
      RuntimeMaxUse=64M
      MaxRetentionSec=90day
      SyncIntervalSec=1min
      RateLimitIntervalSec=30s
      RateLimitBurst=5000
      ForwardToSyslog=no
    '';
    # journald does that.
    services.logrotate.enable = lib.mkDefault false;
  };
}
