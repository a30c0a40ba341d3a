#!/usr/bin/env bash
# broker.sh start KIND DIR [KEY=VALUE …] | stop DIR | fetch
#
# Starts a broker of KIND mock or kafka with its files in DIR, waits until it
# answers, and leaves in DIR: env (to be sourced: STREAMSQL_BOOTSTRAP and, for
# the mock, STREAMSQL_CONTROL), pid, log. KEY=VALUE are lines of Kafka's
# server.properties, but for these: listener=NAME:PROTOCOL adds a listener on a
# free port of localhost, which env has as STREAMSQL_LISTENER_NAME; scram=… is a
# user for kafka-storage format --add-scram; version=… is Kafka's, one of
# $versions. KAFKA_JAVA has more options of Java. The mock knows one key,
# brokers=N. The broker ends with `stop`, or with the shell that started it
# (BROKER_PARENT, else the parent of this script). fetch gets the jars of all
# versions into build/kafka; without Java that is a line of warning, in CI an
# error.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
versions='3.9.1 4.0.1'
version=3.9.1

fail()
{
	echo "broker.sh: $*" >&2
	[ ! -f "$dir/log" ] || tail -n 20 "$dir/log" >&2
	exit 1
}

# A free TCP port of the loopback interface.
free_port()
{
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(
		Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# Kill the broker when the process it belongs to is gone. One process without
# children, so that nothing is left of it when it is stopped.
watch_parent()
{
	setsid perl -e '
		my ($broker, $parent, @files) = @ARGV;
		select undef, undef, undef, 0.3 while kill 0, $broker and kill 0, $parent;
		kill CONT => $broker;
		kill KILL => $broker;
		unlink @files' \
		"$1" "${BROKER_PARENT:-$PPID}" ${socket:+"$socket"} \
		</dev/null >/dev/null 2>&1 &
	echo $! >"$dir/watch.pid"
	disown
}

start_mock()
{
	local folder=${TMPDIR:-/tmp} brokers=1
	[ $# = 0 ] || brokers=${1#brokers=}
	# a unix socket's path must be short
	[ ${#folder} -lt 80 ] || folder=/tmp
	socket=$(mktemp -u "$folder/sqmock.XXXXXX")
	setsid "$root/build/bin/mock_broker" "$socket" "$brokers" >"$dir/out" \
		2>"$dir/log" </dev/null &
	echo $! >"$dir/pid"
	disown
	for _ in $(seq 100); do
		[ -s "$dir/out" ] && break
		running "$(cat "$dir/pid")" || fail "mock broker died"
		sleep 0.05
	done
	[ -s "$dir/out" ] || fail "mock broker did not start"
	cat >"$dir/env" <<-EOF
	export STREAMSQL_BOOTSTRAP=$(head -n 1 "$dir/out")
	export STREAMSQL_CONTROL=$socket
	EOF
}

# The jars of the version, once; when two ask at a time the second waits.
fetch_kafka()
{
	local jars=$root/build/kafka/$version
	[ ! -f "$jars/done" ] || return 0
	mkdir -p "$jars"
	(
		flock 9
		[ ! -f "$jars/done" ] || exit 0
		echo "Fetching Apache Kafka $version with Maven (once)" >&2
		MAVEN_OPTS=-XX:-UsePerfData mvn -q -B -f "$root/test/broker/pom.xml" \
			-Dkafka="$version" \
			dependency:copy-dependencies -DoutputDirectory="$jars/libs" \
			>"$jars/log" 2>&1 </dev/null || exit 1
		touch "$jars/done"
	) 9>"$jars/lock" || {
		tail -n 20 "$jars/log" >&2
		echo "broker.sh: cannot fetch Kafka with Maven" >&2
		exit 1
	}
}

# Java without the files that it leaves in /tmp.
run_java()
{
	java -XX:-UsePerfData -Djava.io.tmpdir="$dir/tmp" \
		-cp "$root/build/kafka/$version/libs/*" "$@"
}

# The listeners that are asked for, as lines "NAME PROTOCOL PORT" in
# $dir/listeners; a restart has the same ports.
choose_listeners()
{
	local key
	[ ! -f "$dir/listeners" ] || return 0
	for key in "$@"; do
		[[ $key == listener=* ]] || continue
		key=${key#listener=}
		echo "${key%%:*} ${key#*:} $(free_port)"
	done >"$dir/listeners"
}

write_properties()
{
	local port=$1 controller=$2 listeners advertised map key
	local name protocol number
	shift 2
	advertised=PLAINTEXT://127.0.0.1:$port
	listeners=$advertised,CONTROLLER://127.0.0.1:$controller
	map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
	choose_listeners "$@"
	while read -r name protocol number; do
		listeners+=,$name://127.0.0.1:$number
		advertised+=,$name://localhost:$number
		map+=,$name:$protocol
	done <"$dir/listeners"
	cat >"$dir/server.properties" <<-EOF
	process.roles=broker,controller
	node.id=1
	controller.quorum.voters=1@127.0.0.1:$controller
	listeners=$listeners
	advertised.listeners=$advertised
	listener.security.protocol.map=$map
	inter.broker.listener.name=PLAINTEXT
	controller.listener.names=CONTROLLER
	log.dirs=$dir/data
	log.retention.ms=-1
	num.partitions=1
	auto.create.topics.enable=false
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=1
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=1
	group.initial.rebalance.delay.ms=0
	message.max.bytes=20000000
	EOF
	for key in "$@"; do
		[[ $key == @(listener|scram|version)=* ]] || echo "$key"
	done >>"$dir/server.properties"
}

start_kafka()
{
	local port controller id key
	local -a users=()
	for key in "$@"; do
		[[ $key != version=* ]] || version=${key#version=}
	done
	fetch_kafka
	mkdir -p "$dir/tmp"
	port=${KAFKA_PORT:-$(free_port)}
	controller=$(free_port)
	[ -d "$dir/data" ] || rm -f "$dir/formatted"
	write_properties "$port" "$controller" "$@"
	if [ ! -f "$dir/formatted" ]; then
		# a cluster id is 16 bytes in base64url; a dash ahead is an option
		for key in "$@"; do
			[[ $key != scram=* ]] || users+=(--add-scram "${key#scram=}")
		done
		id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
		run_java kafka.tools.StorageTool format -t "A${id:1}" \
			-c "$dir/server.properties" "${users[@]}" >"$dir/log" 2>&1 ||
			fail "cannot format Kafka's storage"
		touch "$dir/formatted"
	fi
	# shellcheck disable=SC2086
	setsid java -Xmx"${KAFKA_HEAP:-768m}" -XX:+UseSerialGC -XX:-UsePerfData \
		${KAFKA_JAVA:-} -Djava.io.tmpdir="$dir/tmp" \
		-cp "$root/build/kafka/$version/libs/*" kafka.Kafka "$dir/server.properties" \
		>>"$dir/log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	disown
	{
		echo "export STREAMSQL_BOOTSTRAP=127.0.0.1:$port"
		sed -E 's/^(\w+) .* (\w+)$/export STREAMSQL_LISTENER_\1=localhost:\2/' \
			"$dir/listeners"
	} >"$dir/env"
	wait_for_kafka "$port"
}

# Up means: it takes a topic.
wait_for_kafka()
{
	for _ in $(seq 300); do
		running "$(cat "$dir/pid")" || fail "Kafka died"
		if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
			return
		fi
		sleep 0.1
	done
	fail "Kafka did not start"
}

# Does the process run? One that has ended but was not fetched by its parent
# (which may be a slow init) doesn't.
running()
{
	local status
	read -r status 2>/dev/null <"/proc/$1/stat" && [[ $status != *") Z "* ]]
}

stop_broker()
{
	local pid
	[ -f "$dir/pid" ] || exit 0
	pid=$(cat "$dir/pid")
	kill -CONT "$pid" 2>/dev/null || true
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 100); do
		running "$pid" || break
		sleep 0.05
	done
	kill -KILL "$pid" 2>/dev/null || true
	[ ! -f "$dir/watch.pid" ] || kill "$(cat "$dir/watch.pid")" 2>/dev/null || true
	if [ -f "$dir/env" ]; then
		. "$dir/env"
		rm -f ${STREAMSQL_CONTROL:+"$STREAMSQL_CONTROL"}
	fi
	rm -f "$dir/pid" "$dir/watch.pid" "$dir/env"
}

socket=
verb=$1
case $verb in
fetch)
	dir=$root/build/kafka
	if command -v java >/dev/null && command -v mvn >/dev/null; then
		for version in $versions; do
			fetch_kafka
		done
	elif [ "${CI:-}" = true ]; then
		fail "tests on a real Kafka need java and mvn"
	else
		echo "No java and mvn: tests on a real Kafka will be skipped." >&2
	fi
	;;
start)
	kind=$2
	mkdir -p "$3"
	dir=$(cd "$3" && pwd)
	shift 3
	"start_$kind" "$@"
	watch_parent "$(cat "$dir/pid")"
	;;
stop)
	dir=$2
	stop_broker
	;;
*)
	echo "usage: broker.sh start mock|kafka DIR [KEY=VALUE …] | stop DIR | fetch" >&2
	exit 2
	;;
esac
