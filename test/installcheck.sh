#!/usr/bin/env bash
# installcheck.sh: the regress tests against the server that libpq's
# environment names, with an embedded broker of our own. What failed is in
# build/installcheck.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/test/lib.sh"
cd "$root"
out=$root/build/installcheck
work=$(mktemp -d /tmp/sqcheck.XXXXXX)
trap 'stop_broker; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
rm -rf "$out"
mkdir -p "$out"
start_broker mock
"$pgxs_src/test/regress/pg_regress" --inputdir="$root" \
	--outputdir="$out" --bindir="$("$PG_CONFIG" --bindir)" \
	--dbname=regress --load-extension=streamsql \
	--schedule="$root/test/schedule" || {
	[ ! -f "$out/regression.diffs" ] || head -n 400 "$out/regression.diffs"
	exit 1
}
