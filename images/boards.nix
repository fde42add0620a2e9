# The machines that images are made for, as data. Each is a system, the modules of its hardware and role, and the formats
# in which it is given.
{
  x86-server = {
    system = "x86_64-linux";
    hardware = "nvidia";
    profile = ../nixos/profiles/node.nix;
  };
  hub = {
    system = "x86_64-linux";
    hardware = "cpu";
    profile = ../nixos/profiles/hub.nix;
  };
  jetson-orin-nx-nvme = {
    system = "aarch64-linux";
    hardware = "jetson";
    profile = ../nixos/profiles/node.nix;
  };
}
