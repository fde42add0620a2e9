# A node's agent, and the root helper that does what the agent may not.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf mkMerge;
  cfg = config.services.reelmill.agent;
  unit = import ../lib/unit.nix {inherit lib;};
  toml = import ../lib/settings.nix {inherit lib pkgs;};
  units = ../../agent/units;

  settings = toml {
    name = "agent";
    inherit (cfg) settings package;
    program = "reelmill-agent";
  };
  program = name: lib.getExe' cfg.package name;
  agent = program "reelmill-agent";
  exec = program "reelmill-exec";

  helper = lib.generators.toKeyValue {} (lib.mapAttrs (_: value:
    if lib.isBool value
    then lib.boolToString value
    else value)
  cfg.helper.settings);

  # What the programs run: themselves, Nix, and systemd's own, which every unit finds.
  path = lib.unique ([cfg.package config.nix.package] ++ cfg.path);
  service = name: more: mkMerge [(unit "Service" (units + "/${name}.service")) {inherit path;} more];
in {
  imports = [./agent-options.nix];

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = !(cfg.settings ? page && cfg.settings.page ? password) || lib.hasPrefix "file:" cfg.settings.page.password || lib.hasPrefix "env:" cfg.settings.page.password;
        message = "services.reelmill.agent.settings.page.password would be readable by everybody in the Nix store; use services.reelmill.agent.pagePasswordFile";
      }
    ];

    services.reelmill.agent = {
      settings = mkMerge [
        (mkIf (cfg.pagePasswordFile != null) {page.password = "file:/run/credentials/reelmill-agent.service/page-password";})
        (mkIf (cfg.trustFile != null) {broker.trust = "/etc/reelmill/trust.json";})
      ];
      helper.settings.GUARD = cfg.guard;
    };

    environment.etc = mkMerge [
      {
        "reelmill/agent.toml".source = settings.checked;
        "reelmill/exec.env".text = helper;
      }
      (mkIf (cfg.trustFile != null) {"reelmill/trust.json".source = cfg.trustFile;})
    ];
    environment.systemPackages = [cfg.package];

    users.users.reelmill-agent = {
      isSystemUser = true;
      group = "reelmill-agent";
      description = "Reelmill node agent";
      home = "/var/lib/reelmill-agent";
      extraGroups = ["systemd-journal"];
    };
    users.groups.reelmill-agent = {};

    security.polkit = {
      enable = true;
      extraConfig = builtins.readFile (units + "/reelmill-agent.rules");
    };

    systemd.services = {
      reelmill-agent = service "reelmill-agent" {
        # Where a node that was flashed has its join file; the agent writes the token in it over once it is used.
        serviceConfig.ReadWritePaths = ["-/var/lib/reelmill-host"];
        serviceConfig.ExecStart = "${agent} --config ${settings.checked}";
        serviceConfig.LoadCredential = mkIf (cfg.pagePasswordFile != null) ["page-password:${cfg.pagePasswordFile}"];
      };
      reelmill-exec = service "reelmill-exec" {serviceConfig.ExecStart = exec;};
      reelmill-deadman = service "reelmill-deadman" {serviceConfig.ExecStart = "${exec} deadman --after-boot";};
      reelmill-guard = service "reelmill-guard" {serviceConfig.ExecStart = "${exec} guard";};
    };
    systemd.sockets.reelmill-exec = unit "Socket" (units + "/reelmill-exec.socket");
    systemd.paths.reelmill-guard = unit "Path" (units + "/reelmill-guard.path");
  };
}
