#!/usr/bin/env bash
# The benchmarks, side by side in one run; bench/README.md says what they measure and how to read them.
# BENCH_ROWS (300000), BENCH_CHANGES (100000), BENCH_ROUNDS (3), BENCH_ONLY (backfill,stream,latency,memory,detection,debezium) and others change it.
# CROSSFADE_BIN names another program to measure; then only the benchmark itself is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin

packages=(--package bench)
[ -n "${CROSSFADE_BIN:-}" ] || packages+=(--package crossfade)
echo "building (the first time takes some minutes) …" >&2
cargo build --release --locked --quiet "${packages[@]}" --bins
exec "${CARGO_TARGET_DIR:-target}/release/bench"
