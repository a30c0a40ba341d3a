#!/usr/bin/env bash
# run.sh [KIND …]: run the tests of these kinds (unit fuzz regress isolation
# pgtap regress-librdkafka isolation-librdkafka tap; default: all) and print
# "N passed, N failed" last. TESTS="a b" picks tests by name within a kind. Goes
# on after a failure; ends with 1 if there was one. What failed is in build/log.
# The kinds that end with -librdkafka are the same files, read by librdkafka.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/test/lib.sh"
cd "$root" || exit 1
if [ "$(id -u)" = 0 ]; then
	run_unprivileged test/run.sh "$@"
	exit $?
fi

# FAILED_BEFORE: what the caller already saw fail (.ci/run: lint)
passed=0 failed=${FAILED_BEFORE:-0}
log=$root/build/log
work=$root/build/run
rm -rf "$log" "$work"
mkdir -p "$log" "$work"
export LC_ALL=C.UTF-8

# limited SECONDS COMMAND …: run it and all its children for so long at most.
# Waited for like this, a Ctrl-C is heard at once.
job=
limited()
{
	local code=0
	timeout -k 10 "$@" &
	job=$!
	wait "$job" || code=$?
	job=
	return $code
}

# What an interrupted TAP test has running.
stop_tap()
{
	local file pid
	for file in "$work"/tmp_check/*/pgdata/postmaster.pid; do
		read -r pid 2>/dev/null <"$file" || continue
		kill -QUIT "$pid" 2>/dev/null
		timeout 5 tail --pid="$pid" -f /dev/null
	done
}

finish()
{
	if [ -n "$job" ]; then
		kill "$job" 2>/dev/null
		wait "$job"
	fi
	stop_tap
	stop_instance
	stop_broker
	[ "$failed" = 0 ] || [ ! -f "$work/postgres.log" ] ||
		cp "$work/postgres.log" "$log/"
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	# exit alone would be with the status from before the trap
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit $?
}
trap finish EXIT
trap 'failed=$((failed + 1)); exit 130' INT TERM HUP

# Is this test among those asked for?
wanted()
{
	[ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $1 "* ]]
}

# add_up KIND LOG CODE GOOD BAD: count the lines of LOG that match the patterns.
# A runner that failed without naming a test is a failure too.
add_up()
{
	local good bad
	good=$(grep -cE "$4" "$2")
	bad=$(grep -cE "$5" "$2")
	if [ "$3" != 0 ] && [ "$bad" = 0 ]; then
		echo "== $1: the runner ended with $3 (124: out of time)"
		bad=1
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	echo "== $1: $good passed, $bad failed ($((SECONDS - began)) s)"
}

# need_server KIND: one whose streams are read by the reader that KIND ends
# with. Another reader gets a new broker, too: files fill topics of fixed names.
server_reader=
need_server()
{
	local reader=auto
	[[ $1 != *-librdkafka ]] || reader=librdkafka
	[ "$server_reader" != "$reader" ] || return 0
	if [ -n "$server_reader" ]; then
		stop_instance
		stop_broker
		rm -rf "$work/data" "$work/broker"
	fi
	server_reader=
	if ! start_broker mock ||
		! start_instance "streamsql.debug_reader = $reader"; then
		echo "== no server for tests of kind $1"
		failed=$((failed + 1))
		return 1
	fi
	server_reader=$reader
}

# inputs KIND FOLDER: where the input and the expected output of KIND are. By
# librdkafka the output of FOLDER must be the same in all but the reader's name,
# which tells that it was read so.
inputs()
{
	local of=$work/inputs/$1 name
	if [[ $1 != *-librdkafka ]]; then
		echo "$2"
		return
	fi
	mkdir -p "$of/expected"
	for name in sql specs; do
		[ ! -d "$2/$name" ] || ln -s "$2/$name" "$of/"
	done
	for name in "$2"/expected/*.out; do
		sed 's/Reader: wire$/Reader: librdkafka/' "$name" \
			>"$of/expected/${name##*/}"
	done
	echo "$of"
}

