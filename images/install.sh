# shellcheck shell=bash
# reelmill-install IMAGE DISK [OPTIONS]: puts one of the images on a disk. IMAGES has the images.
if [ $# -lt 2 ]; then
  echo "usage: reelmill-install IMAGE DISK [OPTIONS]"
  echo
  echo "images:"
  for image in "$IMAGES"/*/; do
    echo "  $(basename "$image")"
  done
  echo
  echo "disks:"
  lsblk --nodeps --noheadings --output PATH,SIZE,MODEL | sed 's/^/  /'
  echo
  echo "The options are those of \`reelmill image flash\`, such as --join FILE for the farm's join file. Without them the machine"
  echo "takes join.toml, authorized_keys, hostname and worker.env at its first boot from a stick labelled REELMILL."
  exit 2
fi
image=$1 disk=$2
shift 2

files=("$IMAGES/$image"/*.raw.zst)
if [ ! -f "${files[0]}" ]; then
  echo "error: there is no image \`$image\` on this stick" >&2
  echo "hint: reelmill-install without words lists them" >&2
  exit 1
fi
# A server's disk is built in; who started this named it, and is asked once more.
reelmill image flash --allow-fixed "${files[0]}" "$disk" "$@"
echo "$image is on $disk; take the stick out and start the machine again"
