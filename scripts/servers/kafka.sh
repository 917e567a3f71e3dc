#!/usr/bin/env bash
# A private Kafka broker (KRaft, broker and controller in one) on loopback, for tests and demos.
# Kafka comes as Java libraries through Maven; without Java or Maven this exits with 77.
set -euo pipefail
# shellcheck source=scripts/servers/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

VERSION=4.1.1
JARS=$CACHE/kafka-$VERSION

usage() {
  cat >&2 <<'TEXT'
kafka.sh install                                         gets the libraries if they are missing
kafka.sh start DIR PORT CONTROLLER-PORT [NAME=VALUE...]  starts it if it does not run; prints host:port; any broker setting
kafka.sh stop  DIR                                       ends it in good order; the data stay
kafka.sh crash DIR                                       SIGKILL
kafka.sh log   DIR TOPIC PARTITION                       prints what stands in the log, as Kafka's own tool reads it
TEXT
  exit 2
}

prepare() { java_libraries Kafka "kafka-$VERSION" get_jars; }
get_jars() { maven "$1" "" "org.apache.kafka:kafka_2.13:$VERSION" org.slf4j:slf4j-simple:1.7.36; }

kafka() { java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$JARS/*" "$@"; }

settings() {
  cat <<TEXT
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=CLIENT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=CLIENT://127.0.0.1:$1
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs=$3
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
TEXT
}

# A formatted, empty data folder: copying it is quicker than another Java.
make_template() {
  settings 1 2 "$1/data" >"$1/properties"
  local id; id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c 1-22)
  kafka kafka.tools.StorageTool format -t "$id" -c "$1/properties" >"$1/log" 2>&1 ||
    { tail -30 "$1/log" >&2; return 1; }
}

start() {
  prepare
  if ! alive "$dir"; then
    if [ ! -d "$dir/data" ]; then
      once "kafka-template-$VERSION" make_template
      cp -R "$CACHE/kafka-template-$VERSION/data" "$dir/data"
    fi
    { settings "$1" "$2" "$dir/data"; shift 2; printf '%s\n' "$@"; } >"$dir/properties"
    rm -f "$dir/log"
    launch "$dir" java "-Xmx${KAFKA_HEAP:-384m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
      -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
      -cp "$JARS/*" kafka.Kafka "$dir/properties"
    # Said once the broker is registered and takes requests; a request for metadata succeeds too early.
    until_ready "$dir" 90 grep -q 'Kafka Server started' "$dir/log"
  fi
  # The script's own line; a setting may say it once more.
  sed -n '/^advertised.listeners=CLIENT:/{s/^[^:]*:..//p;q;}' "$dir/properties"
}

# Offset, sizes, key and payload of each record, a line each.
print_log() {
  kafka -Dstdout.encoding=UTF-8 -Dsun.stdout.encoding=UTF-8 kafka.tools.DumpLogSegments --print-data-log \
    --files "$dir/data/$1-$2/00000000000000000000.log" 2>/dev/null
}

verb=${1:-}
[ "$verb" != install ] || { prepare; exit 0; }
[ $# -ge 2 ] || usage
dir=$(folder "$2"); shift 2
case $verb in
start) [ $# -ge 2 ] || usage; start "$@" ;;
stop) end "$dir" TERM ;;
crash) end "$dir" KILL ;;
log) [ $# -eq 2 ] || usage; print_log "$@" ;;
*) usage ;;
esac
