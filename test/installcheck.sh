#!/usr/bin/env bash
# installcheck.sh: the regress tests against the server that libpq's
# environment names, with an embedded broker of our own.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/test/lib.sh"
cd "$root"
work=$(mktemp -d /tmp/sqcheck.XXXXXX)
trap 'stop_broker; rm -rf "$work"' EXIT
start_broker mock
"$pgxs_src/test/regress/pg_regress" --inputdir="$root" \
	--outputdir="$work" --bindir="$("$PG_CONFIG" --bindir)" \
	--dbname=regress_streamsql --load-extension=streamsql \
	--schedule="$root/test/schedule" || {
	cat "$work/regression.diffs"
	exit 1
}
