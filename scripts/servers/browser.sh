#!/usr/bin/env bash
# browser.sh install   a Chromium, and the npm packages that drive it and check accessibility; prints the packages' folder
#                      and the browser's path. Exit code 77: this machine has not got what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=common.sh
. ./common.sh

[ "${1:-}" = install ] || fail "browser.sh install"

node_packages browser-1 18 "the console's tests in a browser" playwright-core@1.65.1 axe-core@4.14.1

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! browser >/dev/null; then
  (lock "$CACHE/packages.lock" && { browser >/dev/null || install_packages chromium chromium chromium; }) ||
    cannot "no Chromium here, and it could not be installed"
fi

printf '%s\n%s\n' "$CACHE/browser-1" "$(browser)"
