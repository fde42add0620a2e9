# reelmill-install IMAGE DISK [FOLDER]: puts an image on a disk, with the files of FOLDER (join.toml, authorized_keys, hostname,
# worker.env) for its first boot. IMAGES has the images.
if [ $# -lt 2 ]; then
  echo "usage: reelmill-install IMAGE DISK [FOLDER]"
  echo
  echo "images:"
  for image in "$IMAGES"/*/; do
    echo "  $(basename "$image")"
  done
  echo
  echo "disks:"
  lsblk --nodeps --noheadings --output PATH,SIZE,MODEL,RO | sed 's/^/  /'
  echo
  echo "FOLDER may have join.toml, authorized_keys, hostname and worker.env; without it, the machine takes them at its first"
  echo "boot from a stick labelled REELMILL."
  exit 2
fi
image=$1 disk=$2 folder=${3:-}

files=("$IMAGES/$image"/*.raw.zst)
if [ ! -f "${files[0]}" ]; then
  echo "error: there is no image \`$image\` on this stick" >&2
  echo "hint: reelmill-install without words lists them" >&2
  exit 1
fi
given=()
if [ -n "$folder" ]; then
  for name in join.toml authorized_keys hostname worker.env; do
    if [ -f "$folder/$name" ]; then
      given+=("$folder/$name")
    fi
  done
  if [ ${#given[@]} -eq 0 ]; then
    echo "error: $folder has none of join.toml, authorized_keys, hostname and worker.env" >&2
    echo "hint: leave the folder out to install without them" >&2
    exit 1
  fi
fi

reelmill image flash "${files[0]}" "$disk"
if [ ${#given[@]} -gt 0 ]; then
  # The first partition begins at the first megabyte, on every image.
  mcopy -o -i "$disk@@1M" "${given[@]}" ::/reelmill/
  sync
fi
echo "$image is on $disk; take the stick out and start the machine again"
