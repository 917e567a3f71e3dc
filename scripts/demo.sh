#!/usr/bin/env bash
# demo.sh           the demo on the in-process bus: a private MariaDB, a sample under churn, `crossfade up`, the verdict
# demo.sh --kafka   the same with a private Kafka and the five services as processes of their own
# DEMO_SECONDS (60), DEMO_SCALE (0.25), DEMO_RATE (300 transactions a second, 150 with Kafka),
# DEMO_SESSIONS (6) and DEMO_SEED (1) change it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin

case ${1:-} in
'') export DEMO_BUS=in-process ;;
--kafka) export DEMO_BUS=kafka ;;
*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac

echo "building crossfade (the first time takes some minutes) …" >&2
cargo build --release --locked --package crossfade --package testkit --bins
exec "${CARGO_TARGET_DIR:-target}/release/demo"
