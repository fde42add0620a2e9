# Makes an image of what lies at /source from the definitions in /making/image, as nixpkgs' image.repart does from a system: the
# EFI system partition by esp.sh, the list of the store, and the root.
set -eu

# A system in a Nix store, with its list; Nix itself is not told yet.
in_source() { chroot /source env HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
mkdir -p /source/etc/nix
printf 'sandbox = false\nbuild-users-group =\nsubstituters =\n' > /source/etc/nix/nix.conf
system=$(in_source nix-build --no-out-link /mnt/system.nix --argstr name first --argstr params "$(cat /making/params)" 2> /making/log) ||
  { cat /making/log; exit 1; }
paths=$(in_source nix-store --query --requisites "$system")
in_source nix-store --dump-db $paths > /making/registration
# An image has the closure and nothing else.
for path in /source/nix/store/*; do
  case "$paths" in *"${path#/source}"*) ;; *) rm -rf "$path" ;; esac
done
rm -rf /source/nix/var

in_source sh /mnt/esp.sh "$system" /usr/lib/systemd/boot/efi/systemd-bootx64.efi /mnt/loader.conf /mnt/reelmill.txt /mnt/esp
cat "/making/esp/loader/entries/nixos-generation-1.conf"

umount --recursive /source/dev
umount /source/proc /source/mnt

# What goes where, as the module says it, with this machine's own for the system's closure.
cp -r /making/image /making/repart.d
while read -r partition to from; do
  case $from in
  reelmill-esp) from=/making/esp ;;
  nix-path-registration) from=/making/registration ;;
  "the system") from=/source to=/ ;;
  *) echo "nothing is known of $from" >&2; exit 1 ;;
  esac
  echo "CopyFiles=$from:$to" >> "/making/repart.d/$partition.conf"
done < /making/contents
while read -r fs words; do
  export "SYSTEMD_REPART_MKFS_OPTIONS_$(echo "$fs" | tr '[:lower:]' '[:upper:]')=$words"
done < /making/mkfs

# That systemd knows every word of the definitions, it says only in passing.
systemd-repart --offline=yes --architecture=x86-64 --sector-size=512 --empty=create --size=auto --json=off --no-pager \
  --seed=0867da16-f251-457d-a9e8-c31f9a3c220b --definitions=/making/repart.d --dry-run=no /making/disk.raw 2>&1
