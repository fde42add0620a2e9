# A server with NVIDIA cards.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkOption types;
  cfg = config.reelmill.hardware.nvidia;
in {
  options.reelmill.hardware = {
    kind = mkOption {
      type = types.enum ["nvidia"];
      default = "nvidia";
      readOnly = true;
      description = "What the machine is made of, by the module that it was given.";
    };
    nvidia = {
      branch = mkOption {
        type = types.enum ["production" "latest" "stable" "dc"];
        default = "production";
        description = "Which driver: nixpkgs' name under `nvidiaPackages`.";
      };
      open = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether the kernel modules are NVIDIA's open ones. Cards before Turing (2018) need the others.
        '';
      };
      containers = mkOption {
        type = types.bool;
        default = false;
        description = "Whether containers may use the cards, as a worker from the hub's registry does.";
      };
    };
  };

  config = {
    # The driver is not free software, and nothing else that is not gets in by this.
    nixpkgs.config.allowUnfreePredicate = package: let
      name = lib.getName package;
    in
      lib.any (prefix: lib.hasPrefix prefix name) ["nvidia-" "libnv" "cuda" "nvidia_"];

    # This, and no X server, is what brings the driver.
    services.xserver.videoDrivers = ["nvidia"];
    hardware.graphics.enable = mkDefault true;
    hardware.nvidia = {
      package = mkDefault config.boot.kernelPackages.nvidiaPackages.${cfg.branch};
      open = mkDefault cfg.open;
      # Without it the driver forgets the cards whenever nobody uses them, and takes seconds to find them again.
      nvidiaPersistenced = mkDefault true;
      nvidiaSettings = mkDefault false;
      modesetting.enable = mkDefault false;
      powerManagement.enable = mkDefault false;
    };
    hardware.nvidia-container-toolkit.enable = mkDefault cfg.containers;
    hardware.enableRedistributableFirmware = mkDefault true;
    hardware.cpu.intel.updateMicrocode = mkDefault true;
    hardware.cpu.amd.updateMicrocode = mkDefault true;
    # The one driver keeps the other from loading.
    boot.blacklistedKernelModules = ["nouveau"];
    # What has to be there for CUDA, which otherwise only a program of root's can make.
    boot.kernelModules = ["nvidia" "nvidia_uvm"];
  };
}
