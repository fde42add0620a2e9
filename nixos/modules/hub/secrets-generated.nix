# Secrets that the hub draws at its first start, for its own services and for the workers that are to reach them.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.generatedSecrets;
  draw = pkgs.writeShellApplication {
    name = "reelmill-hub-secrets";
    runtimeInputs = [pkgs.coreutils];
    text = builtins.readFile ./scripts/draw-secrets.sh;
  };
  # A template's name and text: a line for each.
  templates = lib.concatStrings (lib.mapAttrsToList (name: text: "${name} ${text}\n") cfg);
in {
  options.services.reelmill.hub = {
    generatedSecrets = mkOption {
      type = types.attrsOf (types.strMatching "[^\n]*");
      default = {};
      internal = true;
      description = ''
        Files below `secrets` in the hub's data folder that are made at the first start and never again: the name, and the
        text, in which `<<hexN>>` stands for N random bytes in hexadecimal digits and `<<NAME>>` for what is in another of these
        files.
      '';
    };
    workerEnvironment = mkOption {
      type = types.attrsOf types.str;
      default = {};
      description = ''
        What workers on nodes are told in `secrets/worker.env` in the hub's data folder, which `reelmill image configure` puts
        on a node: variables and their values, in which `<<NAME>>` stands for the content of the file NAME beside it. The services
        here fill it in.
      '';
    };
  };

  config = mkMerge [
    (mkIf (hub.enable && hub.workerEnvironment != {}) {
      # The file has several lines: `\n` stands for their ends.
      services.reelmill.hub.generatedSecrets."worker.env" = lib.concatStrings (lib.mapAttrsToList (name: value: "${name}=${value}\\n") hub.workerEnvironment);
    })
    # Mosquitto has nothing drawn, and needs the folder that this makes.
    (mkIf (hub.enable && (cfg != {} || hub.broker.kind == "mosquitto")) {
      environment.etc."reelmill/hub-secrets".text = templates;
      systemd.services.reelmill-hub-secrets = {
        description = "Reelmill: draws the secrets of the hub's services";
        requiredBy = ["reelmill-hub.service"];
        before = ["reelmill-hub.service"];
        wantedBy = ["multi-user.target"];
        restartTriggers = [templates];
        serviceConfig =
          import ../../lib/hardened.nix
          // {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = "${lib.getExe draw} /etc/reelmill/hub-secrets ${hub.secretsFolder}";
            User = "reelmill-hub";
            Group = "reelmill-hub";
            StateDirectory = "reelmill-hub";
            StateDirectoryMode = "0700";
            PrivateNetwork = true;
            RestrictAddressFamilies = "AF_UNIX";
          };
      };
    })
  ];
}
