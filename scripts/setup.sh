#!/usr/bin/env bash
# Checks what building and testing need, and installs what is missing. Says nothing when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/servers/common.sh
. scripts/servers/common.sh

# At least the workspace's rust-version.
WANTED=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

PATH=$PATH:$HOME/.cargo/bin
cargo_version() { have cargo && cargo --version | sed 's/^cargo \([0-9.]*\).*/\1/'; }
# newer A B: is A at least B?
newer() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }
rust_is_here() { have cargo && newer "$(cargo_version)" "$WANTED"; }

if ! rust_is_here; then
  say "Rust $WANTED or later is needed; here is: $(cargo_version || echo none)"
  if ! have rustup; then
    # Only some distributions carry rustup; their own Rust is mostly too old.
    (install_packages rustup rustup rustup) ||
      fail "install Rust $WANTED or later from https://rustup.rs, then run this again"
    ! have rustup-init || rustup-init -y --no-modify-path --default-toolchain none
  fi
  rustup toolchain install stable --profile minimal --component rustfmt --component clippy
  rustup default stable
  rust_is_here || fail "still no Rust $WANTED; run: rustup update stable"
fi
for part in fmt clippy; do
  cargo "$part" --version >/dev/null 2>&1 && continue
  have rustup || fail "cargo $part is missing: install your distribution's package for it"
  rustup component add "$([ $part = fmt ] && echo rustfmt || echo clippy)"
done

# librdkafka and zstd are built from source.
if ! { have cc && have c++ && have make && have perl && have pkg-config; }; then
  install_packages "build-essential perl pkg-config" "gcc gcc-c++ make perl pkgconf" "make perl pkgconf"
fi

scripts/servers/mariadb.sh install
# optional SCRIPT WHAT: what some tests need and not every machine can have.
optional() {
  local code=0
  "scripts/servers/$1" install >/dev/null || code=$?
  case $code in
  0) ;;
  "$CANNOT") say "Without it the tests of $2 are skipped." ;;
  *) exit "$code" ;;
  esac
}
optional browser.sh "the console in a browser"
optional openfeature.sh "OpenFeature's clients"
optional kafka.sh "the Kafka bus"
