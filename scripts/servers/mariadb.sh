#!/usr/bin/env bash
# A private MariaDB on loopback, for tests and demos.
set -euo pipefail
# shellcheck source=scripts/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat >&2 <<'TEXT'
mariadb.sh install                           installs the server if it is missing
mariadb.sh start DIR PORT [SERVER-OPTION...] starts it if it does not run; prints the address; user and password `cf`
mariadb.sh stop  DIR                         ends it in good order; the data stay
mariadb.sh crash DIR                         SIGKILL
mariadb.sh sql   DIR [CLIENT-OPTION...]      the command line client, as root
TEXT
  exit 2
}

PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec

prepare() {
  have mariadbd && have mariadb-install-db && have mariadb && return
  install_packages "mariadb-server mariadb-client" "mariadb-server mariadb" mariadb
  have mariadbd || cannot "the packages are installed, but there is no mariadbd in $PATH"
}

# The server refuses to run as root unless it is told to.
as_user() { [ "$(id -u)" != 0 ] || echo --user=root; }

client() { mariadb --no-defaults --socket="$dir/sock" --user=root "$@"; }

# An empty data folder takes two seconds to make and a tenth of one to copy.
make_template() {
  # --force: also where the machine's own name cannot be looked up.
  # shellcheck disable=SC2046 # nothing or one word
  mariadb-install-db --no-defaults $(as_user) --datadir="$1/data" --auth-root-authentication-method=normal \
    --skip-test-db --force >"$1/log" 2>&1 || { tail -30 "$1/log" >&2; return 1; }
}

start() {
  prepare
  if ! alive "$dir"; then
    if [ ! -d "$dir/data" ]; then
      local version; version=$(mariadbd --version | sed 's/.*Ver \([^ ]*\).*/\1/')
      once "mariadb-template-$version-$(id -u)" make_template
      cp -R "$CACHE/mariadb-template-$version-$(id -u)/data" "$dir/data"
    fi
    rm -f "$dir/sock"
    # Servers that share a folder for temporary files delete each other's.
    mkdir -p "$dir/tmp"
    # The binlog as a migration needs it, durable commits, a server id of its own; little memory.
    # shellcheck disable=SC2046
    launch "$dir" mariadbd --no-defaults $(as_user) --datadir="$dir/data" --tmpdir="$dir/tmp" --socket="$dir/sock" \
      --port="$port" --pid-file="$dir/server.pid" --bind-address=127.0.0.1 --skip-name-resolve --server-id="$port" \
      --log-bin="$dir/data/bin" --binlog-format=ROW --binlog-row-image=FULL --binlog-row-metadata=FULL \
      --gtid-strict-mode=1 --sync-binlog=1 --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=128M \
      --max-allowed-packet=64M --character-set-server=utf8mb4 "$@"
    until_ready "$dir" 60 client -e 'SELECT 1'
    echo "$port" >"$dir/port"
    [ -e "$dir/granted" ] || {
      client -e "CREATE USER IF NOT EXISTS cf@'127.0.0.1' IDENTIFIED BY 'cf'; GRANT ALL ON *.* TO cf@'127.0.0.1' WITH GRANT OPTION"
      touch "$dir/granted"
    }
  fi
  echo "mysql://cf:cf@127.0.0.1:$(cat "$dir/port")"
}

verb=${1:-}
[ "$verb" != install ] || { prepare; exit 0; }
[ $# -ge 2 ] || usage
dir=$(folder "$2"); shift 2
# A unix socket's path has at most 107 bytes, 103 on macOS.
[ ${#dir} -le 95 ] || fail "$dir: this path is too long for a unix socket"
case $verb in
start) [ $# -ge 1 ] || usage; port=$1; shift; start "$@" ;;
stop) end "$dir" TERM ;;
crash) end "$dir" KILL ;;
sql) client "$@" ;;
*) usage ;;
esac
