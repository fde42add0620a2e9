# The registries: their settings as their modules write them.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub;
  distribution = (hub {registry.kind = "distribution";}).services.dockerRegistry;
  gitea = (hub {registry.kind = "gitea";}).services.gitea;
in {
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
  "gitea.ini" = lib.generators.toINI {} gitea.settings;
}
