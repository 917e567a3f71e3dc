#!/usr/bin/env bash
# test.sh               format, lints, all tests; closes with `N passed, N failed, N skipped`
# test.sh --only WORD…  only the test programs with one of these words in their name, one test after the other, with those
#                       that are left out otherwise (#[ignore])
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
PATH=$PATH:$HOME/.cargo/bin

only=()
if [ "${1:-}" = --only ]; then
  shift
  for word; do only+=(--test "*$word*"); done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CROSSFADE_SKIPPED=$work/skipped
touch "$work/skipped" "$work/output"
failed_checks=() passed_checks=0

# check NAME COMMAND...
check() {
  local name=$1; shift
  echo "--- $name"
  if "$@"; then passed_checks=$((passed_checks + 1)); else failed_checks+=("$name"); fi
}

# Each test binary ends with a line of counts; one that dies, or does not build, has none, and cargo says so.
tests() { cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$work/output"; }

scripts/setup.sh || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
if [ ${#only[@]} = 0 ]; then
  check format cargo fmt --all --check
  check lints cargo clippy --workspace --all-targets --locked -- -D warnings
  echo "--- tests"
  tests
else
  tests "${only[@]}" -- --include-ignored --test-threads=1 --nocapture
fi
code=$?

total() { sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$work/output" | awk '{ n += $1 } END { print n + 0 }'; }
noted=$(wc -l <"$work/skipped")
passed=$(($(total passed) - noted + passed_checks))
failed=$(($(total failed) + ${#failed_checks[@]}))
ignored=0
[ ${#only[@]} != 0 ] || ignored=$(total ignored)
if [ $code != 0 ] && [ "$(total failed)" = 0 ]; then
  failed_checks+=("the tests are not there, did not build, or a test program died: see above")
  failed=$((failed + 1))
fi

echo
if [ $((noted + ignored)) != 0 ]; then
  echo "Skipped:"
  sort "$work/skipped" | sed 's/^/  /'
  [ "$ignored" = 0 ] || sed -n 's/^test \(.*\) \.\.\. ignored\(, \)\{0,1\}/  \1: /p' "$work/output" | sort
fi
if [ "$failed" != 0 ]; then
  echo "Failed:"
  [ ${#failed_checks[@]} = 0 ] || printf '  %s\n' "${failed_checks[@]}"
  sed -n 's/^test \(.*\) \.\.\. FAILED$/  \1/p' "$work/output" | sort
fi
echo "$passed passed, $failed failed, $((noted + ignored)) skipped"
[ "$failed" = 0 ]
