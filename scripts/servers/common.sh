# shellcheck shell=bash
# Shared by the scripts beside this one. A server lives in a folder of its own: DIR/pid, DIR/log, DIR/data.
# Only processes that were started here are ended, by their pid.
#
# CROSSFADE_CACHE   what is downloaded or made once (default ~/.cache/crossfade)
# CROSSFADE_OWNER   a pid: when that process has ended, the server is ended and DIR is removed

CACHE=${CROSSFADE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/crossfade}
# The exit code for "this machine has not got what it takes": the tests that need the server are skipped.
CANNOT=77

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
cannot() { say "$*"; exit "$CANNOT"; }
have() { command -v "$1" >/dev/null 2>&1; }
folder() { mkdir -p "$1" && (cd "$1" && pwd -P); }

# as_root COMMAND...: with sudo if there is one and it asks nothing.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo && sudo -n true 2>/dev/null; then sudo -n "$@"
  else cannot "not root, and sudo wants a password: run as root: $*"; fi
}

# install_packages "APT NAMES" "DNF NAMES" "BREW NAMES", without questions and without starting services.
install_packages() {
  if have apt-get; then
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
      as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
      made=yes
    fi
    local done=0
    # shellcheck disable=SC2086 # a list of names
    { as_root apt-get update -qq &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1; } >&2 || done=1
    [ -z "$made" ] || as_root rm -f "$policy"
    [ "$done" = 0 ] || fail "apt-get could not install: $1"
  elif have dnf; then
    # shellcheck disable=SC2086
    as_root dnf install -y -q $2 >&2 || fail "dnf could not install: $2"
  elif have brew; then
    # shellcheck disable=SC2086
    HOMEBREW_NO_AUTO_UPDATE=1 brew install -q $3 >&2 || fail "brew could not install: $3"
  else
    cannot "no apt-get, dnf or brew here: install by hand: $1"
  fi
}

# once NAME COMMAND...: makes $CACHE/NAME by COMMAND (its last argument is a folder to fill), if it is not there;
# processes that want the same wait for each other.
once() {
  local wanted=$CACHE/$1 new=$CACHE/$1.new.$$; shift
  mkdir -p "$CACHE"
  [ -e "$wanted" ] && return
  (
    lock "$CACHE/lock"
    [ -e "$wanted" ] && exit 0
    rm -rf "$new"; mkdir -p "$new"
    "$@" "$new" && mv "$new" "$wanted" && exit 0
    code=$?; rm -rf "$new"; exit "$code"
  )
}

# java_libraries WHAT NAME COMMAND: what comes through Maven, made once as $CACHE/NAME; WHAT says who needs it.
java_libraries() {
  have java || cannot "no Java here: $1 needs a Java runtime, version 17 or later"
  local java; java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${java:-0}" -ge 17 ] || cannot "Java ${java:-?} is too old: $1 needs version 17 or later"
  [ -e "$CACHE/$2" ] || have mvn || cannot "no Maven here: the libraries of $1 come through it"
  once "$2" "$3"
}

# maven FOLDER NAMES-TO-LEAVE-OUT GROUP:ARTIFACT:VERSION...: with all that they need at run time.
maven() {
  local to=$1 without=$2 group artifact version; shift 2
  mkdir -p "$to"
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>crossfade</groupId><artifactId>jars</artifactId><version>1</version><dependencies>'
    while IFS=: read -r group artifact version; do
      echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done < <(printf '%s\n' "$@")
    echo '</dependencies></project>'
  } >"$to/pom.xml"
  (cd "$to" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DexcludeArtifactIds="$without" \
    -DoutputDirectory="$to") >&2 || cannot "Maven could not get $*"
}

# node_packages NAME VERSION WHAT PACKAGE...: npm packages, made once as $CACHE/NAME, for a Node.js of at least VERSION;
# WHAT says who needs them.
node_packages() {
  local name=$1 wanted=$2 what=$3; shift 3
  have node && have npm || cannot "no Node.js here: $what need it"
  local node; node=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  [ "$node" -ge "$wanted" ] || cannot "Node.js $node is too old: $what need version $wanted or later"
  once "$name" npm_install "$@" || cannot "the npm packages could not be had: $*"
}

# npm_install PACKAGE... FOLDER
npm_install() {
  npm install --silent --no-audit --no-fund --prefix "${@: -1}" "${@:1:$#-1}" >&2
}

# lock FILE: until the calling subshell ends. Without flock (macOS) nobody waits, and `once` may work twice.
lock() {
  have flock || return 0
  exec 9>"$1"
  flock 9
}

# alive DIR: is the process in DIR/pid the one that was started for DIR?
alive() {
  local pid; pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] && command_line "$pid" | grep -qF -- "$1/"
}

command_line() {
  if [ -e /proc/self/cmdline ]; then tr '\0' ' ' <"/proc/$1/cmdline"
  else ps -p "$1" -o args=; fi 2>/dev/null
}

# launch DIR COMMAND...: detached, output to DIR/log.
launch() {
  local at=$1; shift
  if have setsid; then setsid nohup "$@" >>"$at/log" 2>&1 </dev/null 9>&- &
  else nohup "$@" >>"$at/log" 2>&1 </dev/null & fi
  echo $! >"$at/pid"
  [ -z "${CROSSFADE_OWNER:-}" ] || watch_owner "$at" "$CROSSFADE_OWNER" "$!"
}

# One watcher per server process; it goes when either of the two has gone.
watch_owner() {
  (
    trap '' HUP
    while kill -0 "$2" 2>/dev/null; do
      kill -0 "$3" 2>/dev/null || exit 0
      sleep 1
    done
    kill -CONT "$3"; kill -KILL "$3"
    rm -rf "$1"
  ) >/dev/null 2>&1 </dev/null 9>&- &
}

# until_ready DIR SECONDS COMMAND...: waits until COMMAND succeeds, else shows the log and fails.
until_ready() {
  local at=$1 tries=$(($2 * 10)); shift 2
  while ! "$@" >/dev/null 2>&1; do
    alive "$at" || { tail -30 "$at/log" >&2; fail "$at: the server ended while it started"; }
    [ "$tries" -gt 0 ] || { tail -30 "$at/log" >&2; fail "$at: the server did not get ready in time"; }
    tries=$((tries - 1))
    sleep 0.1
  done
}

# end DIR SIGNAL: and wait until it is gone, 60 s at most.
end() {
  if alive "$1"; then
    local pid tries=600; pid=$(cat "$1/pid")
    kill "-$2" "$pid"
    while kill -0 "$pid" 2>/dev/null; do
      [ "$tries" -gt 0 ] || fail "$1: process $pid did not end in 60 s"
      tries=$((tries - 1))
      sleep 0.1
    done
  fi
  rm -f "$1/pid"
}
