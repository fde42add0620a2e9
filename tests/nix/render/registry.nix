# The registries: their settings as their modules write them.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) etc hub unit;
  distribution = (hub {registry.kind = "distribution";}).services.dockerRegistry;
  gitea = (hub {registry.kind = "gitea";}).services.gitea;
  harbor = hub {registry.kind = "harbor";};
  theirs = hub {
    registry = {
      kind = "harbor";
      harbor = {
        database = {
          host = "db.example.net";
          passwordFile = "/var/lib/secrets/harbor-db";
        };
        redis = {
          address = "redis.example.net:6379";
          passwordFile = "/var/lib/secrets/harbor-redis";
        };
        digests.harbor-core = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
      };
    };
  };
  containers = config: lib.mapAttrs (_: c: {inherit (c) image dependsOn environmentFiles extraOptions ports volumes;}) config.virtualisation.oci-containers.containers;
  ports = options: let
    machine = hub ({
        openFirewall = true;
        broker.kind = "none";
      }
      // options);
  in
    machine.networking.firewall.allowedTCPPorts;
  plain = lib.filterAttrs (name: _: lib.hasPrefix "reelmill/harbor/" name) harbor.environment.etc;
in
  lib.mapAttrs' (name: file: lib.nameValuePair "harbor/${baseNameOf name}" file.text) plain
  // {
    "harbor/containers.json" = builtins.toJSON (containers harbor);
    "harbor/containers-with-yours.json" = builtins.toJSON (containers theirs);
    "harbor/drawn" = etc harbor "hub-secrets";
    "harbor/drawn-with-yours" = etc theirs "hub-secrets";
    "harbor/reelmill-harbor-setup.service" = unit harbor "reelmill-harbor-setup.service";
    "distribution.yml" = builtins.toJSON {
      version = "0.1";
      log.fields.service = "registry";
      storage = {
        cache.blobdescriptor = "inmemory";
        delete.enabled = distribution.enableDelete;
        filesystem.rootdirectory = "/var/lib/docker-registry";
      };
      http = {
        addr = "${distribution.listenAddress}:${toString distribution.port}";
        headers.X-Content-Type-Options = ["nosniff"];
      };
      health.storagedriver = {
        enabled = true;
        interval = "10s";
        threshold = 3;
      };
    };
    # Whom the firewall lets in, by what listens where.
    "ports" = lib.concatStrings (lib.mapAttrsToList (name: options: "${name}: ${toString (ports options)}\n") {
      "all on loopback".registry.kind = "distribution";
      "queue and store for others" = {
        listenAddress = "0.0.0.0";
        registry.kind = "distribution";
      };
      "the registry alone for others".registry = {
        kind = "gitea";
        listenAddress = "10.0.0.2";
      };
      "Harbor too" = {
        listenAddress = "0.0.0.0";
        registry = {
          kind = "harbor";
          listenAddress = "0.0.0.0";
          port = 5443;
        };
      };
      "no registry of ours" = {
        listenAddress = "0.0.0.0";
        registry = {
          kind = "external";
          listenAddress = "0.0.0.0";
        };
      };
    });
    "gitea.ini" = lib.generators.toINI {} gitea.settings;
  }
