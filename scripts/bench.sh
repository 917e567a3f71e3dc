#!/usr/bin/env bash
# Runs every benchmark: each is a folder of bench/ with a program `run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin
found=
for run in bench/*/run; do
  [ -x "$run" ] || continue
  found=yes
  echo "--- ${run%/run}"
  "$run"
done
[ -n "$found" ] || { echo "bench/ has no benchmark yet" >&2; exit 1; }
