# Prints the digests of Harbor's images of a version, for services.reelmill.hub.registry.harbor.digests.
#   harbor-pin-digests v2.15.2 [REGISTRY [words for skopeo inspect]]
set -euo pipefail
if (($# < 1)); then
  echo "usage: harbor-pin-digests VERSION [REGISTRY]" >&2
  exit 2
fi
version=$1 registry=${2:-docker.io/goharbor}
shift
if (($# > 0)); then shift; fi

echo "{"
for image in harbor-core harbor-db harbor-jobservice harbor-portal harbor-registryctl nginx-photon redis-photon registry-photon \
  trivy-adapter-photon; do
  # The list for all machines where there is one: each takes its own of it.
  if ! digest=$(skopeo inspect "$@" --format '{{.Digest}}' "docker://$registry/$image:$version"); then
    echo "cannot tell the digest of $registry/$image:$version" >&2
    echo "hint: is there such a version, and does the network reach the registry?" >&2
    exit 1
  fi
  echo "  $image = \"$digest\";"
done
echo "}"
