#!/usr/bin/env bash
# Makes the image from the Dockerfile's last stage and a binary of this machine's
# Go: quicker than the whole Dockerfile, the same bytes, and no registry is asked.
#   deploy/image.sh [TAG [PLATFORM]]     default: kfbus:local, the daemon's own platform
# VERSION names the release; CA_BUNDLE is where this machine keeps its CA certificates.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-kfbus:local}
arch=$(docker version -f '{{.Server.Arch}}')   # fails here where no daemon answers
platform=${2:-linux/$arch}
if ! docker buildx version >/dev/null 2>&1; then
  export DOCKER_BUILDKIT=0
  [ "$platform" = "linux/$arch" ] || { echo "an image for $platform needs the buildx plugin; deploy/binary.sh needs nothing" >&2; exit 1; }
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bash deploy/binary.sh "$dir/out/kfbus" "${platform#*/}"
mkdir -p "$dir/out/etc/ssl/certs"
cp "${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}" "$dir/out/etc/ssl/certs/ca-certificates.crt"
sed -n '/^FROM scratch/,$ { s/--from=build \/out/out/; p }' Dockerfile >"$dir/Dockerfile"
docker build -q --platform "$platform" -t "$tag" --build-arg VERSION="${VERSION:-devel}" \
  --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" "$dir"
