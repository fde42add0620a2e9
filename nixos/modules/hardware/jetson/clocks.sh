# Clocks the codecs and the converter as high as the power mode allows, whatever their load. The folder is that of the kernel's
# devfreq devices, `154c0000.nvenc` and the like.
set -u
devices=$1
found=
for device in "$devices"/*.nvenc "$devices"/*.nvdec "$devices"/*.vic; do
  if [ ! -e "$device/governor" ]; then
    continue
  fi
  if ! echo performance > "$device/governor"; then
    echo "cannot set the clock of ${device##*/}" >&2
    exit 1
  fi
  found="$found ${device##*/}"
done
if [ -z "$found" ]; then
  echo "no clock of a codec can be set: $devices has none" >&2
  echo "hint: reelmill.hardware.jetson.clocks = \"load\" leaves them as they are" >&2
  exit 1
fi
echo "as fast as the power mode allows:$found"
