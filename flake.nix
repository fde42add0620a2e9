{
  description = "Reelmill: a transcoding farm that you flash";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    jetpack-nixos.url = "github:anduril/jetpack-nixos";
    jetpack-nixos.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = {
    self,
    nixpkgs,
    jetpack-nixos,
  }: let
    inherit (nixpkgs) lib;
    systems = ["x86_64-linux" "aarch64-linux"];
    perSystem = f:
      lib.genAttrs systems (system:
        f (import nixpkgs {
          inherit system;
          overlays = [jetpack-nixos.overlays.default self.overlays.default];
          # NVIDIA's libraries, which only the packages for a Jetson have in them.
          config.allowUnfreePredicate = package: lib.any (name: lib.hasInfix name (lib.getName package)) ["l4t" "cuda"];
        }));
    farm = import ./images {inherit self lib nixpkgs;};
    tests = pkgs: import ./tests/nix {inherit self lib pkgs;};
  in {
    overlays.default = import ./nixos/packages {inherit tests;};
    nixosModules = import ./nixos {inherit self jetpack-nixos;};
    nixosConfigurations = farm.configurations;
    inherit (farm) images;

    packages = perSystem (pkgs: pkgs.reelmillPackages // farm.packages.${pkgs.stdenv.hostPlatform.system} or {});
    apps = perSystem (pkgs: import ./nixos/packages/apps.nix {inherit self pkgs lib;});
    devShells = perSystem (pkgs: {default = import ./nixos/packages/shell.nix {inherit lib pkgs;};});
    formatter = perSystem (pkgs: pkgs.reelmill-alejandra);
    checks = perSystem (pkgs: tests pkgs // {form = pkgs.callPackage ./nixos/packages/form.nix {inherit self;};});

    legacyPackages.x86_64-linux = rec {
      golden = import ./tests/nix/render {inherit self lib;};
      # All files of this repository that are made by evaluation, by path.
      texts =
        lib.mapAttrs' (path: lib.nameValuePair "tests/nix/golden/${path}") golden
        // {"docs/operate/options.md" = import ./nixos/lib/options-text.nix {inherit self lib nixpkgs;};};
    };
  };
}
