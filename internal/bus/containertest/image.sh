#!/usr/bin/env bash
# Makes the image kfbus-test-nats:local: the nats-server of the main module's
# go.mod, and nothing else. No registry is asked.
set -euo pipefail
cd "$(dirname "$0")/../../.."

image=kfbus-test-nats:local
module=github.com/nats-io/nats-server/v2
version=$(go list -m -f '{{.Version}}' $module)
have=$(docker image inspect -f '{{index .Config.Labels "version"}}' $image 2>/dev/null || true)
[ "$have" != "$version" ] || { echo "$image has nats-server $version already"; exit 0; }

arch=$(docker version -f '{{.Server.Arch}}')   # fails here where no daemon answers
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOOS=linux GOARCH=$arch CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/nats-server" $module
cat >"$dir/Dockerfile" <<END
FROM scratch
COPY nats-server /nats-server
LABEL version=$version
ENTRYPOINT ["/nats-server"]
END
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build -q -t $image "$dir"
