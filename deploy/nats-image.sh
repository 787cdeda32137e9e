#!/usr/bin/env bash
# Makes kfbus-nats:local, which stands in for nats:2.15-alpine where no registry can be reached: the nats-server of go.mod,
# and the wget of a static busybox for the health check.
set -euo pipefail
cd "$(dirname "$0")/.."
image=kfbus-nats:local module=github.com/nats-io/nats-server/v2
version=$(go list -m -f '{{.Version}}' $module)
have=$(docker image inspect -f '{{index .Config.Labels "version"}}' $image 2>/dev/null || true)
[ "$have" != "$version" ] || exit 0
busybox=$(command -v busybox) || { echo "install busybox-static, or use NATS_IMAGE=nats:2.15-alpine" >&2; exit 1; }

arch=$(docker version -f '{{.Server.Arch}}')   # fails here where no daemon answers
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/root/bin" "$dir/root/usr/local/bin"
GOOS=linux GOARCH=$arch CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/root/usr/local/bin/nats-server" $module
cp "$busybox" "$dir/root/bin/busybox"
ln -s busybox "$dir/root/bin/wget"
printf 'FROM scratch\nCOPY root/ /\nLABEL version=%s\nENTRYPOINT ["/usr/local/bin/nats-server"]\n' "$version" >"$dir/Dockerfile"
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build -q -t $image "$dir"
