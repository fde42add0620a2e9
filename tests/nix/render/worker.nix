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
  // {
    refused = render.refused {
      "more at once than the node may".services.reelmill.worker = {
        node.concurrency = 3;
        instances.default.concurrency = 3;
        instances.second = {};
      };
      "nothing wrong: the rest is shared".services.reelmill.worker = {
        node.concurrency = 3;
        instances.default = {};
        instances.second = {};
      };
      "no default".services.reelmill.worker.instances.other = {};
      "only a batch".services.reelmill.worker.instances.default.batch = true;
      "a key in the store".services.reelmill.worker = {
        settings.store.secret_key = "hunter2";
        instances.default.settings.queue.url = "redis://:hunter2@hub:6379";
      };
      "nothing wrong: an address without a password".services.reelmill.worker.instances.default.settings.queue.url = "redis://hub:6379";
      "less GPU than a session needs".services.reelmill.worker.instances.default.gpuMemoryMiB = 256;
      "a time for no batch".services.reelmill.worker.instances.default.startAt = ["22:00"];
      "a container without an image".services.reelmill.worker.instances.default.container.enable = true;
      "a batch in a container".services.reelmill.worker.instances = {
        default = {};
        night = {
          batch = true;
          memoryMax = "50%";
          container.enable = true;
          container.image = "x";
        };
      };
    };
  }
