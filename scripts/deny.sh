#!/usr/bin/env bash
# Licences, sources, doubles and known holes of the dependencies; the rules stand in deny.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin
command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
cargo deny --workspace --locked check bans licenses sources
# The list of known holes comes over the network; without it there is no answer, which is not a "yes".
cargo deny --workspace --locked check advisories
