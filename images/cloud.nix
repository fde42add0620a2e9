# A machine that is rented: it is told what a join file says by its provider's user data, and shows its console on the serial
# line. Such machines must boot by UEFI.
{modulesPath, ...}: {
  imports = [./store.nix "${modulesPath}/profiles/qemu-guest.nix"];

  reelmill.appliance.userData.enable = true;
  boot = {
    kernelParams = ["console=tty0" "console=ttyS0,115200"];
    # The disks and network cards of the larger providers, besides those of QEMU.
    initrd.availableKernelModules = ["nvme" "ena" "hv_vmbus" "hv_storvsc" "hv_netvsc"];
  };
}
