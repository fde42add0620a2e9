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
            Encoder sessions at once, one for each rendition with pictures; a task that needs more runs alone. `null` is an
            even share of what {option}`services.reelmill.worker.node.concurrency` leaves, or 1 where that is not set.
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
        gpu = mkOption {
          type = types.nullOr (types.strMatching "[0-9]{1,3}|(GPU|MIG)-[0-9a-f-]+");
          default = null;
          example = "0";
          description = ''
            The NVIDIA GPU that this instance uses: its number in {command}`nvidia-smi`, or its UUID. `null` is all of them,
            of which CUDA takes the first.
          '';
        };
        nvencSessions = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 8;
          description = ''
            Encoder sessions at once, one for each rendition that is being made. A task that needs more than are free is given
            back for later. `null` is as many as the driver gives.
          '';
        };
        gpuMemoryMiB = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 4096;
          description = ''
            How much of the GPU's memory this instance plans with. Neither driver nor kernel can hold a process to a part of
            it, so what is held is the number of encoder sessions: this, divided by {option}`gpuMemoryPerSessionMiB`, and
            {option}`nvencSessions` if that is less. Decoding and scaling of a task count as part of its sessions.
          '';
        };
        gpuMemoryPerSessionMiB = mkOption {
          type = types.ints.positive;
          default = 512;
          description = ''
            How much of the GPU's memory one encoder session is taken to need. It is an estimate with room for 4K; look at
            {command}`nvidia-smi` while a ladder of yours is made, and divide by its renditions.
          '';
        };
        batch = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether this instance works until its lanes are empty, and ends then. It does not start by itself: start its unit,
            or set {option}`startAt`.
          '';
        };
        startAt = mkOption {
          type = types.listOf types.str;
          default = [];
          example = ["Mon..Fri 22:00"];
          description = "When a batch begins, as in {manpage}`systemd.time(7)`.";
        };
        presetFolder = mkOption {
          type = types.nullOr types.path;
          default = cfg.presetFolder;
          defaultText = lib.literalExpression "config.services.reelmill.worker.presetFolder";
          description = "Folder with presets of your own, `NAME.toml` each.";
        };
        container = {
          enable = mkEnableOption "running this instance from an OCI image, under podman";
          image = mkOption {
            type = types.str;
            default = "";
            example = "hub.example.net:5000/reelmill/worker-nvenc:0.1.0";
            description = "The image, as {command}`push-images` names it when it has pushed it to a registry.";
          };
          credentialsFile = mkSecretFile "who this node is at the registry, as {command}`skopeo login --authfile FILE REGISTRY` writes it";
          plainHttp = mkOption {
            type = types.bool;
            default = false;
            description = "Whether the registry has no TLS, as the hub's `distribution` has none of its own.";
          };
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
      package = mkPackageOption pkgs "reelmill-worker" {};
      settings = mkOption {
        type = toml.type;
        default = {};
        example = lib.literalExpression ''{ store.endpoint = "http://hub:3900"; }'';
        description = "Settings of all instances, as in the worker's TOML file. No secret belongs here.";
      };
      presetFolder = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = lib.literalExpression "./presets";
        description = "Folder with presets of your own, `NAME.toml` each, for all instances.";
      };
      node = {
        concurrency = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          description = ''
            Encoder sessions at once on this node, all instances together, and batches by command with them. The workers count
            them together, whatever each of them may do; a task that needs more runs alone.
          '';
        };
        pixelBudget = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 500000000;
          description = ''
            Pixels per second that this node encodes at once, all renditions of all tasks of all instances together;
            1920x1080 at 30 frames per second are 62208000. A task that is heavier runs alone. `null` sets no bound.
          '';
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
