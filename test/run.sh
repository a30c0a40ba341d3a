#!/usr/bin/env bash
# run.sh [KIND …]: run the tests of these kinds (unit fuzz regress isolation
# pgtap tap; default: all) and print "N passed, N failed" last. TESTS="a b"
# picks tests by name within a kind. Goes on after a failure; ends with 1 if
# there was one. What failed is in build/log.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/test/lib.sh"
cd "$root" || exit 1
if [ "$(id -u)" = 0 ]; then
	run_unprivileged test/run.sh "$@"
	exit $?
fi

passed=0 failed=0
log=$root/build/log
work=$root/build/run
rm -rf "$log" "$work"
mkdir -p "$log" "$work"
export LC_ALL=C.UTF-8

cleanup()
{
	stop_instance
	stop_broker
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# count NAME FILE GOOD BAD: add up the lines of FILE that match the patterns.
count()
{
	local good bad
	good=$(grep -cE "$3" "$2")
	bad=$(grep -cE "$4" "$2")
	passed=$((passed + good))
	failed=$((failed + bad))
	echo "== $1: $good passed, $bad failed"
}

# A kind whose runner failed without naming a test failed all the same.
note_failure()
{
	echo "== $1: the runner ended with $2"
	failed=$((failed + 1))
}

server_started=
need_server()
{
	[ -z "$server_started" ] || return 0
	start_broker mock && start_instance || exit 1
	server_started=yes
}

# The schedule's tests, or TESTS.
regress_arguments()
{
	if [ -n "${TESTS:-}" ]; then
		echo "$TESTS"
	else
		echo "--schedule=$root/test/schedule"
	fi
}

run_unit()
{
	local program name
	: >"$log/unit.log"
	for program in build/unit/*_test; do
		name=$(basename "$program")
		[ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $name "* ]] || continue
		if ! "$program" >"$log/$name.log" 2>&1; then
			grep -q '^not ok' "$log/$name.log" ||
				echo "not ok - $name ended badly" >>"$log/$name.log"
			grep -v '^ok' "$log/$name.log" | head -n 40
		fi
		sed "s/^/$name /; s/^$name \(not \)*ok/\1ok/" "$log/$name.log" |
			cat >>"$log/unit.log"
	done
	count unit "$log/unit.log" '^ok' '^not ok'
}

run_fuzz()
{
	local code=0
	build/fuzz/run.sh "${FUZZ_SECONDS:-3}" >"$log/fuzz.log" 2>&1 || code=$?
	[ $code = 0 ] || tail -n 40 "$log/fuzz.log"
	count fuzz "$log/fuzz.log" '^ok' '^not ok'
	[ $code = 0 ] || grep -q '^not ok' "$log/fuzz.log" || note_failure fuzz $code
}

run_regress()
{
	local code=0
	need_server
	mkdir -p "$log/regress"
	"$pgxs_src/test/regress/pg_regress" --inputdir="$root" \
		--outputdir="$log/regress" --bindir="${PATH%%:*}" \
		--host="$PGHOST" --port="$PGPORT" --user=postgres \
		--dbname=regress --load-extension=streamsql \
		$(regress_arguments) >"$log/regress.log" 2>&1 || code=$?
	[ $code = 0 ] || cat "$log/regress.log" \
		"$log/regress/regression.diffs" 2>/dev/null | head -n 400
	count regress "$log/regress.log" '\.\.\. ok|^ok ' '\.\.\. FAILED|^not ok '
	[ $code = 0 ] || grep -qE 'FAILED|^not ok' "$log/regress.log" ||
		note_failure regress $code
}

run_isolation()
{
	local code=0 specs
	need_server
	specs=${TESTS:-$(cd test/isolation/specs && ls *.spec | sed 's/\.spec$//')}
	mkdir -p "$log/isolation"
	PATH="$pgxs_src/test/isolation:$PATH" \
		"$pgxs_src/test/isolation/pg_isolation_regress" \
		--inputdir="$root/test/isolation" --outputdir="$log/isolation" \
		--bindir="${PATH%%:*}" --host="$PGHOST" --port="$PGPORT" \
		--user=postgres --dbname=isolation --load-extension=streamsql \
		$specs >"$log/isolation.log" 2>&1 || code=$?
	[ $code = 0 ] || cat "$log/isolation.log" \
		"$log/isolation/regression.diffs" 2>/dev/null | head -n 200
	count isolation "$log/isolation.log" '\.\.\. ok|^ok ' '\.\.\. FAILED|^not ok '
	[ $code = 0 ] || grep -qE 'FAILED|^not ok' "$log/isolation.log" ||
		note_failure isolation $code
}

# pgTAP's own extension goes into a database of its own, beside ours.
run_pgtap()
{
	local file name
	need_server
	: >"$log/pgtap.log"
	for file in test/pgtap/*.sql; do
		name=$(basename "$file" .sql)
		[ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $name "* ]] || continue
		dropdb --if-exists pgtap >/dev/null 2>&1
		createdb pgtap
		psql -X -q -d pgtap -c 'CREATE EXTENSION pgtap' \
			-c 'CREATE EXTENSION streamsql' >>"$log/pgtap.log" 2>&1
		psql -X -q -A -t -d pgtap -f "$file" >>"$log/pgtap.log" 2>&1 ||
			echo "not ok - $name ended badly" >>"$log/pgtap.log"
	done
	grep -A 8 -E '^not ok|ERROR|# Looks like' "$log/pgtap.log"
	count pgtap "$log/pgtap.log" '^ok' '^not ok|# Looks like you planned'
}

run_tap()
{
	local code=0 files name
	files=$(ls test/t/*.t)
	if [ -n "${TESTS:-}" ]; then
		files=
		for name in $TESTS; do files="$files test/t/$name.t"; done
	fi
	[ -n "$server_started" ] ||
		PATH="$("$root/test/private_tree.sh" "$work/pg"):$PATH"
	export PG_REGRESS="$pgxs_src/test/regress/pg_regress"
	export TESTDIR="$work" TESTDATADIR="$work/tap" TESTLOGDIR="$log/tap"
	export top_builddir="$work" STREAMSQL_FILL="$root/build/bin/fill"
	export STREAMSQL_ROOT="$root"
	mkdir -p "$work/tap" "$log/tap"
	(unset PGHOST PGPORT PGUSER PGDATABASE STREAMSQL_CONTROL STREAMSQL_BOOTSTRAP
		prove --verbose -I "$pgxs_src/test/perl" -I test/t/lib $files
	) >"$log/tap.log" 2>&1 || code=$?
	[ $code = 0 ] || grep -vE '^ok|^# (Check|Run|Post|Start|Stop|Init)' \
		"$log/tap.log" | tail -n 150
	count tap "$log/tap.log" '^ok' '^not ok'
	[ $code = 0 ] || grep -q '^not ok' "$log/tap.log" || note_failure tap $code
}

for kind in ${*:-unit fuzz regress isolation pgtap tap}; do
	"run_$kind"
done
cleanup
trap - EXIT
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
