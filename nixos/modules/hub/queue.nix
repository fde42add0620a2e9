# The queue: whose, and what the hub and the workers are told of it. The servers are in `queue-*.nix`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.queue;
  isLoopback = import ../../lib/loopback.nix {inherit lib;};
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
    server = mkOption {
      internal = true;
      type = types.nullOr (
        types.submodule {
          options = {
            unit = mkOption {
              internal = true;
              type = types.str;
              description = "Its unit.";
            };
            url = mkOption {
              internal = true;
              type = types.functionTo types.str;
              description = "Its address, by the name of its host.";
            };
          };
        }
      );
      default = null;
      description = "The server that is run here.";
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
    (mkIf (cfg.server != null) {
      services.reelmill.hub = {
        servicePorts = lib.optional (!isLoopback hub.listenAddress) cfg.port;
        generatedSecrets = {
          # Only letters and digits, so it can stand in an address as it is.
          queue-password = "<<hex32>>";
          queue-url = cfg.server.url "127.0.0.1";
        };
        queueUrlFile = mkDefault "${hub.secretsFolder}/queue-url";
        workerEnvironment.QUEUE_URL = cfg.server.url (lib.head hub.names);
      };
      systemd.services = {
        ${cfg.server.unit} = {
          requires = ["reelmill-hub-secrets.service"];
          after = ["reelmill-hub-secrets.service"];
        };
        reelmill-hub = {
          wants = ["${cfg.server.unit}.service"];
          after = ["${cfg.server.unit}.service"];
        };
      };
    })
  ]);
}
