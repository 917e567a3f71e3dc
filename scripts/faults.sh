#!/usr/bin/env bash
# The fault menu in full, judged under load; writes docs/faults.md. CROSSFADE_SEED=n takes another seed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
CROSSFADE_FAULTS=$lines scripts/test.sh --only fault restart
code=$?
if [ -s "$lines" ]; then
  { cat docs/faults.head.md; sort -t F -k 2 -n "$lines"; } >docs/faults.md
  echo "docs/faults.md: $(wc -l <"$lines") rows"
fi
exit $code
