# The S3 store: whose, its buckets, and what the hub and the workers are told of it. The servers are in `store-*.nix`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.store;
  isLoopback = import ../../lib/loopback.nix {inherit lib;};
  own = lib.elem cfg.kind ["garage" "rustfs" "minio"];
  secrets = hub.secretsFolder;
in {
  options.services.reelmill.hub.store = {
    kind = mkOption {
      type = types.enum ["garage" "rustfs" "minio" "embedded" "external"];
      default = "embedded";
      description = ''
        The S3 store. `embedded` is the hub's own, for a farm of one machine, and goes with `queue.kind = "sqlite"`. `garage`
        runs one beside the hub: the hub's appliance has that. `rustfs` needs a nixpkgs newer than 26.05.
        `minio` is given up by those who made it, and nixpkgs calls it insecure: choose it only to move away from it.
        `external` is yours: set `endpoint`, and the hub's `accessKeyFile` and `secretKeyFile`.
      '';
    };
    port = mkOption {
      type = types.port;
      default = 3900;
      description = "The port of the store that is run here.";
    };
    endpoint = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://s3.example.net";
      description = "An external store's address.";
    };
    region = mkOption {
      type = types.str;
      default = "us-east-1";
      description = "The region that requests are signed for.";
    };
    inputBucket = mkOption {
      type = types.str;
      default = "media-ingest";
      description = "Where uploads go.";
    };
    outputBucket = mkOption {
      type = types.str;
      default = "media-output";
      description = "Where outputs go that name no place.";
    };
    cacheBucket = mkOption {
      type = types.str;
      default = "nix-cache";
      description = "Where systems for the nodes are kept, for the farm's own binary cache.";
    };
  };

  config = mkIf hub.enable (mkMerge [
    (mkIf (cfg.kind != "embedded") {
      services.reelmill.hub = {
        settings.store = {
          region = mkDefault cfg.region;
          input_bucket = mkDefault cfg.inputBucket;
          output_bucket = mkDefault cfg.outputBucket;
        };
        workerEnvironment = {
          AWS_REGION = cfg.region;
          INPUT_BUCKET = cfg.inputBucket;
          OUTPUT_BUCKET = cfg.outputBucket;
        };
      };
    })
    (mkIf (cfg.kind == "external") {
      assertions = [
        {
          assertion = cfg.endpoint != null && hub.accessKeyFile != null && hub.secretKeyFile != null;
          message = ''
            services.reelmill.hub.store.kind = "external" needs store.endpoint, accessKeyFile and secretKeyFile.
          '';
        }
      ];
      services.reelmill.hub = mkIf (cfg.endpoint != null) {
        settings.store.endpoint = mkDefault cfg.endpoint;
        workerEnvironment.S3_ENDPOINT_URL = cfg.endpoint;
      };
    })
    (mkIf own {
      services.reelmill.hub = {
        servicePorts = lib.optional (!isLoopback hub.listenAddress) cfg.port;
        settings.store.endpoint = mkDefault "http://127.0.0.1:${toString cfg.port}";
        accessKeyFile = mkDefault "${secrets}/store-hub-access";
        secretKeyFile = mkDefault "${secrets}/store-hub-secret";
        workerEnvironment = {
          S3_ENDPOINT_URL = "http://${lib.head hub.names}:${toString cfg.port}";
          AWS_ACCESS_KEY_ID = "<<store-workers-access>>";
          AWS_SECRET_ACCESS_KEY = "<<store-workers-secret>>";
        };
      };
    })
  ]);
}
