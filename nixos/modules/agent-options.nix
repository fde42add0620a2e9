# What can be said of a node's agent and its root helper.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkEnableOption mkOption mkPackageOption types;
  inherit (import ../lib/types.nix {inherit lib;}) mkSecretFile;
  toml = pkgs.formats.toml {};
  instances = import ../lib/instances.nix {inherit lib;} config.services.reelmill.worker;
in {
  options.services.reelmill.agent = {
    enable = mkEnableOption "the Reelmill agent, which tells how this node is and does what the farm's operators command";
    package = mkPackageOption pkgs "reelmill-agent" {};

    settings = mkOption {
      description = ''
        The agent's settings, as in its TOML file; docs/operate/agent.md lists them. The program looks at them when the system
        is built. No secret belongs here: everybody may read the Nix store.
      '';
      default = {};
      type = types.submodule {
        freeformType = toml.type;
        options = {
          units = mkOption {
            type = types.listOf types.str;
            default = map (name: "${instances.unit name}.service") instances.names;
            defaultText = lib.literalMD "the units of `services.reelmill.worker.instances`";
            description = "Units of systemd that are watched.";
          };
          join = mkOption {
            type = types.listOf types.path;
            default = [
              "/var/lib/reelmill-host/join.toml"
              "/boot/reelmill/join.toml"
              "/efi/reelmill/join.toml"
            ];
            description = "Files that bring the node into a farm; the first that is there counts.";
          };
          page.listen = mkOption {
            type = types.listOf types.str;
            default = ["127.0.0.1:9310"];
            example = ["127.0.0.1:9310" "192.168.1.77:9310"];
            description = ''
              Addresses where the status page, its JSON and the metrics are served. One that other machines can reach needs
              {option}`services.reelmill.agent.pagePasswordFile`, or `page.without_password = true`.
            '';
          };
        };
      };
    };

    pagePasswordFile = mkSecretFile "the password that the status page asks for";

    trustFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./trust.json";
      description = ''
        Whose commands this node obeys, as `reelmill keys trust` writes it. It holds public keys and may be in the Nix store.
        With it neither agent nor hub can change whom the node obeys; without it the hub says so once, when it takes the
        node in.
      '';
    };

    guard = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a system that `nixos-rebuild switch` or `test` puts into force by hand is judged: where the node is not as
        well as before after 5 minutes, the last good system comes back.
      '';
    };

    helper.settings = mkOption {
      type = types.attrsOf (types.oneOf [types.str types.int types.bool]);
      default = {};
      example = {IDLE_SECONDS = 120;};
      description = ''
        Settings of the root helper as environment variables ({file}`/etc/reelmill/exec.env`); docs/operate/agent.md lists
        them. No secret belongs here.
      '';
    };

    path = mkOption {
      type = types.listOf types.package;
      default = [];
      description = ''
        More packages whose programs the agent and its root helper find, e.g. the one that brings `nvpmodel` and
        `tegrastats` on a Jetson.
      '';
    };
  };
}
