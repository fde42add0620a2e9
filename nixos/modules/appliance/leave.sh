# Switches the machine off when its worker has ended by itself and well: there was nothing left to do. One that was stopped or
# restarted by somebody has a job of systemd's that says so, and one that failed is tried again.
#
# systemd tells how the service ended: SERVICE_RESULT, EXIT_CODE and EXIT_STATUS.
set -eu
unit=$1
if [ "${SERVICE_RESULT:-}" != success ] || [ "${EXIT_CODE:-}" != exited ] || [ "${EXIT_STATUS:-}" != 0 ]; then
  exit 0
fi
job=$(systemctl show --value --property Job "$unit")
if [ -n "$job" ] && [ "$job" != 0 ]; then
  exit 0
fi
echo "the lanes are empty: this machine switches itself off"
systemctl poweroff --no-block
