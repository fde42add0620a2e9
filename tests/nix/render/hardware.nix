# What a machine is made of: the units that are only on a Jetson, and what is set of its modules.
{
  self,
  lib,
  systems,
  unit,
}: let
  inherit (import ../../../nixos/lib/render.nix {inherit self lib;}) withoutLimits;
  of = config: name: withoutLimits (unit config name);
  jetson = systems.jetson-orin-nx-nvme;
  pretty = value: lib.generators.toPretty {multiline = true;} value + "\n";
in {
  "jetson/reelmill-tegrastats.socket" = of jetson "reelmill-tegrastats.socket";
  "jetson/reelmill-tegrastats@.service" = of jetson "reelmill-tegrastats@.service";
  "jetson/reelmill-codec-clocks.service" = of jetson "reelmill-codec-clocks.service";
  "jetson/settings" = pretty {
    jetpack = {inherit (jetson.hardware.nvidia-jetpack) enable som carrierBoard majorVersion super maxClock configureCuda;};
    autoUpdate = jetson.hardware.nvidia-jetpack.firmware.autoUpdate;
    nvpmodel = jetson.services.nvpmodel.profileNumber;
    graphics = jetson.hardware.graphics.enable;
    worker = jetson.services.reelmill.worker.settings;
    groups = jetson.users.users.reelmill-worker.extraGroups;
    socket = jetson.services.reelmill.agent.settings.tegrastats.socket;
  };
  "nvidia/settings" = pretty {
    driver = lib.getName systems.x86-server.hardware.nvidia.package;
    inherit (systems.x86-server.hardware.nvidia) open nvidiaPersistenced;
    inherit (systems.x86-server.boot) kernelModules blacklistedKernelModules;
    containers = systems.x86-server.hardware.nvidia-container-toolkit.enable;
  };
}
