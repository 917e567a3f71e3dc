#!/usr/bin/env bash
# openfeature.sh install   the official OpenFeature clients for Node.js; prints the packages' folder.
#                          Exit code 77: this machine has not got what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=common.sh
. ./common.sh

[ "${1:-}" = install ] || fail "openfeature.sh install"

# The provider for servers is made for the core before version 1; the one for browsers brings its own.
node_packages openfeature-1 20 "the tests of OpenFeature clients" \
  @openfeature/core@1.12.0 @openfeature/server-sdk@1.23.0 @openfeature/ofrep-provider@0.1.3 @openfeature/ofrep-core@0.1.4 \
  @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3
printf '%s\n' "$CACHE/openfeature-1"
