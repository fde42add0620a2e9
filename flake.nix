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
          overlays = [self.overlays.default];
        }));
    farm = import ./images {inherit self lib nixpkgs;};
  in {
    overlays.default = import ./nixos/packages;
    packages = perSystem (pkgs: pkgs.reelmillPackages);
    nixosModules = import ./nixos {inherit self jetpack-nixos;};
    nixosConfigurations = farm.configurations;
    inherit (farm) images;
    legacyPackages.x86_64-linux = rec {
      golden = import ./tests/nix/render {inherit self lib;};
      # All files of this repository that are made by evaluation, by path.
      texts = lib.mapAttrs' (path: lib.nameValuePair "tests/nix/golden/${path}") golden;
    };
    formatter = perSystem (pkgs: pkgs.alejandra);
  };
}
