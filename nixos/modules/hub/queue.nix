# The queue: whose, and what the hub and the workers are told of it. The servers are in `queue-*.nix`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
in {
  options.services.reelmill.hub.queue = {
    kind = mkOption {
      type = types.enum ["redis" "sqlite" "rabbitmq" "nats" "external"];
      default = "sqlite";
      description = ''
        The queue. `sqlite` is the hub's own, for a farm of one machine, and goes with `store.kind = "embedded"`. `redis`,
        `rabbitmq` and `nats` run one beside the hub: the hub's appliance has Redis. With `external` its address is in
        `queueUrlFile`; it may be any of these, or SQS.
      '';
    };
    port = mkOption {
      type = types.port;
      default =
        {
          rabbitmq = 5672;
          nats = 4222;
        }
        .${
          cfg.kind
        }
        or 6379;
      defaultText = lib.literalMD "6379 for Redis, 5672 for RabbitMQ, 4222 for NATS";
      description = "The port of the queue that is run here.";
    };
  };

  config = mkIf hub.enable (mkMerge [
    {
      assertions = [
        {
          assertion = (cfg.kind == "sqlite") == (hub.store.kind == "embedded");
          message = ''
            services.reelmill.hub.queue.kind = "${cfg.kind}" and store.kind = "${hub.store.kind}": the hub brings both queue and
            store or neither; use "sqlite" with "embedded".
          '';
        }
        {
          assertion = cfg.kind == "external" -> hub.queueUrlFile != null;
          message = ''
            services.reelmill.hub.queueUrlFile is not set, and with queue.kind = "external" only you know the address.
          '';
        }
      ];
    }
    (mkIf (lib.elem cfg.kind ["redis" "rabbitmq" "nats"]) {
      services.reelmill.hub = {
        servicePorts = [cfg.port];
        # Only letters and digits, so it can stand in an address as it is.
        generatedSecrets.queue-password = "<<hex32>>";
      };
    })
  ]);
}
