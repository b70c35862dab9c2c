#!/usr/bin/env bash
# Rebuilds test-data/emoji from the pinned packages; with --check, rebuilds elsewhere and compares with SHA256SUMS.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --silent
if [ "${1:-}" = "--check" ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
  node build.mjs "$out"
  (cd "$out" && sha256sum --check --quiet "$OLDPWD/../SHA256SUMS") && echo "test-data/emoji is what its sources give"
else
  node build.mjs
fi
