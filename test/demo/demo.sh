#!/usr/bin/env bash
# demo.sh demo|psql: the main job on a private PostgreSQL and a broker.
#
# demo runs demo.sql and prints what it shows; psql opens psql on the same
# instance. BROKER=kafka uses a real Kafka instead of the embedded broker,
# BOOTSTRAP=host:port one of your own (topic streamsql_demo_trades). Both stop
# everything they started.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/test/lib.sh"
cd "$root"
if [ "$(id -u)" = 0 ]; then
	run_unprivileged env BROKER="${BROKER:-}" BOOTSTRAP="${BOOTSTRAP:-}" \
		TERM="${TERM:-dumb}" TRADES="${TRADES:-200000}" test/demo/demo.sh "$1"
	exit $?
fi
work=$root/build/demo
rm -rf "$work"
mkdir -p "$work"
export LC_ALL=C.UTF-8
trap 'stop_instance; stop_broker; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ -n "${BOOTSTRAP:-}" ]; then
	export STREAMSQL_BOOTSTRAP=$BOOTSTRAP STREAMSQL_FILL="$root/build/bin/fill"
else
	start_broker "${BROKER:-mock}"
fi
start_instance
echo "$sockets" >"$work/sockets"
topic=streamsql_demo_trades
printf 'topic\t%s\t4\ntrades\t%s\t%s\n' $topic $topic "${TRADES:-200000}" |
	"$STREAMSQL_FILL" -c lz4
psql -X -q -v bootstrap="$STREAMSQL_BOOTSTRAP" -v topic=$topic \
	-f test/demo/setup.sql
if [ "$1" = psql ]; then
	psql -X
else
	psql -X -q -v ON_ERROR_STOP=1 -v bootstrap="$STREAMSQL_BOOTSTRAP" \
		-v topic=$topic -f test/demo/demo.sql
fi
