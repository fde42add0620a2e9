# What this flake adds to nixpkgs. `tests` gives the NixOS tests that a package set is tried by.
{tests}: final: _: let
  ours = final.callPackage ./reelmill.nix {tests = tests final;};
  inherit (final.stdenv) hostPlatform;
in {
  # All programs in one folder, as the command line wants them; and each with its units alone, for machines of one trade.
  reelmill = ours.all;
  reelmill-hub = ours.hub;
  reelmill-agent = ours.agent;
  reelmill-worker = ours.worker;
  # What the worker loads on a Jetson, from the package set of jetpack-nixos.
  reelmill-gst-plugins = final.callPackage ./gst-plugins.nix {};

  # The formatter of Nix files, in the version that the tests judge by.
  reelmill-alejandra = final.callPackage ./alejandra.nix {};

  # All of them for this system, and those for a Jetson that a server compiles.
  reelmillPackages =
    {
      default = final.reelmill;
      inherit (final) reelmill reelmill-hub reelmill-agent reelmill-worker;
    }
    // import ./images.nix {
      inherit (final) lib callPackage stdenvNoCC reelmill-worker reelmill-gst-plugins nvidia-jetpack6;
    }
    // final.lib.optionalAttrs hostPlatform.isx86_64 {
      reelmill-aarch64 = final.pkgsCross.aarch64-multiplatform.reelmill;
    };
}
