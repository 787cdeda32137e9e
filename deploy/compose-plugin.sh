#!/usr/bin/env bash
# Builds Docker's compose plugin (v5) from its Go module, for a machine that has
# none and reaches no download but a Go module proxy. Does nothing where
# `docker compose` is v2 or newer already. COMPOSE_PLUGIN says where it goes.
set -euo pipefail
if docker compose version >/dev/null 2>&1; then exit 0; fi

version=v5.5.1 module=github.com/docker/compose/v5
to=${COMPOSE_PLUGIN:-${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# Its go.mod excludes versions, so `go install module@version` refuses it: build it from a module of our own.
theirs=$(GOWORK=off go mod download -json "$module@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
  printf 'module composeplugin\n\n'
  sed -n '/^go /p' "$theirs"
  printf '\nrequire %s %s\n\n' "$module" "$version"
  sed -n '/^exclude (/,/^)/p; /^exclude [^(]/p; /^replace (/,/^)/p; /^replace [^(]/p' "$theirs"
} >go.mod
printf '//go:build tools\n\npackage composeplugin\n\nimport _ "%s/cmd"\n' "$module" >tools.go
go mod tidy 2>tidy.log || { cat tidy.log >&2; exit 1; }
mkdir -p "$(dirname "$to")"
CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w -X $module/internal.Version=$version" -o "$to" "$module/cmd"
echo "docker compose $version is $to"
