# Builds systems, signs them and copies them to a binary cache; prints what `reelmill send NODE switch` takes. See
# docs/operate/releases.md.
# shellcheck shell=bash
set -euo pipefail

usage() {
  cat <<'USAGE'
publish --cache URL --key-file FILE [OPTIONS] SYSTEM...

Builds each SYSTEM, signs it and all that it needs, copies it to the cache at URL, looks that it arrived, and prints the
command that puts it into force. SYSTEM is a name in the flake's nixosConfigurations, or the store path of a system that was
built before.

  --cache URL         s3://BUCKET?endpoint=HOST:PORT&scheme=http&region=REGION, or what else `nix copy --to` takes
  --key-file FILE     the secret key that signs, from `nix key generate-secret --key-name NAME`
  --credentials FILE  the store's keys, in the form of ~/.aws/credentials; else those of the environment
  --flake FLAKE       where the systems are; if not given, the flake that this program comes from
  --release NUMBER    of the release, greater than that of the one before; the seconds since 1970 of the flake's newest change
                      if not given
  --json              print one JSON object for each system instead
USAGE
}

die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

nix() {
  command nix --extra-experimental-features 'nix-command flakes' "$@"
}

# `nix run` says which flake this program is of, and when that was changed.
cache='' key='' flake=${REELMILL_FLAKE:-.} ours=${REELMILL_RELEASE:-} release='' json='' systems=()
while [ $# -gt 0 ]; do
  case $1 in
  --cache | --key-file | --credentials | --flake | --release)
    [ $# -ge 2 ] || die "$1 takes a value" "publish --help" 2
    case $1 in
    --cache) cache=$2 ;;
    --key-file) key=$2 ;;
    --credentials)
      [ -r "$2" ] || die "cannot read $2"
      export AWS_SHARED_CREDENTIALS_FILE=$2
      ;;
    --flake) flake=$2 ours='' ;;
    --release) release=$2 ;;
    esac
    shift 2
    ;;
  --json)
    json=yes
    shift
    ;;
  --help | -h)
    usage
    exit 0
    ;;
  -*) die "there is no option $1" "publish --help" 2 ;;
  *[!A-Za-z0-9._+/-]*) die "$1 is no name of a system" "" 2 ;;
  *)
    systems+=("$1")
    shift
    ;;
  esac
done
[ -n "$cache" ] || die "no cache is named" "--cache URL" 2
[ -n "$key" ] || die "no key is named that signs" "--key-file FILE" 2
[ -r "$key" ] || die "cannot read $key" "nix key generate-secret --key-name NAME > $key"
[ ${#systems[@]} -gt 0 ] || die "no system is named" "nix flake show $flake" 2
case ${release:-0} in *[!0-9]*) die "--release takes a whole number" "" 2 ;; esac

# The release's number, where nobody gave one.
newest_change() {
  [ ! -d "$flake" ] || flake=$(realpath "$flake")
  nix eval --impure --raw --expr "toString (builtins.getFlake \"$flake\").lastModified" ||
    die "$flake does not tell when it was changed" "--release NUMBER"
}

# The store path of SYSTEM.
built() {
  case $1 in
  /nix/store/*) printf '%s\n' "$1" ;;
  *)
    nix build --no-link --print-out-paths "$flake#nixosConfigurations.\"$1\".config.system.build.toplevel" ||
      die "cannot build $1" "systems for another architecture need a builder for it"
    ;;
  esac
}

[ -n "$release" ] || release=${ours:-$(newest_change)}
for system in "${systems[@]}"; do
  path=$(built "$system")
  [ -e "$path/bin/switch-to-configuration" ] || die "$path is no system: it has no bin/switch-to-configuration"
  nix store sign --key-file "$key" --recursive "$path" || die "cannot sign $path"
  nix copy --to "$cache" "$path" || die "cannot copy $path to ${cache%%\?*}"
  nix path-info --store "$cache" "$path" >/dev/null || die "${cache%%\?*} does not have $path after all"
  hash=$(nix hash path "$path")
  if [ -n "$json" ]; then
    printf '{"system":"%s","store_path":"%s","nar_hash":"%s","release_ctr":%s}\n' "$system" "$path" "$hash" "$release"
  else
    printf 'reelmill send NODE switch store_path=%s nar_hash=%s release_ctr=%s\n' "$path" "$hash" "$release"
  fi
done
[ -n "$json" ] || printf 'nodes must trust the key: %s\n' "$(nix key convert-secret-to-public <"$key")" >&2
