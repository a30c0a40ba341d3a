#!/usr/bin/env bash
# demo.sh demo|psql|gdb: the main job on a private PostgreSQL and a broker.
#
# demo runs demo.sql and prints what it shows; psql opens psql on the same
# instance (or runs what standard input holds); gdb attaches to the backend of
# that psql. BROKER=kafka uses a real Kafka instead of the embedded broker,
# BOOTSTRAP=host:port one of your own, where topics are streamsql_demo_…_<time>
# and are dropped at the end. TRADES is how many records. demo and psql stop
# everything that they started.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/test/lib.sh"
cd "$root"

# The instance may run in the copy of the tree that root's make works in.
if [ "$1" = gdb ]; then
	copy=$(cat build/copy 2>/dev/null || echo "$root")
	if [ ! -f "$copy/build/demo/sockets" ]; then
		echo "Open a session to look at by: make psql" >&2
		exit 1
	fi
	pid=$(psql -X -A -t -h "$(cat "$copy/build/demo/sockets")" -p 5432 \
		-U postgres -c "SELECT pid FROM pg_stat_activity
			WHERE application_name = 'psql' AND pid <> pg_backend_pid()
			ORDER BY backend_start LIMIT 1" postgres)
	command -v gdb >/dev/null || { echo "apt-get install gdb" >&2; exit 1; }
	exec gdb -q -p "$pid"
fi

if [ "$(id -u)" = 0 ]; then
	[ "${BROKER:-}" != kafka ] || test/broker/broker.sh fetch
	run_unprivileged test/demo/demo.sh "$1"
	exit $?
fi

work=$root/build/demo
suffix=
trades=${TRADES:-200000}
export LC_ALL=C.UTF-8

finish()
{
	stop_instance
	[ -z "$suffix" ] || for name in trades users instruments limits; do
		echo "drop	streamsql_demo_$name$suffix" | "$STREAMSQL_FILL" || true
	done
	stop_broker
	rm -rf "$work"
}
rm -rf "$work"
mkdir -p "$work"
trap finish EXIT
trap 'exit 130' INT TERM HUP

export STREAMSQL_FILL="$root/build/bin/fill"
if [ -n "${BOOTSTRAP:-}" ]; then
	export STREAMSQL_BOOTSTRAP=$BOOTSTRAP
	suffix=_$(date +%s)
else
	start_broker "${BROKER:-mock}"
fi
test/demo/topics.sh "$suffix" | "$STREAMSQL_FILL"
start_instance
echo "$sockets" >"$work/sockets"
query() { psql -X -q -v ON_ERROR_STOP=1 -v bootstrap="$STREAMSQL_BOOTSTRAP" \
	-v suffix="$suffix" -v count="$trades" "$@" </dev/null; }
query -f test/demo/setup.sql

if [ "$1" = demo ]; then
	query -f test/demo/demo.sql
else
	query -f test/demo/write.sql
	[ ! -t 0 ] || echo "Foreign table trades: $trades records in 4 partitions;" \
		"tables users, instruments and limits." \
		"To fill topics: \\! \$STREAMSQL_FILL (see test/broker/fill.c)."
	psql -X
fi
