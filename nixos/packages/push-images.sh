# Pushes the worker's images to a registry, those of several architectures as one. See docs/operate/releases.md.
# shellcheck shell=bash
set -euo pipefail

usage() {
  cat <<'USAGE'
push-images [OPTIONS] REGISTRY[/PREFIX] [IMAGE...]

Builds the worker's images and pushes them to REGISTRY/PREFIX/IMAGE:TAG (PREFIX: reelmill). IMAGE is one of
worker-cpu, worker-nvenc, worker-jetson; all of them if none is named. What is for another architecture than this machine's
needs a builder for it, or --from.

  --tag TAG        of the images; the version if none is given
  --authfile FILE  who we are at the registry, as `skopeo login --authfile FILE REGISTRY` writes it; else skopeo's own
  --cert-dir DIR   certificates of the registry, `*.crt`
  --plain-http     the registry has no TLS
  --from DIR       push DIR/IMAGE-ARCH.tar[.gz] (amd64, arm64) that were built before, and build nothing
USAGE
}

die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

# Which architectures an image is for.
architectures() {
  case $1 in
  worker-cpu) echo amd64 arm64 ;;
  worker-nvenc) echo amd64 ;;
  worker-jetson) echo arm64 ;;
  *) die "there is no image $1" "worker-cpu, worker-nvenc, worker-jetson" 2 ;;
  esac
}

tag=${REELMILL_VERSION:-} from='' registry='' images=() pushing=() access=()
while [ $# -gt 0 ]; do
  case $1 in
  --tag | --authfile | --cert-dir | --from)
    [ $# -ge 2 ] || die "$1 takes a value" "push-images --help" 2
    case $1 in
    --tag) tag=$2 ;;
    --authfile)
      [ -r "$2" ] || die "cannot read $2" "skopeo login --authfile $2 REGISTRY"
      access+=(--authfile "$2")
      ;;
    --cert-dir) pushing+=(--dest-cert-dir "$2") ;;
    --from)
      [ -d "$2" ] || die "$2 is no folder"
      from=$2
      ;;
    esac
    shift 2
    ;;
  --plain-http)
    pushing+=(--dest-tls-verify=false)
    shift
    ;;
  --help | -h)
    usage
    exit 0
    ;;
  -*) die "there is no option $1" "push-images --help" 2 ;;
  *)
    if [ -z "$registry" ]; then registry=${1%/}; else images+=("$1"); fi
    shift
    ;;
  esac
done
[ -n "$registry" ] || {
  usage >&2
  exit 2
}
[ -n "$tag" ] || die "the images have no tag" "--tag TAG" 2
case $registry in */*) ;; *) registry=$registry/reelmill ;; esac
[ ${#images[@]} -gt 0 ] || images=(worker-cpu worker-nvenc worker-jetson)
for image in "${images[@]}"; do architectures "$image" >/dev/null; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The archive of IMAGE for ARCH: one that was given, or else it is built.
archive() {
  local system=x86_64-linux file
  if [ -n "$from" ]; then
    for file in "$from/$1-$2.tar" "$from/$1-$2.tar.gz"; do
      [ ! -r "$file" ] || {
        printf '%s\n' "$file"
        return
      }
    done
    die "$from has no $1-$2.tar[.gz]" "nix build .#packages.SYSTEM.oci-$1"
  fi
  [ "$2" = amd64 ] || system=aarch64-linux
  nix --extra-experimental-features 'nix-command flakes' build --no-link --print-out-paths \
    "${REELMILL_FLAKE:-.}#packages.$system.oci-$1" ||
    die "cannot build $1 for $system" "name the images that this machine can build, or give --from"
}

# Brings DIR, an OCI layout with one image for each architecture, to one index of them all.
join() {
  local dir=$1 index digest size
  index=$(jq -c --slurpfile about <(
    jq -r '.manifests[].digest' "$dir/index.json" | while read -r manifest; do
      config=$(jq -r '.config.digest' "$dir/blobs/${manifest/://}")
      jq -c --arg digest "$manifest" '{digest: $digest, platform: {os: .os, architecture: .architecture}}' \
        "$dir/blobs/${config/://}"
    done
  ) '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
      .manifests[] | . as $one | {mediaType, digest, size, platform: ($about[] | select(.digest == $one.digest) | .platform)}
    ]}' "$dir/index.json")
  digest=$(printf '%s' "$index" | sha256sum | cut -d' ' -f1)
  size=${#index}
  printf '%s' "$index" >"$dir/blobs/sha256/$digest"
  jq -nc --arg digest "sha256:$digest" --argjson size "$size" '{schemaVersion: 2, manifests: [{
    mediaType: "application/vnd.oci.image.index.v1+json", digest: $digest, size: $size,
    annotations: {"org.opencontainers.image.ref.name": "all"}}]}' >"$dir/index.json"
}

for image in "${images[@]}"; do
  layout=$work/$image
  for architecture in $(architectures "$image"); do
    file=$(archive "$image" "$architecture")
    skopeo copy --quiet --insecure-policy "docker-archive:$file" "oci:$layout:$architecture" ||
      die "cannot read the image $file"
  done
  join "$layout"
  target=$registry/$image:$tag
  skopeo copy --quiet --insecure-policy --all "${access[@]}" "${pushing[@]}" "oci:$layout:all" "docker://$target" ||
    die "cannot push $target" "skopeo login [--authfile FILE] ${registry%%/*}; without TLS: --plain-http"
  printf '%s@sha256:%s\n' "$target" "$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$layout/index.json")"
  rm -rf "$layout"
done
