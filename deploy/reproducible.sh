#!/usr/bin/env bash
# Builds the binary twice, the second time in a copy of the source under another
# path and from an empty build cache, and fails if one byte differs.
#   deploy/reproducible.sh [ARCH]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sh deploy/binary.sh "$dir/one" "${1:-}"
mkdir "$dir/elsewhere"
cp -r go.mod go.sum cmd internal pkg services deploy "$dir/elsewhere/"
GOCACHE=$dir/cache sh "$dir/elsewhere/deploy/binary.sh" "$dir/two" "${1:-}"
sha256sum "$dir/one" "$dir/two"
cmp "$dir/one" "$dir/two" && echo "reproducible"
