#!/bin/sh
# Fills the EFI system partition of an image: esp.sh SYSTEM BOOT-LOADER LOADER.CONF README FOLDER
#
# The entry and the names of its files are those that NixOS' installer of systemd-boot gives the first generation, read from
# the same file, boot.json of the system. So the first change of the system finds them, uses them, and removes them in time.
set -eu
system=$1 loader=$2 conf=$3 readme=$4 esp=$5

of() { jq --exit-status --raw-output ".\"org.nixos.bootspec.v1\".$1" "$system/boot.json"; }

# Copies a file of the store to where the boot loader finds it; its path there.
put() {
  file=$(realpath -e "$1") || return
  below=${file#/*/store/}
  path=${below%%/*}
  name=${file##*/}
  [ "$name" = "$path" ] || name=$path-$name
  cp "$file" "$esp/EFI/nixos/$name.efi" && echo "/EFI/nixos/$name.efi"
}

mkdir -p "$esp/EFI/BOOT" "$esp/EFI/systemd" "$esp/EFI/nixos" "$esp/loader/entries" "$esp/reelmill"
binary=${loader##*/}
# The firmware knows nothing of a new disk, and starts what has the name that all disks use.
fallback=$(echo "$binary" | sed 's/^systemd-//; s/\.efi$//' | tr '[:lower:]' '[:upper:]').EFI
cp "$loader" "$esp/EFI/systemd/$binary"
cp "$loader" "$esp/EFI/BOOT/$fallback"
cp "$conf" "$esp/loader/loader.conf"
# What kind of entries these are, as bootctl writes it.
echo type1 > "$esp/loader/entries.srel"
cp "$readme" "$esp/reelmill/README.txt"

# One by one: a mistake in a word of a command is no mistake to the shell.
kernel=$(of kernel)
kernel=$(put "$kernel")
initrd=$(of initrd)
initrd=$(put "$initrd")
init=$(of init)
words=$(of 'kernelParams | join(" ")')
label=$(of label)
key=$(jq --raw-output '."org.nixos.systemd-boot".sortKey // "nixos"' "$system/boot.json")
tree=$(jq --raw-output '."org.nixos.systemd-boot".devicetree // empty' "$system/boot.json")
[ -z "$tree" ] || tree=$(put "$tree")

{
  echo "title NixOS"
  echo "sort-key $key"
  echo "version Generation 1 $label"
  echo "linux $kernel"
  echo "initrd $initrd"
  echo "options init=$init $words"
  [ -z "$tree" ] || echo "devicetree $tree"
} > "$esp/loader/entries/nixos-generation-1.conf"
