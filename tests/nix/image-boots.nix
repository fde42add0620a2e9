# The image of a board boots by UEFI into a ready agent, with the name that it was given; its root grows, and what is written to
# it stays.
{
  pkgs,
  lib,
  ...
}: {
  name = "image-boots";
  nodes.machine = {
    config,
    extendModules,
    ...
  }: {
    imports = [../../nixos/profiles/node.nix ../../images/store.nix];
    system.image = {
      id = "reelmill-test";
      version = "0";
    };
    # The test's own machine is what is in the image, which is made of it from outside, as ../../images does.
    system.build.installed = _:
      (extendModules {
        modules = [
          ../../images/disk.nix
          {
            _module.args.installed = config.system.build.toplevel;
            image.repart.compression.enable = lib.mkForce false;
          }
        ];
      })
      .config
      .system
      .build
      .image;
    virtualisation = {
      memorySize = 2048;
      directBoot.enable = false;
      mountHostNixStore = false;
      useEFIBoot = true;
      fileSystems = lib.mkForce {
        "/" = {
          device = "/dev/disk/by-partlabel/reelmill-root";
          fsType = "ext4";
          autoResize = true;
        };
        "/boot" = {
          device = "/dev/disk/by-partlabel/ESP";
          fsType = "vfat";
        };
      };
    };
  };
  testScript = {nodes, ...}: ''
    import glob
    import os
    import shutil
    import subprocess
    import tempfile

    [built] = glob.glob("${nodes.machine.system.build.installed {}}/*.raw")
    folder = tempfile.mkdtemp()
    raw, disk = f"{folder}/disk.raw", f"{folder}/disk.qcow2"
    shutil.copyfile(built, raw)
    join = f"{folder}/join.toml"
    with open(join, "w") as file:
        file.write('hub = "https://hub:7443"\nca_sha256 = "' + "0" * 64 + '"\n')
    subprocess.run(
        ["${lib.getExe pkgs.reelmill}", "image", "configure", raw, "--hostname", "node-7", "--join", join],
        check=True,
    )
    os.truncate(raw, 8 << 30)
    qemu = "${nodes.machine.virtualisation.qemu.package}/bin/qemu-img"
    subprocess.run([qemu, "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", disk], check=True)
    os.environ["NIX_DISK_IMAGE"] = disk

    machine.start(allow_reboot=True)
    machine.wait_for_unit("reelmill-agent.service")

    with subtest("it has the name that it was given, and the boot partition has nothing of that left"):
        assert machine.succeed("hostname").strip() == "node-7"
        machine.fail("ls /boot/reelmill/hostname")

    with subtest("its root has grown"):
        size = int(machine.succeed("df --output=size -B1 / | tail -n 1"))
        assert size > 6 << 30, size

    with subtest("Nix knows what the image brought"):
        machine.succeed("nix-store --check-validity $(readlink -f /run/current-system)")

    with subtest("what is written stays"):
        machine.succeed("echo kept > /var/lib/kept && sync")
        machine.reboot()
        machine.wait_for_unit("reelmill-agent.service")
        assert machine.succeed("cat /var/lib/kept").strip() == "kept"
        assert machine.succeed("hostname").strip() == "node-7"
  '';
}
