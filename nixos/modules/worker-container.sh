# The agent signals the unit of a worker, whose container is a child of podman's unit: this passes on what begins and ends a
# drain. It is the same user as the worker, so it may.
# shellcheck shell=bash
set -euo pipefail

# Where podman wrote which process the worker is.
file=$1

pass() {
  local pid=0
  { read -r pid <"$file" && kill -s "$1" "$pid"; } || echo "the worker was not sent SIG$1" >&2
}
trap 'pass USR1' USR1
trap 'pass USR2' USR2

while :; do
  sleep infinity &
  # A signal ends the wait, and not the sleep.
  wait "$!" || kill "$!" 2>/dev/null || true
done
