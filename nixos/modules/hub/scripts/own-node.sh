# Makes the join file of the node that runs on the hub's own machine, named after it.
#   own-node NAME CONFIG FILE
set -euo pipefail
name=$1 config=$2 file=$3
umask 077
# Some names are the farm's own.
case $name in
  hub | operator | broker) name=$name-node ;;
esac
reelmill-hub token join --config "$config" --node "$name" >"$file"
