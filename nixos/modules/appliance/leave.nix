# A rented machine works until there is nothing left to do, and goes: each hour that it waits has to be paid for.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkForce mkIf mkOption types;
  cfg = config.reelmill.appliance;
  worker = config.services.reelmill.worker;
  leave = pkgs.writeShellApplication {
    name = "reelmill-leave";
    runtimeInputs = [config.systemd.package];
    text = builtins.readFile ./leave.sh;
  };
in {
  options.reelmill.appliance.leaveWhenDone = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the machine switches itself off once its lanes are empty and what it had leased is done. With most providers a
      machine that is off is still there and costs something: order it so that it is removed when it is off.
    '';
  };

  config = mkIf (cfg.enable && cfg.leaveWhenDone) {
    systemd.services.reelmill-worker.serviceConfig = {
      ExecStart = mkForce "${lib.getExe' worker.package "reelmill-worker"} --config /etc/reelmill/worker.toml --drain";
      Restart = mkForce "on-failure";
      # Who may switch a machine off is root, and not the worker.
      ExecStopPost = "+${lib.getExe leave} reelmill-worker.service";
    };
  };
}
