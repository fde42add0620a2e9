# An NVIDIA Jetson. jetpack-nixos brings the kernel and NVIDIA's libraries; here it is made into a node.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkOption types;
  cfg = config.reelmill.hardware.jetson;
in {
  imports = [./jetson/clocks.nix ./jetson/gstreamer.nix ./jetson/tegrastats.nix];

  options.reelmill.hardware = {
    kind = mkOption {
      type = types.enum ["jetson"];
      default = "jetson";
      readOnly = true;
      description = "What the machine is made of, by the module that it was given.";
    };
    jetson = {
      som = mkOption {
        type = types.str;
        default = "orin-nx";
        example = "orin-agx";
        description = ''
          The module, as {option}`hardware.nvidia-jetpack.som` names them. `orin-nx` is both the 16 GB and the 8 GB one. Those
          with `orin-nano` have no encoder: the worker encodes by software there.
        '';
      };
      carrierBoard = mkOption {
        type = types.str;
        default = "devkit";
        description = "The board that the module sits on, as {option}`hardware.nvidia-jetpack.carrierBoard` names them.";
      };
      jetpack = mkOption {
        type = types.enum ["5" "6" "7"];
        default = "6";
        description = ''
          NVIDIA's release. The firmware on the module must be of the same one: see docs/operate/jetson.md.
        '';
      };
      super = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the module was flashed with the firmware that allows the higher power modes.";
      };
    };
  };

  config = {
    nixpkgs.config.allowUnfree = true;
    hardware.nvidia-jetpack = {
      enable = true;
      som = mkDefault cfg.som;
      carrierBoard = mkDefault cfg.carrierBoard;
      majorVersion = mkDefault cfg.jetpack;
      super = mkDefault cfg.super;
      # It would have all of nixpkgs built anew with CUDA; encoders need none of it.
      configureCuda = mkDefault false;
      # Firmware goes forward only. It is a command of its own, never a side effect of another system.
      firmware.autoUpdate = mkDefault false;
      modesetting.enable = mkDefault false;
    };
    # NVIDIA's libraries in /run/opengl-driver.
    hardware.graphics.enable = mkDefault true;
    # A node has no camera.
    services.nvargus-daemon.enable = mkDefault false;
  };
}
