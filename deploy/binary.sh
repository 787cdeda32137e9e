#!/bin/sh
# Builds kfbus for Linux, the same bytes from the same source wherever it runs.
#   deploy/binary.sh FILE [ARCH]     FILE is an absolute path; VERSION names the release
set -eu
cd "$(dirname "$0")/.."
CGO_ENABLED=0 GOOS=linux GOARCH=${2:-$(go env GOARCH)} go build -buildvcs=false -trimpath -tags timetzdata \
  -ldflags "-s -w -buildid= -X main.release=${VERSION:-devel}" -o "$1" ./cmd/kfbus
