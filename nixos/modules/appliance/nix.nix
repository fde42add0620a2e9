# Nix on the machine: it takes systems from the farm's cache and never builds, and its work goes last.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkForce mkIf mkOption types;
  cfg = config.reelmill.appliance;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  credentials = mkIf (cfg.cache.credentialsFile != null) {AWS_SHARED_CREDENTIALS_FILE = cfg.cache.credentialsFile;};
in {
  options.reelmill.appliance.cache = {
    urls = mkOption {
      type = types.listOf types.str;
      default = [];
      example = ["s3://releases?endpoint=hub.example.net:3900&scheme=http"];
      description = "Where systems come from: the farm's cache, as `publish` fills it.";
    };
    publicKeys = mkOption {
      type = types.listOf types.str;
      default = [];
      example = ["farm-1:bXlrZXk="];
      description = "Who may sign them.";
    };
    credentialsFile = mkSecretFile ''
      the keys of a cache that is a bucket, as AWS' programs have them: a section `[default]` with `aws_access_key_id` and
      `aws_secret_access_key`. Nix reads it where it lies'';
    public = mkOption {
      type = types.bool;
      default = false;
      description = "Whether what the farm's cache lacks may come from cache.nixos.org too.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.cache.urls == [] || cfg.cache.publicKeys != [];
        message = "reelmill.appliance.cache.publicKeys is empty: nothing from reelmill.appliance.cache.urls would be taken.";
      }
    ];
    nix = {
      channel.enable = mkDefault false;
      settings = {
        # What the store holds was built elsewhere: nodes have no compilers, and other work.
        max-jobs = mkDefault 0;
        builders-use-substitutes = mkDefault true;
        substituters = mkForce (cfg.cache.urls ++ lib.optional cfg.cache.public "https://cache.nixos.org/");
        trusted-public-keys =
          mkForce (cfg.cache.publicKeys ++ lib.optional cfg.cache.public "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");
        require-sigs = mkDefault true;
        trusted-users = mkDefault ["root"];
        allowed-users = mkDefault ["root"];
        experimental-features = ["nix-command" "flakes"];
        # A cache that does not answer must not hold up a change for minutes.
        connect-timeout = mkDefault 10;
        # Below this, a fetch makes room first.
        min-free = mkDefault (1024 * 1024 * 1024);
        max-free = mkDefault (3 * 1024 * 1024 * 1024);
        keep-derivations = mkDefault false;
        keep-outputs = mkDefault false;
        auto-optimise-store = mkDefault false;
      };
      daemonCPUSchedPolicy = mkDefault "batch";
      daemonIOSchedClass = mkDefault "idle";
    };
    systemd.services = lib.mkMerge [
      {
        nix-daemon = {
          environment = credentials;
          # Who has to die when memory ends: not the encoders.
          serviceConfig.OOMScoreAdjust = mkDefault 250;
        };
      }
      # It asks the caches itself.
      (mkIf config.services.reelmill.agent.enable {reelmill-exec.environment = credentials;})
    ];
  };
}
