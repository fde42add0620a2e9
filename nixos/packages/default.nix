# What this flake adds to nixpkgs. `tests` gives the NixOS tests that a package set is tried by.
{tests}: final: _: let
  ours = final.callPackage ./reelmill.nix {tests = tests final;};
  inherit (final.stdenv) hostPlatform;
in {
  # All programs in one folder, as the command line wants them; and each with its units alone, for machines of one trade.
  reelmill = ours.all {};
  reelmill-hub = ours.hub;
  reelmill-agent = ours.agent;
  reelmill-worker = ours.worker {};
  # The same with L4T's GStreamer, from the package set of jetpack-nixos.
  reelmill-jetson = ours.all {l4t = final.nvidia-jetpack;};
  reelmill-worker-jetson = ours.worker {l4t = final.nvidia-jetpack;};

  # The formatter of Nix files, in the version that the tests judge by.
  reelmill-alejandra = final.callPackage ./alejandra.nix {};

  # All of them for this system, and for a Jetson from a server.
  reelmillPackages =
    {
      default = final.reelmill;
      inherit (final) reelmill reelmill-hub reelmill-agent reelmill-worker;
    }
    // import ./images.nix {
      inherit (final) lib callPackage stdenvNoCC reelmill-worker reelmill-worker-jetson;
    }
    // final.lib.optionalAttrs hostPlatform.isAarch64 {inherit (final) reelmill-jetson reelmill-worker-jetson;}
    // final.lib.optionalAttrs hostPlatform.isx86_64 {
      reelmill-aarch64 = final.pkgsCross.aarch64-multiplatform.reelmill;
      reelmill-jetson-aarch64 = final.pkgsCross.aarch64-multiplatform.reelmill-jetson;
    };
}
