# Makes of a Garage that runs a store for one machine: a layout, the keys that were drawn before, and the buckets with their rights.
# Whatever is there already stays.
#   garage-setup ADMIN_URL SECRETS RIGHTS
# SECRETS holds `store-admin-token` and, for each name in RIGHTS, `store-NAME-access` and `store-NAME-secret`; each line of RIGHTS
# is a name, a bucket, and what the one may do with the other: `read`, `write`, `owner`.
set -euo pipefail
url=$1 secrets=$2 rights=$3

# api METHOD PATH: its standard input is what is sent; no secret is an argument of a program.
api() {
  local answer code
  answer=$(curl --silent --show-error --max-time 30 --request "$1" --data-binary @- --write-out '\n%{http_code}' \
    --header 'Content-Type: application/json' \
    --header @<(printf 'Authorization: Bearer %s\n' "$(<"$secrets/store-admin-token")") "$url/v2/$2")
  code=${answer##*$'\n'} answer=${answer%$'\n'*}
  if [[ $code == 404 ]]; then
    return 44
  elif [[ $code != 2* ]]; then
    echo "cannot $1 $2 at Garage's administration at $url: status $code: $answer" >&2
    echo "hint: journalctl -u garage" >&2
    return 1
  fi
  printf '%s\n' "$answer"
}

for _ in {1..60}; do
  if status=$(api GET GetClusterStatus </dev/null 2>/dev/null); then break; fi
  sleep 1
done
status=$(api GET GetClusterStatus </dev/null)

if [[ $(jq '[.nodes[] | select(.role != null)] | length' <<<"$status") == 0 ]]; then
  node=$(jq -r '.nodes[0].id' <<<"$status")
  free=$(jq '.nodes[0].dataPartition.available // 1000000000000' <<<"$status")
  jq -n --arg id "$node" --argjson free "$free" \
    '{roles: [{id: $id, zone: "here", capacity: ([($free * 0.9 | floor), 1073741824] | max), tags: []}]}' |
    api POST UpdateClusterLayout >/dev/null
  version=$(api GET GetClusterLayout </dev/null | jq '.version + 1')
  jq -n --argjson version "$version" '{version: $version}' | api POST ApplyClusterLayout >/dev/null
  echo "the store has a layout: this machine alone"
fi

while read -r name bucket may; do
  [[ -n $name ]] || continue
  access=$(<"$secrets/store-$name-access")
  found=0
  api GET "GetKeyInfo?id=$access" </dev/null >/dev/null || found=$?
  if [[ $found == 44 ]]; then
    jq -n --rawfile access "$secrets/store-$name-access" --rawfile secret "$secrets/store-$name-secret" --arg name "$name" \
      '{accessKeyId: $access, secretAccessKey: $secret, name: $name}' | api POST ImportKey >/dev/null
    echo "the store knows $name"
  elif [[ $found != 0 ]]; then
    exit "$found"
  fi
  found=0
  id=$(api GET "GetBucketInfo?globalAlias=$bucket" </dev/null) || found=$?
  if [[ $found == 44 ]]; then
    id=$(jq -n --arg bucket "$bucket" '{globalAlias: $bucket}' | api POST CreateBucket)
    echo "the store has the bucket $bucket"
  elif [[ $found != 0 ]]; then
    exit "$found"
  fi
  id=$(jq -r .id <<<"$id")
  jq -n --arg id "$id" --arg key "$access" --arg may "$may" \
    '{bucketId: $id, accessKeyId: $key, permissions: ($may | split(" ") | map({(.): true}) | add)}' |
    api POST AllowBucketKey >/dev/null
done <"$rights"
