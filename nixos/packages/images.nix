# Which images of the worker there are for a system.
{
  lib,
  callPackage,
  stdenvNoCC,
  reelmill-worker,
  reelmill-gst-plugins,
  nvidia-jetpack6,
}: let
  image = callPackage ./oci.nix {};
  inherit (stdenvNoCC.hostPlatform) isAarch64 isx86_64;
in
  {
    oci-worker-cpu = image {
      kind = "cpu";
      worker = reelmill-worker;
      environment.HWACCEL = "none";
    };
  }
  // lib.optionalAttrs isx86_64 {
    oci-worker-nvenc = image {
      kind = "nvenc";
      worker = reelmill-worker;
      environment = {
        HWACCEL = "cuda";
        # What NVIDIA's container tools bring into it.
        NVIDIA_VISIBLE_DEVICES = "all";
        NVIDIA_DRIVER_CAPABILITIES = "compute,video,utility";
      };
    };
  }
  // lib.optionalAttrs isAarch64 {
    oci-worker-jetson = image {
      kind = "jetson";
      worker = reelmill-worker;
      environment = {
        HWACCEL = "jetson";
        # Of the same release as the nodes' own, see nixos/modules/hardware/jetson.nix.
        REELMILL_GST_PLUGINS = "${reelmill-gst-plugins.override {nvidia-jetpack = nvidia-jetpack6;}}";
        NVIDIA_VISIBLE_DEVICES = "all";
        NVIDIA_DRIVER_CAPABILITIES = "all";
      };
    };
  }
