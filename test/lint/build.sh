#!/bin/bash
# Build the extension with warnings as errors, in a copy of the tree so that
# nobody's objects are touched, and let the compiler's analyser read it.
#
#	build.sh FOLDER PG_CONFIG
#
# The copy keeps times, so only what has changed is compiled again. What the
# analyser has passed is remembered by the hash of the preprocessed source.
set -u
tree=$1
pg_config=$2
jobs=$(nproc)
here=$(dirname "$0")
root=$(cd "$here/../.." && pwd)
cache=$root/build/lint/cache
mkdir -p "$root/$tree" "$cache"
cd "$root" || exit 2

# Same files, same times; what is gone goes.
"$here/mirror.py" . "$tree" Makefile streamsql.control src sql \
	test/bench test/broker test/fuzz test/unit || exit 2

status=0
nice make -C "$tree" -k -s -j"$jobs" PG_CONFIG="$pg_config" COPT=-Werror \
	CXX="${CXX:-g++} -Werror" \
	all > build/lint/build.log 2>&1 || status=1
grep -E '(error|warning|undefined|\*\*\*).*' build/lint/build.log |
	grep -v '^make' | sed "s|$root/$tree/||"

# The flags that the build itself uses.
flags=$(make -C "$tree" -s --eval='lint-flags: ; @echo $(CFLAGS) $(CPPFLAGS)' \
	PG_CONFIG="$pg_config" lint-flags 2> /dev/null | tail -1)
export flags cache tree

pg_include=$("$pg_config" --includedir)
server_include=$("$pg_config" --includedir-server)
export pg_include server_include

# A compilation without a server, as unit tests and fuzzers do it.
frontend() {
	gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wno-unused-parameter \
		-Wno-sign-compare -Wno-missing-field-initializers -Werror -O1 \
		-DFRONTEND -Isrc -Itest/unit -I"$server_include" -I"$pg_include" \
		-c -o /dev/null "$1"
}

# Not asked of the analyser: what it can't follow. Reference counts, pointers
# kept in arrays, memory that contexts free, and "SQ_OK, so it is not NULL".
analyser="-fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-use-after-free
	-Wno-analyzer-possible-null-dereference -Wno-analyzer-null-dereference
	-Wno-analyzer-possible-null-argument"
export analyser

# One file of the extension by the analyser, and one of a pure room, or of the
# tests, without a server.
inspect() {
	cd "$tree" || exit 2
	file=$1
	result=0
	hash=$(gcc $flags -Itest/unit -E -P "$file" 2> /dev/null |
		cat - <(echo "$flags $analyser") | sha1sum | cut -c 1-40)
	if [ ! -e "$cache/$hash" ]; then
		case $file in
		test/*) ;;
		*) gcc $flags -Werror $analyser -c -o /dev/null -MF /dev/null \
			"$file" || result=1 ;;
		esac
		case $file in
		src/expr/*fallback* | src/table/*shmem*) ;;
		src/base/* | src/batch/* | src/kafka/* | src/format/* | src/plan/* | \
			src/table/* | src/expr/* | src/exec/* | test/*)
			frontend "$file" || result=1
			;;
		esac
		[ $result = 0 ] && touch "$cache/$hash"
	fi
	exit $result
}
export -f frontend inspect
(cd "$tree" && ls src/*.c src/*/*.c test/*/*.c 2> /dev/null) |
	nice xargs -P "$jobs" -I{} bash -c 'inspect {}' \
		> build/lint/analyse.log 2>&1 || status=1
grep -E '(error|warning): ' build/lint/analyse.log | sort -u |
	sed "s|$root/$tree/||"

# Forget what has not been asked for in two weeks.
find "$cache" -type f -mtime +14 -delete
if [ $status = 0 ]; then
	echo "lint: builds without a warning, the analyser is content"
else
	echo "lint: the build is not clean, see build/lint/*.log"
fi
exit $status
