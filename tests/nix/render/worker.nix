# The workers' units and settings: one, several, and some in containers.
{
  self,
  lib,
  ...
}: let
  render = import ../../../nixos/lib/render.nix {inherit self lib;};
  examples = ../../../nixos/profiles/examples;
  machine = modules: let
    config = render.machine modules;
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
  render.below "alone" (machine [{services.reelmill.worker.instances.default = {};}])
  // render.below "example" (machine [(examples + "/worker.nix")])
  // render.below "container" (machine [self.nixosModules.nvidia (examples + "/container.nix")])
  # All that a container may be told.
  // render.below "containers" (machine [
    self.nixosModules.nvidia
    {
      reelmill.hardware.nvidia.containers = true;
      services.reelmill.worker = {
        queueUrlFile = "/var/lib/secrets/queue-url";
        node.concurrency = 6;
        node.pixelBudget = 500000000;
        presetFolder = "/srv/presets";
        settings.files.read = ["/srv/films" "/srv/out"];
        instances.default = {
          gpu = "1";
          memoryMax = "8G";
          cpuQuota = "150%";
          container = {
            enable = true;
            image = "hub:5000/reelmill/worker-nvenc:0.1.0";
            plainHttp = true;
          };
          settings = {
            drain.deadline_seconds = 600;
            files.write = ["/srv/out"];
            media.spool = "/srv/spool";
            store.ca_file = "/etc/farm-ca.pem";
          };
        };
        instances.exact = {
          gpu = "GPU-1c2d3e4f";
          container.enable = true;
          container.image = "hub:5000/reelmill/worker-nvenc:0.1.0";
        };
        instances.any.container = {
          enable = true;
          image = "hub:5000/reelmill/worker-nvenc:0.1.0";
        };
        instances.archive = {
          hwaccel = "none";
          container.enable = true;
          container.image = "hub:5000/reelmill/worker-cpu:0.1.0";
        };
        instances.native = {};
      };
    }
  ])
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
      "a Jetson's encoder in a container".services.reelmill.worker.instances.default = {
        hwaccel = "jetson";
        container.enable = true;
        container.image = "x";
      };
      "a card in a container, and no toolkit".services.reelmill.worker.instances.default = {
        gpu = "0";
        container.enable = true;
        container.image = "x";
      };
      "nothing wrong: a container without a card".services.reelmill.worker.instances.default = {
        container.enable = true;
        container.image = "x";
      };
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
