# The plug-ins of the worker's media program, all in one folder: NVIDIA's elements and those of GStreamer beside them.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkOption types;
  cfg = config.reelmill.hardware.jetson;
in {
  options.reelmill.hardware.jetson.gstPlugins = mkOption {
    type = types.package;
    default = pkgs.reelmill-gst-plugins;
    defaultText = lib.literalExpression "pkgs.reelmill-gst-plugins";
    description = ''
      A folder with the plug-ins. That of cameras, `video4linux2`, is left out: it brings nixpkgs' libv4l into the process, and
      with it NVIDIA's encoder says "It isn't a v4l2 driver" (jetpack-nixos issue 440).
    '';
  };

  config = {
    services.reelmill.worker.settings.media.gst_plugins = mkDefault ["${cfg.gstPlugins}"];
  };
}
