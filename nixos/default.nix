# The modules that this flake gives away, by name.
{
  self,
  jetpack-nixos,
}: {
  # Everything that is a matter of options: nothing of it is on by itself.
  default = {
    imports = [
      ./modules/agent.nix
      ./modules/worker.nix
      ./modules/appliance.nix
      ./modules/hub
    ];
    nixpkgs.overlays = [self.overlays.default];
  };

  # What a machine is made of: one of them.
  jetson.imports = [jetpack-nixos.nixosModules.default ./modules/hardware/jetson.nix];
  nvidia.imports = [./modules/hardware/nvidia.nix ./modules/hardware/dcgm.nix];
  cpu = ./modules/hardware/none.nix;
}
