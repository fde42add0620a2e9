# tegrastats tells of the engines only to root, and the agent is not root: a unit of root's runs it for each who asks at a socket
# that only the agent may open.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkMerge;
  unit = import ../../../lib/unit.nix {inherit lib;};
  socket = "/run/reelmill-tegrastats/socket";
  tools = pkgs.nvidia-jetpack.l4t-tools;
in {
  config = mkIf config.services.reelmill.agent.enable {
    systemd.sockets.reelmill-tegrastats = mkMerge [
      (unit "Socket" ../../../../agent/units/reelmill-tegrastats.socket)
      {listenStreams = [socket];}
    ];
    systemd.services."reelmill-tegrastats@" = mkMerge [
      (unit "Service" (../../../../agent/units + "/reelmill-tegrastats@.service"))
      {serviceConfig.ExecStart = "${tools}/bin/tegrastats --interval 1000";}
    ];
    services.reelmill.agent = {
      settings.tegrastats.socket = mkDefault socket;
      path = [tools pkgs.nvidia-jetpack.l4t-nvpmodel];
    };
  };
}
