# RustFS and MinIO as the store. Neither has keys of its own for hub and workers here: both get the one that owns all.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge;
  hub = config.services.reelmill.hub;
  cfg = hub.store;
  secrets = hub.secretsFolder;
  setup = pkgs.writeShellApplication {
    name = "reelmill-buckets";
    runtimeInputs = [pkgs.coreutils pkgs.curl];
    text = builtins.readFile ./scripts/buckets.sh;
  };
  unit = "${cfg.kind}.service";
in {
  options.services.reelmill.hub.store.rustfs.package = lib.mkPackageOption pkgs "rustfs" {
    extraDescription = "It is not in nixpkgs 26.05: take it from a newer one.";
  };

  config = mkIf (hub.enable && lib.elem cfg.kind ["rustfs" "minio"]) (mkMerge [
    {
      services.reelmill.hub.generatedSecrets = {
        store-hub-access = "reelmill<<hex6>>";
        store-hub-secret = "<<hex32>>";
        store-workers-access = "<<store-hub-access>>";
        store-workers-secret = "<<store-hub-secret>>";
      };
      systemd.services = {
        ${cfg.kind} = {
          requires = ["reelmill-hub-secrets.service"];
          after = ["reelmill-hub-secrets.service"];
        };
        reelmill-store-setup = {
          description = "Reelmill: the store's buckets";
          wantedBy = ["multi-user.target"];
          before = ["reelmill-hub.service"];
          requires = [unit];
          after = [unit];
          serviceConfig =
            import ../../lib/hardened.nix
            // {
              Type = "oneshot";
              RemainAfterExit = true;
              ExecStart = lib.escapeShellArgs [
                (lib.getExe setup)
                "http://127.0.0.1:${toString cfg.port}"
                cfg.region
                secrets
                cfg.inputBucket
                cfg.outputBucket
                cfg.cacheBucket
              ];
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
    }
    (mkIf (cfg.kind == "minio") {
      warnings = [
        ''
          services.reelmill.hub.store.kind = "minio": MinIO's community edition is archived and gets no fixes, also not of its
          security. Move the buckets to Garage ("garage", for example by rclone), and choose that.
        ''
      ];
      # The word of the operator who chose it; nixpkgs calls it insecure.
      nixpkgs.config.allowInsecurePredicate = mkDefault (package: lib.getName package == "minio");
      services.minio = {
        enable = true;
        listenAddress = "${hub.listenAddress}:${toString cfg.port}";
        browser = false;
        inherit (cfg) region;
        rootCredentialsFile = "${secrets}/minio.env";
      };
      services.reelmill.hub.generatedSecrets."minio.env" = "MINIO_ROOT_USER=<<store-hub-access>>\\nMINIO_ROOT_PASSWORD=<<store-hub-secret>>\\n";
    })
    (mkIf (cfg.kind == "rustfs") {
      services.reelmill.hub.generatedSecrets."rustfs.env" = "RUSTFS_ACCESS_KEY=<<store-hub-access>>\\nRUSTFS_SECRET_KEY=<<store-hub-secret>>\\n";
      # nixpkgs 26.05 has no module for it.
      systemd.services.rustfs = {
        description = "RustFS, the S3 store of Reelmill";
        wantedBy = ["multi-user.target"];
        after = ["network.target"];
        environment = {
          RUSTFS_VOLUMES = "/var/lib/rustfs";
          RUSTFS_ADDRESS = "${hub.listenAddress}:${toString cfg.port}";
          RUSTFS_CONSOLE_ENABLE = "false";
          RUSTFS_REGION = cfg.region;
        };
        serviceConfig =
          import ../../lib/hardened.nix
          // {
            ExecStart = lib.getExe' cfg.rustfs.package "rustfs";
            EnvironmentFile = "${secrets}/rustfs.env";
            DynamicUser = true;
            StateDirectory = "rustfs";
            Restart = "on-failure";
            RestartSec = "5s";
            LimitNOFILE = 1048576;
            # A server of others, which nobody has run here: what it may look at and call is not known that well.
            ProcSubset = "all";
            MemoryDenyWriteExecute = false;
            SystemCallFilter = "@system-service";
            RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
          };
      };
    })
  ]);
}
