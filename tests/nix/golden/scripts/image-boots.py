import glob
import os
import shutil
import subprocess
import tempfile

[built] = glob.glob("/nix/store/00000000000000000000000000000000-reelmill-test/*.raw")
folder = tempfile.mkdtemp()
raw, disk = f"{folder}/disk.raw", f"{folder}/disk.qcow2"
shutil.copyfile(built, raw)
join = f"{folder}/join.toml"
with open(join, "w") as file:
    file.write('hub = "https://hub:7443"\nca_sha256 = "' + "0" * 64 + '"\n')
subprocess.run(
    ["/nix/store/00000000000000000000000000000000-reelmill-0.1.0/bin/reelmill", "image", "configure", raw, "--hostname", "node-7", "--join", join],
    check=True,
)
os.truncate(raw, 8 << 30)
qemu = "/nix/store/00000000000000000000000000000000-default-of-virtualisation.qemu.package/bin/qemu-img"
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
