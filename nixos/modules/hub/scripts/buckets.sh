# Makes buckets in an S3 store with the hub's keys; those that are there stay as they are.
#   buckets URL REGION SECRETS BUCKET...
set -euo pipefail
url=$1 region=$2 secrets=$3
shift 3

# What the digest of nothing is: no request here has a body, and not every curl says so by itself.
nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# signed METHOD BUCKET: the status. The keys go over a pipe, as arguments are for everybody to see.
signed() {
  printf 'user = "%s:%s"\n' "$(<"$secrets/store-hub-access")" "$(<"$secrets/store-hub-secret")" |
    curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30 --config - --aws-sigv4 "aws:amz:$region:s3" \
      --header "x-amz-content-sha256: $nothing" --request "$1" "$url/$2" || true
}

for bucket; do
  for _ in {1..60}; do
    there=$(signed GET "$bucket")
    [[ $there == 000 || $there == 503 ]] || break
    sleep 1
  done
  if [[ $there == 404 ]]; then
    there=$(signed PUT "$bucket")
  fi
  if [[ $there != 200 ]]; then
    echo "cannot make the bucket $bucket at $url: status $there" >&2
    echo "hint: does the store run, and does it know the keys in $secrets?" >&2
    exit 1
  fi
done
