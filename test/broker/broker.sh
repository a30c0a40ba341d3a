#!/usr/bin/env bash
# broker.sh start KIND DIR [KEY=VALUE …] | stop DIR | fetch
#
# Starts a broker of KIND mock or kafka with its files in DIR, waits until it
# answers, and leaves in DIR: env (to be sourced: STREAMSQL_BOOTSTRAP and, for
# the mock, STREAMSQL_CONTROL), pid (a line for each process), log. KEY=VALUE are
# lines of Kafka's server.properties, but for these: brokers=N are so many
# processes, 1 to N, each in a rack of its own (rack1 …), of which the first is
# the controller, too, and all topics are on all of them; listener=NAME:PROTOCOL
# adds a listener on a free port of localhost, which env has as
# STREAMSQL_LISTENER_NAME for the first; scram=… is a user for kafka-storage
# format --add-scram; version=… is Kafka's, one of $versions. KAFKA_JAVA has more
# options of Java. Started again in the same DIR it has the same ports. The mock
# knows one key, brokers=N. All ends with `stop`, or with the shell that started it
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

# Kill the brokers when the process they belong to, or the first of them, is
# gone. One process without children, so that nothing is left of it when it is
# stopped.
watch_parent()
{
	local -a brokers
	mapfile -t brokers <"$dir/pid"
	setsid perl -e '
		my ($parent, $socket, @brokers) = @ARGV;
		select undef, undef, undef, 0.3
			while kill 0, $brokers[0] and kill 0, $parent;
		kill CONT => @brokers;
		kill KILL => @brokers;
		unlink $socket if $socket' \
		"${BROKER_PARENT:-$PPID}" "$socket" "${brokers[@]}" \
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

# The listeners of $1 brokers, as lines "BROKER NAME PROTOCOL PORT" in
# $dir/listeners: one for the rest of the world, one for controllers, and those
# that the keys behind $1 ask for.
choose_listeners()
{
	local node key brokers=$1
	shift
	[ ! -f "$dir/listeners" ] || return 0
	for ((node = 1; node <= brokers; node++)); do
		for key in listener=PLAINTEXT:PLAINTEXT listener=CONTROLLER:PLAINTEXT "$@"; do
			[[ $key == listener=* ]] || continue
			key=${key#listener=}
			echo "$node ${key%%:*} ${key#*:} $(free_port)"
		done
	done >"$dir/listeners"
}

# The port of broker $1 for listener $2.
port_of()
{
	awk -v node="$1" -v name="$2" '$1 == node && $2 == name { print $4 }' \
		"$dir/listeners"
}

# The properties of broker $1 of $2; those that the keys behind it have win.
write_properties()
{
	local node=$1 brokers=$2 roles=broker listeners='' advertised='' map='' key
	local of name protocol number host
	shift 2
	while read -r of name protocol number; do
		[ "$of" = "$node" ] || continue
		map+=,$name:$protocol
		if [ "$name" = CONTROLLER ]; then
			[ "$node" = 1 ] || continue
			roles+=,controller
			listeners+=,$name://127.0.0.1:$number
			continue
		fi
		host=localhost
		[ "$name" != PLAINTEXT ] || host=127.0.0.1
		listeners+=,$name://127.0.0.1:$number
		advertised+=,$name://$host:$number
	done <"$dir/listeners"
	cat <<-EOF
	process.roles=$roles
	node.id=$node
	broker.rack=rack$node
	controller.quorum.voters=1@127.0.0.1:$(port_of 1 CONTROLLER)
	listeners=${listeners#,}
	advertised.listeners=${advertised#,}
	listener.security.protocol.map=${map#,}
	inter.broker.listener.name=PLAINTEXT
	controller.listener.names=CONTROLLER
	log.dirs=$dir/data$node
	log.retention.ms=-1
	num.partitions=1
	default.replication.factor=$brokers
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
		[[ $key == @(brokers|listener|scram|version)=* ]] || echo "$key"
	done
}

# Start broker $1 of $2, in the cluster of id $3.
start_node()
{
	local node=$1 key
	local -a users=()
	write_properties "$1" "$2" "${@:4}" >"$dir/server$node.properties"
	if [ ! -f "$dir/data$node/meta.properties" ]; then
		for key in "${@:4}"; do
			[[ $key != scram=* || $node != 1 ]] || users+=(--add-scram "${key#scram=}")
		done
		run_java kafka.tools.StorageTool format -t "$3" \
			-c "$dir/server$node.properties" "${users[@]}" >>"$dir/log" 2>&1 ||
			fail "cannot format Kafka's storage"
	fi
	# shellcheck disable=SC2086
	setsid java -Xmx"${KAFKA_HEAP:-768m}" -XX:+UseSerialGC -XX:-UsePerfData \
		${KAFKA_JAVA:-} -Djava.io.tmpdir="$dir/tmp" \
		-cp "$root/build/kafka/$version/libs/*" kafka.Kafka \
		"$dir/server$node.properties" >>"$dir/log" 2>&1 </dev/null &
	echo $! >>"$dir/pid"
	disown
}

start_kafka()
{
	local brokers=1 node key
	for key in "$@"; do
		[[ $key != version=* ]] || version=${key#version=}
		[[ $key != brokers=* ]] || brokers=${key#brokers=}
	done
	fetch_kafka
	mkdir -p "$dir/tmp"
	choose_listeners "$brokers" "$@"
	# a cluster id is 16 bytes in base64url; a dash ahead is an option
	[ -f "$dir/cluster" ] || head -c 16 /dev/urandom | base64 |
		tr '+/' '-_' | tr -d '=' | sed 's/^./A/' >"$dir/cluster"
	: >"$dir/pid"
	for ((node = 1; node <= brokers; node++)); do
		start_node "$node" "$brokers" "$(cat "$dir/cluster")" "$@"
	done
	sed -n -E \
		-e 's/^1 PLAINTEXT .* (\w+)$/export STREAMSQL_BOOTSTRAP=127.0.0.1:\1/p' \
		-e '/^1 (PLAINTEXT|CONTROLLER) /d' \
		-e 's/^1 (\w+) .* (\w+)$/export STREAMSQL_LISTENER_\1=localhost:\2/p' \
		"$dir/listeners" >"$dir/env"
	for ((node = 1; node <= brokers; node++)); do
		wait_for_kafka "$node"
	done
}

# Up means: broker $1 takes connections, which it does when it is in the cluster.
wait_for_kafka()
{
	local pid port
	pid=$(sed -n "$1p" "$dir/pid")
	port=$(port_of "$1" PLAINTEXT)
	for _ in $(seq 600); do
		running "$pid" || fail "Kafka died"
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
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
	local i pid
	local -a pids
	[ -f "$dir/pid" ] || exit 0
	mapfile -t pids <"$dir/pid"
	kill -CONT "${pids[@]}" 2>/dev/null || true
	# the controller last: brokers that leave ask it
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		pid=${pids[i]}
		kill "$pid" 2>/dev/null || true
		for _ in $(seq 100); do
			running "$pid" || break
			sleep 0.05
		done
		kill -KILL "$pid" 2>/dev/null || true
	done
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
	watch_parent
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
