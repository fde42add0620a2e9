# A hub that works too: a farm of one machine. What a node is otherwise brought, its worker and its agent get of the hub here.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (config.services.reelmill) hub worker;
  instances = import ../lib/instances.nix {inherit lib;} worker;
  native = lib.filter (name: !worker.instances.${name}.container.enable) instances.names;
  state = "/var/lib/reelmill-host";

  given = "-${state}/worker.env";
  changed = "/var/lib/reelmill-exec/worker.env";
  # What the hub has drawn comes first: what a person or a command gave wins over it. Without it there is no queue, so a unit that
  # does not find it says that.
  told = later: {
    wants = ["reelmill-hub-secrets.service"];
    after = ["reelmill-hub-secrets.service"];
    serviceConfig.EnvironmentFile = lib.mkForce (["${hub.secretsFolder}/worker.env"] ++ later);
  };
  workers = lib.listToAttrs (map (name:
    lib.nameValuePair (instances.unit name) (told ([given] ++ lib.optional (name == "default") "-${changed}")))
  native);
  commands = {
    "reelmill-batch@" = told [given "-${changed}"];
    "reelmill-examine@" = told [given "-${changed}"];
    reelmill-exec-check = told [given "${changed}.pending"];
  };

  join = pkgs.writeShellApplication {
    name = "reelmill-own-node";
    runtimeInputs = [hub.package];
    text = builtins.readFile ../modules/hub/scripts/own-node.sh;
  };
in {
  imports = [./hub.nix ./node.nix];

  systemd.services = lib.mkMerge [
    (lib.mkIf (hub.workerEnvironment != {}) (workers // commands))
    {
      # A node takes the operators' keys once, when it comes in: it waits until the hub has them.
      reelmill-own-node = {
        description = "Reelmill: lets this machine's own node into the farm";
        wantedBy = ["multi-user.target"];
        wants = ["reelmill-hub.service"];
        after = ["reelmill-hub.service" "reelmill-first-boot.service"];
        unitConfig.ConditionPathExists = [
          "${hub.settings.data}/trust.json"
          # Whoever brings a join file means another farm, or the same one in his own way.
          "!${state}/join.toml"
          "!/var/lib/reelmill-agent/enrolled.toml"
        ];
        serviceConfig =
          import ../lib/hardened.nix
          // {
            Type = "oneshot";
            User = "reelmill-hub";
            Group = "reelmill-hub";
            ExecStart = "${lib.getExe join} %l /etc/reelmill/hub.toml %t/reelmill-own-node/join.toml";
            # As root: the folder is root's, and the file becomes the agent's.
            ExecStartPost = "+${pkgs.coreutils}/bin/install --owner=reelmill-agent --group=reelmill-agent --mode=0600 %t/reelmill-own-node/join.toml ${state}/join.toml";
            RuntimeDirectory = "reelmill-own-node";
            RuntimeDirectoryMode = "0700";
            ReadWritePaths = [hub.settings.data];
            PrivateNetwork = true;
            RestrictAddressFamilies = "AF_UNIX";
          };
      };
    }
  ];
  systemd.paths.reelmill-own-node = {
    description = "Reelmill: waits for the operators' keys, with which this machine's own node comes in";
    wantedBy = ["multi-user.target"];
    pathConfig.PathChanged = "${hub.settings.data}/trust.json";
  };
}
