#!/usr/bin/env bash
# browser.sh install   a Chromium, and the npm packages that drive it and check accessibility; prints the packages' folder
#                      and the browser's path. Exit code 77: this machine has not got what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=common.sh
. ./common.sh

[ "${1:-}" = install ] || fail "browser.sh install"

have node && have npm || cannot "no Node.js here: the console's tests in a browser need it"
node=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
[ "$node" -ge 18 ] || cannot "Node.js $node is too old: the console's tests need version 18 or later"

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! browser >/dev/null; then
  (lock "$CACHE/packages.lock" && { browser >/dev/null || install_packages chromium chromium chromium; }) ||
    cannot "no Chromium here, and it could not be installed"
fi

packages() { npm install --silent --no-audit --no-fund --prefix "$1" playwright-core@1.65.1 axe-core@4.14.1 >&2; }
mkdir -p "$CACHE"
once browser-1 packages || cannot "the npm packages could not be had"
printf '%s\n%s\n' "$CACHE/browser-1" "$(browser)"
