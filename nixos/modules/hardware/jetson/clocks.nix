# Power mode and clocks. The encoder and the converter are clocked by their load, which an encode that waits for each frame
# never shows: with the governor `performance` they answer in two thirds of the time.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.hardware.jetson;
  clocks = pkgs.writeShellApplication {
    name = "reelmill-codec-clocks";
    text = builtins.readFile ./clocks.sh;
  };
in {
  options.reelmill.hardware.jetson = {
    powerMode = mkOption {
      type = types.nullOr types.ints.unsigned;
      default = 0;
      description = ''
        Number of the power mode in nvpmodel's file for the module; 0 is the highest on an Orin NX. `null`: the file's own
        default.
      '';
    };
    clocks = mkOption {
      type = types.enum ["codecs" "all" "load"];
      default = "codecs";
      description = ''
        What is always clocked as high as the power mode allows: the encoder, decoder and converter; everything; or nothing, so
        that all follows the load.
      '';
    };
  };

  config = {
    services.nvpmodel.enable = mkDefault true;
    services.nvpmodel.profileNumber = mkDefault cfg.powerMode;
    hardware.nvidia-jetpack.maxClock = mkDefault (cfg.clocks == "all");

    systemd.services.reelmill-codec-clocks = mkIf (cfg.clocks == "codecs") {
      description = "Reelmill: the clocks of the codecs and of the converter";
      # The power mode sets the highest clocks, and must not come after.
      after = ["nvpmodel.service"];
      before = ["reelmill-worker.service"];
      wantedBy = ["multi-user.target"];
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${lib.getExe clocks} /sys/class/devfreq";
        RemainAfterExit = true;
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateNetwork = true;
        NoNewPrivileges = true;
        CapabilityBoundingSet = "";
      };
    };
  };
}
