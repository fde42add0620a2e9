# What can be said of the hub.
{
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkOption mkPackageOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  toml = pkgs.formats.toml {};
in {
  options.services.reelmill.hub = {
    enable = mkEnableOption "the Reelmill hub: the job API, its page, and the farm's register of nodes";
    package = mkPackageOption pkgs "reelmill" {};
    settings = mkOption {
      description = ''
        The hub's settings, as in its TOML file; docs/operate/hub.md lists them. The program looks at them when the system is
        built. No secret belongs here: everybody may read the Nix store.
      '';
      default = {};
      type = types.submodule {
        freeformType = toml.type;
        options = {
          listen = mkOption {
            type = types.str;
            default = "127.0.0.1:7700";
            description = "Where the API and the page are served; a loopback address.";
          };
          data = mkOption {
            type = types.path;
            default = "/var/lib/reelmill-hub";
            description = "Folder of the database, the farm's certificate authority, and of whatever is embedded.";
          };
        };
      };
    };
    queueUrlFile = mkSecretFile "the queue's address, which may hold a password, e.g. `redis://:password@127.0.0.1:6379`";
    accessKeyFile = mkSecretFile "the store's access key";
    secretKeyFile = mkSecretFile "the store's secret key";
  };
}
