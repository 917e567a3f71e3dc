#!/usr/bin/env bash
# Licences, sources, doubles and known holes of the dependencies; the rules stand in deny.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin
command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
# What is built and shipped has walls; the example is somebody else's application, with what its libraries bring.
cargo deny --workspace --exclude shop --locked check bans
cargo deny --workspace --locked check licenses sources
# The list of known holes comes over the network; without it there is no answer, which is not a "yes".
cargo deny --workspace --locked check advisories
