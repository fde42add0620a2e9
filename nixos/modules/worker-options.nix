# What can be said of the workers of a node.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkOption mkPackageOption types;
  ours = import ../lib/types.nix {inherit lib;};
  inherit (ours) mkSecretFile;
  cfg = config.services.reelmill.worker;
  toml = pkgs.formats.toml {};

  credentials = {
    queueUrlFile = mkSecretFile "the queue's address, which may hold a password, e.g. `redis://:password@hub:6379`";
    accessKeyFile = mkSecretFile "the store's access key";
    secretKeyFile = mkSecretFile "the store's secret key";
  };
  # An instance has the node's unless it says otherwise.
  inherited = lib.mapAttrs (name: option:
    option
    // {
      default = cfg.${name};
      defaultText = lib.literalExpression "config.services.reelmill.worker.${name}";
    })
  credentials;

  instance = {
    options =
      inherited
      // {
        enable = mkEnableOption "this instance" // {default = true;};
        presets = mkOption {
          type = types.nonEmptyListOf types.str;
          default = ["all"];
          example = ["hls-ladder" "proxy"];
          description = "Presets to serve; `all` is all of those that the machine can make.";
        };
        concurrency = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          description = ''
            Tasks at once. `null` is an even share of what {option}`services.reelmill.worker.node.concurrency` leaves, or 1
            where that is not set.
          '';
        };
        hwaccel = mkOption {
          type = types.enum ["auto" "cuda" "jetson" "none"];
          default = "auto";
          description = "What encodes: the hardware that is there, NVIDIA's insisted on, a Jetson's insisted on, or software.";
        };
        nvencPreset = mkOption {
          type = types.strMatching "p[1-7]";
          default = "p4";
          description = "Effort of hardware encoders, `p1` (fastest) to `p7` (best).";
        };
        tags = mkOption {
          type = types.listOf types.str;
          default = cfg.node.tags;
          defaultText = lib.literalExpression "config.services.reelmill.worker.node.tags";
          example = ["lan"];
          description = "What is said of this instance: presets that require a tag are served only where it is.";
        };
        cpuQuota = mkOption {
          type = types.nullOr ours.percent;
          default = null;
          example = "400%";
          description = "Processor time of this instance and its media programs; 100% is one processor.";
        };
        memoryMax = mkOption {
          type = types.nullOr ours.size;
          default = null;
          example = "8G";
          description = "Memory of this instance and its media programs; who needs more is ended, and its task tried again.";
        };
        settings = mkOption {
          type = toml.type;
          default = {};
          example = lib.literalExpression ''{ media.stall_seconds = 60; files.read = [ "/srv/films" ]; }'';
          description = ''
            More of the worker's settings, as in its TOML file; docs/operate/worker.md lists them. They come on top of
            {option}`services.reelmill.worker.settings`. The program looks at them when the system is built. No secret
            belongs here: everybody may read the Nix store.
          '';
        };
      };
  };
in {
  options.services.reelmill.worker =
    credentials
    // {
      package = mkPackageOption pkgs "reelmill" {};
      settings = mkOption {
        type = toml.type;
        default = {};
        example = lib.literalExpression ''{ store.endpoint = "http://hub:3900"; }'';
        description = "Settings of all instances, as in the worker's TOML file. No secret belongs here.";
      };
      node = {
        concurrency = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          description = "Tasks at once on this node, all instances together.";
        };
        tags = mkOption {
          type = types.listOf types.str;
          default = [];
          description = "What is said of this node; each instance has these tags unless it says otherwise.";
        };
        cpuQuota = mkOption {
          type = types.nullOr ours.percent;
          default = null;
          example = "1200%";
          description = "Processor time of all instances together; 100% is one processor.";
        };
        memoryMax = mkOption {
          type = types.nullOr ours.size;
          default = null;
          example = "90%";
          description = "Memory of all instances together.";
        };
      };
      instances = mkOption {
        type = types.attrsOf (types.submodule instance);
        default = {};
        example = lib.literalExpression "{ default = {}; }";
        description = ''
          The workers of this node, by name. `default` is {file}`reelmill-worker.service`, any other NAME is
          {file}`reelmill-worker@NAME.service`.
        '';
      };
    };
}
