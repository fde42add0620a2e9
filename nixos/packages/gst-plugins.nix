# The plug-ins of the Jetson's child, all in one folder: NVIDIA's elements and those of GStreamer beside them.
{
  lib,
  runCommand,
  gst_all_1,
  nvidia-jetpack,
}:
runCommand "reelmill-gst-plugins" {
  packages = map (package: "${lib.getLib package}/lib/gstreamer-1.0") [
    gst_all_1.gstreamer
    gst_all_1.gst-plugins-base
    gst_all_1.gst-plugins-good
    gst_all_1.gst-plugins-bad
    nvidia-jetpack.l4t-gstreamer
  ];
} ''
  mkdir "$out"
  for folder in $packages; do
    ln -s "$folder"/*.so "$out"
  done
  # That of cameras brings nixpkgs' libv4l into the process, and with it NVIDIA's encoder says "It isn't a v4l2 driver"
  # (jetpack-nixos issue 440).
  rm "$out/libgstvideo4linux2.so"
''
