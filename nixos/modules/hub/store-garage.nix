# Garage as the store: on this machine alone, with a key of its own for the hub, the workers and the cache each.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.store;
  secrets = hub.secretsFolder;
  # Who may do what with which bucket; the buckets that are named here are made.
  rights = ''
    hub ${cfg.inputBucket} read write
    hub ${cfg.outputBucket} read write
    workers ${cfg.inputBucket} read
    workers ${cfg.outputBucket} read write
    cache ${cfg.cacheBucket} read write
  '';
  setup = pkgs.writeShellApplication {
    name = "reelmill-garage-setup";
    runtimeInputs = [pkgs.coreutils pkgs.curl pkgs.jq];
    text = builtins.readFile ./scripts/garage-setup.sh;
  };
  pair = name: {
    # Garage wants its own form: GK and 12 bytes.
    "store-${name}-access" = "GK<<hex12>>";
    "store-${name}-secret" = "<<hex32>>";
  };
in {
  config = mkIf (hub.enable && cfg.kind == "garage") {
    services.garage = {
      enable = true;
      package = mkDefault pkgs.garage_2;
      environmentFile = "${secrets}/garage.env";
      settings = {
        metadata_dir = mkDefault "/var/lib/garage/meta";
        data_dir = mkDefault "/var/lib/garage/data";
        db_engine = "lmdb";
        # Everything is here once: what must outlive this disk is for the backup, and for a mirror of the buckets.
        replication_factor = 1;
        rpc_bind_addr = "127.0.0.1:3901";
        rpc_public_addr = "127.0.0.1:3901";
        s3_api = {
          api_bind_addr = "${hub.listenAddress}:${toString cfg.port}";
          s3_region = cfg.region;
        };
        admin.api_bind_addr = "127.0.0.1:3903";
      };
    };
    environment.etc."reelmill/store-rights".text = rights;
    services.reelmill.hub.generatedSecrets =
      pair "hub"
      // pair "workers"
      // pair "cache"
      // {
        store-admin-token = "<<hex32>>";
        "garage.env" = "GARAGE_RPC_SECRET=<<hex32>>\\nGARAGE_ADMIN_TOKEN=<<store-admin-token>>\\nGARAGE_METRICS_TOKEN=<<hex32>>\\n";
      };
    systemd.services = {
      garage = {
        requires = ["reelmill-hub-secrets.service"];
        after = ["reelmill-hub-secrets.service"];
      };
      reelmill-store-setup = {
        description = "Reelmill: the store's layout, keys and buckets";
        wantedBy = ["multi-user.target"];
        before = ["reelmill-hub.service"];
        requires = ["garage.service"];
        after = ["garage.service"];
        restartTriggers = [rights];
        serviceConfig =
          import ../../lib/hardened.nix
          // {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = "${lib.getExe setup} http://127.0.0.1:3903 ${secrets} /etc/reelmill/store-rights";
            Restart = "on-failure";
            RestartSec = "5s";
            User = "reelmill-hub";
            Group = "reelmill-hub";
          };
      };
      reelmill-hub = {
        wants = ["reelmill-store-setup.service"];
        after = ["reelmill-store-setup.service"];
      };
    };
  };
}
