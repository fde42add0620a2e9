# A machine at a provider of clouds: it shows its console on the serial line, and has drivers for what it is put on. It must
# boot by UEFI. What it is told there is its profile's business.
{modulesPath, ...}: {
  imports = [./store.nix "${modulesPath}/profiles/qemu-guest.nix"];

  boot = {
    kernelParams = ["console=tty0" "console=ttyS0,115200"];
    # The disks and network cards of the larger providers, besides those of QEMU.
    initrd.availableKernelModules = ["nvme" "ena" "hv_vmbus" "hv_storvsc" "hv_netvsc"];
  };
}
