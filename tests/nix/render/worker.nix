# The workers' units and settings: one, several, and one in a container.
{
  self,
  lib,
  ...
}: let
  render = import ../../../nixos/lib/render.nix {inherit self lib;};
  examples = ../../../nixos/profiles/examples;
  machine = module: let
    config = render.machine [module];
    settings = import ../../../nixos/lib/worker-settings.nix {
      inherit lib;
      pkgs = self.inputs.nixpkgs.legacyPackages.x86_64-linux;
      cfg = config.services.reelmill.worker;
      instances = import ../../../nixos/lib/instances.nix {inherit lib;} config.services.reelmill.worker;
    };
    tomls = lib.mapAttrs' (name: _: lib.nameValuePair "store/worker-${name}.toml" (settings name).file.text) config.services.reelmill.worker.instances;
  in
    render.units "reelmill-" config
    // render.units "podman-reelmill-" config
    // render.etc config
    // tomls
    // {"containers.json" = builtins.toJSON config.virtualisation.oci-containers.containers;};
in
  render.below "alone" (machine {services.reelmill.worker.instances.default = {};})
  // render.below "example" (machine (examples + "/worker.nix"))
  // render.below "container" (machine (examples + "/container.nix"))
