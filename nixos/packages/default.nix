# What this flake adds to nixpkgs.
final: _: {
  reelmill = final.callPackage ./reelmill.nix {};
  reelmillPackages = {
    default = final.reelmill;
    inherit (final) reelmill;
  };
}
