{
  blacklistedKernelModules = [
    "nouveau"
  ];
  containers = false;
  driver = "nvidia-x11-production";
  kernelModules = [
    "efi_pstore"
    "nvidia"
    "nvidia_uvm"
  ];
  nvidiaPersistenced = true;
  open = true;
}