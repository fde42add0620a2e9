# The plug-ins of the worker's media program, all in one folder: NVIDIA's elements and those of GStreamer beside them.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkOption types;
  cfg = config.reelmill.hardware.jetson;
  gst = pkgs.gst_all_1;
  packages = [gst.gstreamer gst.gst-plugins-base gst.gst-plugins-good gst.gst-plugins-bad pkgs.nvidia-jetpack.l4t-gstreamer];
in {
  options.reelmill.hardware.jetson.gstPlugins = mkOption {
    type = types.package;
    default = pkgs.runCommand "reelmill-gst-plugins" {} ''
      mkdir -p "$out"
      for folder in ${toString (map (package: "${lib.getLib package}/lib/gstreamer-1.0") packages)}; do
        ln -s "$folder"/*.so "$out"
      done
      rm "$out/libgstvideo4linux2.so"
    '';
    defaultText = lib.literalMD "GStreamer's plug-ins and those of L4T, but for `video4linux2`";
    description = ''
      A folder with the plug-ins. That of cameras, `video4linux2`, is left out: it brings nixpkgs' libv4l into the process, and
      with it NVIDIA's encoder says "It isn't a v4l2 driver" (jetpack-nixos issue 440).
    '';
  };

  config = {
    services.reelmill.worker.settings.media.gst_plugins = mkDefault ["${cfg.gstPlugins}"];
    # NVIDIA's libraries look for the graphics memory of the board's own processor by this.
    systemd.services.reelmill-worker.environment.AARCH64_IGPU = mkDefault "1";
  };
}
