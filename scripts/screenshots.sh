#!/usr/bin/env bash
# screenshots.sh   takes the pictures of the console in docs/images/: the demo in a debug build, ready and then blocked by a
#                  seeded problem. Needs Node.js and Chromium. The demo's variables (demo.sh) change it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin

echo "building crossfade (the first time takes some minutes) …" >&2
cargo build --locked --package crossfade --package testkit --bins
export DEMO_SCREENSHOTS=${DEMO_SCREENSHOTS:-docs/images} DEMO_BUS=in-process
export DEMO_SECONDS=${DEMO_SECONDS:-40} DEMO_SCALE=${DEMO_SCALE:-0.1} DEMO_RATE=${DEMO_RATE:-60} DEMO_SESSIONS=${DEMO_SESSIONS:-3}
exec "${CARGO_TARGET_DIR:-target}/debug/demo"
