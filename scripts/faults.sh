#!/usr/bin/env bash
# faults.sh           the fault menu in full, judged under load, and the restart test with many seeds; writes docs/faults.md
# faults.sh --short   as it is in the run of all tests: a few minutes
# CROSSFADE_SEED=n takes another seed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

case ${1:-} in
'') export CROSSFADE_FAULTS_LONG=1; only=(fault restart) how='in full' ;;
--short) only=(faults) how='in its short form' ;;
*) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
CROSSFADE_FAULTS=$lines scripts/test.sh --only "${only[@]}"
code=$?
if [ -s "$lines" ]; then
  { sed "s/@HOW@/$how/" docs/faults.head.md; sort -t F -k 2 -n "$lines"; } >docs/faults.md
  echo "docs/faults.md: $(wc -l <"$lines") rows"
fi
exit $code