run_unit()
{
	local program name code=0
	: >"$log/unit.log"
	mkdir "$work/unit"
	for program in build/unit/*_test; do
		name=$(basename "$program")
		! wanted "$name" || [ ! -f "test/unit/$name.c" ] || echo "$name"
	done >"$work/unit/names"
	export log work UBSAN_OPTIONS=print_stacktrace=1
	xargs -P 2 -I NAME bash -c 'code=0
		timeout --foreground -k 5 120 build/unit/NAME >"$log/NAME.log" 2>&1 || code=$?
		echo $code >"$work/unit/NAME"' <"$work/unit/names"
	while read -r name; do
		if [ "$(cat "$work/unit/$name")" != 0 ]; then
			code=1
			grep -q '^not ok' "$log/$name.log" ||
				echo "not ok - $name ended with $(cat "$work/unit/$name")" \
					>>"$log/$name.log"
			echo "-- $name"
			grep -v '^ok' "$log/$name.log" | head -n 60
		fi
		cat "$log/$name.log" >>"$log/unit.log"
	done <"$work/unit/names"
	add_up unit "$log/unit.log" $code '^ok' '^not ok'
}

run_fuzz()
{
	local code=0
	limited 600 test/fuzz/run.sh "${FUZZ_SECONDS:-3}" \
		>"$log/fuzz.log" 2>&1 || code=$?
	if [ $code != 0 ]; then
		tail -n 60 "$log/fuzz.log"
		cp -r build/fuzz/*.found "$log/"
	fi
	add_up fuzz "$log/fuzz.log" $code '^ok' '^not ok'
}

# regress KIND PROGRAM ARGUMENT …: what pg_regress and its isolation twin share.
regress()
{
	local kind=$1 program=$2 code=0
	shift 2
	need_server "$kind" || return
	mkdir -p "$log/$kind"
	limited 900 "$program" --outputdir="$log/$kind" \
		--bindir="${PATH%%:*}" --host="$PGHOST" --port="$PGPORT" \
		--user=postgres --dbname="${kind%-librdkafka}" \
		--load-extension=streamsql \
		"$@" >"$log/$kind.log" 2>&1 || code=$?
	if [ $code != 0 ]; then
		cat "$log/$kind.log"
		[ ! -f "$log/$kind/regression.diffs" ] ||
			head -n 400 "$log/$kind/regression.diffs"
	fi
	# "... ok" is how versions before 16 say it, "ok 1" how the later ones do
	add_up "$kind" "$log/$kind.log" $code '\.\.\. ok|^ok ' \
		'\.\.\. FAILED|^not ok '
}

run_regress()
{
	local kind=$1 tests=${TESTS:---schedule=$root/test/schedule}
	# shellcheck disable=SC2086
	regress "$kind" "$pgxs_src/test/regress/pg_regress" \
		--inputdir="$(inputs "$kind" "$root")" $tests
}

run_isolation()
{
	local kind=$1 tests=${TESTS:-} spec
	for spec in test/isolation/specs/*.spec; do
		[ -n "${TESTS:-}" ] || [ ! -f "$spec" ] ||
			tests="$tests $(basename "$spec" .spec)"
	done
	[ -n "$tests" ] || return 0
	# shellcheck disable=SC2086
	regress "$kind" "$pgxs_src/test/isolation/pg_isolation_regress" \
		--inputdir="$(inputs "$kind" "$root/test/isolation")" $tests
}

# Each file in a new database of its own, with both extensions.
run_pgtap()
{
	local file name code=0
	need_server pgtap || return
	: >"$log/pgtap.log"
	for file in test/pgtap/*.sql; do
		name=$(basename "$file" .sql)
		[ -f "$file" ] && wanted "$name" || continue
		{
			createdb "pgtap_$name"
			psql -X -q -d "pgtap_$name" -c 'CREATE EXTENSION pgtap' \
				-c 'CREATE EXTENSION streamsql'
			limited 300 pg_prove --verbose -d "pgtap_$name" "$file"
		} >>"$log/pgtap.log" 2>&1 || code=$?
	done
	[ $code = 0 ] || grep -vE '^ok' "$log/pgtap.log" | tail -n 150
	add_up pgtap "$log/pgtap.log" $code '^ok' '^not ok'
}

run_tap()
{
	local code=0 files='' file
	for file in test/t/*.t; do
		! wanted "$(basename "$file" .t)" || files="$files $file"
	done
	[ -d "$work/pg" ] ||
		PATH="$("$root/test/private_tree.sh" "$work/pg"):$PATH"
	mkdir -p "$work/tap" "$log/tap"
	# shellcheck disable=SC2086
	limited "${TAP_SECONDS:-1500}" env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE \
		-u STREAMSQL_CONTROL -u STREAMSQL_BOOTSTRAP \
		PG_REGRESS="$pgxs_src/test/regress/pg_regress" \
		TESTDIR="$work" TESTDATADIR="$work/tap" TESTLOGDIR="$log/tap" \
		top_builddir="$work" STREAMSQL_ROOT="$root" \
		STREAMSQL_FILL="$root/build/bin/fill" \
		prove --verbose --timer -I "$pgxs_src/test/perl" -I test/t/lib \
		$files >"$log/tap.log" 2>&1 || code=$?
	grep -E 'skipped: |^# generated: ' "$log/tap.log"
	[ $code = 0 ] || grep -vE '^ok|^# (Check|Run|Post|Start|Stop|Init)' \
		"$log/tap.log" | tail -n 150
	[ $code = 0 ] || [ ! -d "$work/tmp_check/log" ] ||
		cp -r "$work/tmp_check/log/." "$log/tap/"
	add_up tap "$log/tap.log" $code '^ok' '^not ok'
}

all='unit fuzz regress isolation pgtap'
all+=' regress-librdkafka isolation-librdkafka tap'
for kind in ${*:-$all}; do
	began=$SECONDS
	"run_${kind%-librdkafka}" "$kind"
done
