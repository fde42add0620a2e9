# A registry for container images: whose. Gitea and Distribution are here, Harbor is in `registry-harbor.nix`.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.registry;
  isLoopback = import ../../lib/loopback.nix {inherit lib;};
in {
  options.services.reelmill.hub.registry = {
    kind = mkOption {
      type = types.enum ["none" "distribution" "gitea" "harbor" "external"];
      default = "none";
      description = ''
        A registry for container images. Reelmill itself needs none. `distribution` is the plain one, without users: it listens
        on loopback unless `registry.listenAddress` says otherwise. `gitea` brings users, and a registry at `/v2/` of its own.
        `harbor` is about nine containers from the network (see `registry.harbor`). With `external` nothing is set up.
      '';
    };
    port = mkOption {
      type = types.port;
      default = 5000;
      description = "The registry's port.";
    };
    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = ''
        Where the registry listens; where that is not loopback, the firewall lets in whom it lets to the queue and the store.
        Distribution asks nobody who they are, so leave it on loopback, and put something before it that does.
      '';
    };
  };

  config = mkIf hub.enable (mkMerge [
    (mkIf (lib.elem cfg.kind ["distribution" "gitea" "harbor"]) {
      services.reelmill.hub.servicePorts = lib.optional (!isLoopback cfg.listenAddress) cfg.port;
    })
    (mkIf (cfg.kind == "distribution") {
      services.dockerRegistry = {
        enable = true;
        inherit (cfg) port listenAddress;
        enableDelete = mkDefault true;
        enableGarbageCollect = mkDefault true;
        garbageCollectDates = mkDefault "weekly";
      };
    })
    (mkIf (cfg.kind == "gitea") {
      services.gitea = {
        enable = true;
        appName = mkDefault "Reelmill's registry";
        database.type = mkDefault "sqlite3";
        settings = {
          server = {
            HTTP_ADDR = cfg.listenAddress;
            HTTP_PORT = cfg.port;
            DOMAIN = mkDefault (lib.head hub.names);
            ROOT_URL = mkDefault "http://${lib.head hub.names}:${toString cfg.port}/";
            DISABLE_SSH = mkDefault true;
          };
          packages.ENABLED = true;
          service = {
            DISABLE_REGISTRATION = true;
            REQUIRE_SIGNIN_VIEW = mkDefault true;
          };
          session.COOKIE_SECURE = mkDefault false;
        };
      };
    })
  ]);
}
