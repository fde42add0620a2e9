# The disk in the format that QEMU and many clouds take.
{
  config,
  pkgs,
  ...
}: let
  inherit (config.system.image) id version;
in {
  system.build.qcow2 =
    pkgs.runCommand "${id}-qcow2" {
      nativeBuildInputs = [pkgs.buildPackages.qemu-utils pkgs.buildPackages.zstd];
    } ''
      mkdir "$out"
      zstd --decompress --sparse ${config.system.build.image}/*.raw.zst -o disk.raw
      qemu-img convert -c -f raw -O qcow2 disk.raw "$out/${id}_${version}.qcow2"
    '';
}
