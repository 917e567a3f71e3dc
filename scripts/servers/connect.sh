#!/usr/bin/env bash
# A private Kafka Connect worker (standalone, with its REST interface) on loopback, with Debezium's MariaDB source and JDBC
# sink, for benchmarks. All of it comes as Java libraries through Maven; without Java or Maven this exits with 77.
#
# CONNECT_HEAP   the worker's Java heap (default 2g)
set -euo pipefail
# shellcheck source=scripts/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

KAFKA=4.1.1
DEBEZIUM=3.5.0.Final
NAME=connect-$KAFKA-debezium-$DEBEZIUM
JARS=$CACHE/$NAME
# A connector that loads its own copies of what the worker has cannot talk to it: the sink ends with the first record.
OF_THE_WORKER=kafka-clients,connect-api,jackson-annotations,jackson-core,jackson-databind,slf4j-api,lz4-java,snappy-java,zstd-jni,jakarta.ws.rs-api

usage() {
  cat >&2 <<'TEXT'
connect.sh install                                    gets the libraries if they are missing
connect.sh start DIR PORT BROKERS [NAME=VALUE...]     starts it if it does not run; prints its address; any worker setting
connect.sh stop  DIR                                  ends it in good order; its offsets stay
connect.sh crash DIR                                  SIGKILL
TEXT
  exit 2
}

prepare() { java_libraries "Kafka Connect with Debezium" "$NAME" get_jars; }

get_jars() {
  say "getting Kafka Connect $KAFKA and Debezium $DEBEZIUM (the first time only) …"
  maven "$1/worker" "" org.apache.kafka:connect-runtime:$KAFKA org.slf4j:slf4j-simple:1.7.36
  maven "$1/plugins/source" "$OF_THE_WORKER" io.debezium:debezium-connector-mariadb:$DEBEZIUM
  maven "$1/plugins/sink" "$OF_THE_WORKER" io.debezium:debezium-connector-jdbc:$DEBEZIUM
}

settings() {
  cat <<TEXT
listeners=http://127.0.0.1:$1
bootstrap.servers=$2
plugin.path=$JARS/plugins
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.storage.file.filename=$dir/offsets
TEXT
}

start() {
  prepare
  if ! alive "$dir"; then
    { settings "$1" "$2"; shift 2; printf '%s\n' "$@"; } >"$dir/properties"
    rm -f "$dir/log"
    launch "$dir" java "-Xms${CONNECT_HEAP:-2g}" "-Xmx${CONNECT_HEAP:-2g}" -XX:+UseG1GC \
      -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
      -Dorg.slf4j.simpleLogger.log.org.apache.kafka.connect.runtime.Connect=info \
      -cp "$JARS/worker/*" org.apache.kafka.connect.cli.ConnectStandalone "$dir/properties"
    until_ready "$dir" 90 grep -q 'Kafka Connect started' "$dir/log"
  fi
  sed -n 's/^listeners=//p' "$dir/properties"
}

verb=${1:-}
[ "$verb" != install ] || { prepare; exit 0; }
[ $# -ge 2 ] || usage
dir=$(folder "$2"); shift 2
case $verb in
start) [ $# -ge 2 ] || usage; start "$@" ;;
stop) end "$dir" TERM ;;
crash) end "$dir" KILL ;;
*) usage ;;
esac
