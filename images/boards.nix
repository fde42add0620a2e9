# The machines that images are made for, as data. Each is a system, the module of its hardware, the profile of its role, the
# format in which it is given (a name of `formats` in ./default.nix), and what else it has.
{
  # A node with NVIDIA GPUs.
  x86-server = {
    system = "x86_64-linux";
    hardware = "nvidia";
    profile = ../nixos/profiles/node.nix;
    format = "disk";
  };
  # A node that encodes on its processors.
  x86-cpu = {
    system = "x86_64-linux";
    hardware = "cpu";
    profile = ../nixos/profiles/node.nix;
    format = "disk";
  };
  # A node that is rented: what it is told comes with the machine.
  x86-cloud = {
    system = "x86_64-linux";
    hardware = "nvidia";
    profile = ../nixos/profiles/cloud-node.nix;
    format = "cloud";
  };
  # The hub and the services around it.
  hub = {
    system = "x86_64-linux";
    hardware = "cpu";
    profile = ../nixos/profiles/hub.nix;
    format = "disk";
  };
  # A whole farm on one machine with a GPU.
  all-in-one = {
    system = "x86_64-linux";
    hardware = "nvidia";
    profile = ../nixos/profiles/all-in-one.nix;
    format = "disk";
  };
  # Orin NX on its devkit, with the system on an NVMe drive.
  jetson-orin-nx-nvme = {
    system = "aarch64-linux";
    hardware = "jetson";
    profile = ../nixos/profiles/node.nix;
    format = "disk";
    # Where the kernel has them as modules, nothing is found on the drive without them.
    modules = [{boot.initrd.availableKernelModules = ["nvme" "phy_tegra194_p2u" "pcie_tegra194"];}];
  };
  # The same with the system on an SD card.
  jetson-orin-nx-sd = {
    system = "aarch64-linux";
    hardware = "jetson";
    profile = ../nixos/profiles/node.nix;
    format = "disk";
    modules = [{boot.initrd.availableKernelModules = ["mmc_block" "sdhci_tegra"];}];
  };
  # A stick that puts one of the images on a machine's disk.
  installer = {
    system = "x86_64-linux";
    hardware = "cpu";
    profile = {system.stateVersion = "26.05";};
    format = "iso";
  };
}
