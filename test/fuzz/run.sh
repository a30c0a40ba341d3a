#!/usr/bin/env bash
# run.sh SECONDS: every fuzz target for that long, from its seeds and what
# earlier runs found; one "ok" or "not ok" line each. Ends with 1 if one failed;
# the input that did it is then in build/fuzz/<target>.found/.
set -u
seconds=${1:?seconds}
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
code=0
export ASAN_OPTIONS=detect_leaks=0

for source in test/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	kept=build/fuzz/corpus/$name
	found=build/fuzz/$name.found
	mkdir -p "$kept" "$found"
	if build/fuzz/"$name" -max_total_time="$seconds" -max_len=4096 \
		-timeout=20 -rss_limit_mb=1024 -verbosity=0 \
		-dict=test/fuzz/"${name#fuzz_}".dict -artifact_prefix="$found/" \
		"$kept" "test/fuzz/corpus/${name#fuzz_}"; then
		echo "ok - $name"
	else
		echo "not ok - $name: the input is in $found"
		code=1
	fi
done
exit $code
