#!/usr/bin/env bash
# arrive.sh TOPIC KEY VALUE CONDITION: produce a record and print how many
# milliseconds after its acknowledgement the row of table users that CONDITION
# describes was there. A session looks for it all the time, so what is printed
# has no starting of programs in it.
set -eu
topic=$1 key=$2 value=$3 condition=$4

coproc psql -X -q -A -t -v ON_ERROR_STOP=1
# ready when this is answered, with all caches warm
echo "SELECT count(*) FROM users WHERE $condition;" >&"${COPROC[1]}"
read -r -u "${COPROC[0]}" found
[ "$found" = 0 ] || { echo "arrive.sh: it is there already" >&2; exit 1; }
cat >&"${COPROC[1]}" <<SQL
DO \$\$
BEGIN
	WHILE NOT EXISTS (SELECT FROM users WHERE $condition) LOOP
		PERFORM pg_sleep(0.0002);
	END LOOP;
	PERFORM set_config('demo.seen',
		extract(epoch FROM clock_timestamp())::text, false);
END \$\$;
SELECT current_setting('demo.seen');
SQL
acked=$(printf 'record\t%s\t-\t-\t%s\t%s\nacked\n' "$topic" "$key" "$value" |
	"$STREAMSQL_FILL")
read -r -u "${COPROC[0]}" -t 30 seen
echo '\q' >&"${COPROC[1]}"
awk -v acked="$acked" -v seen="$seen" \
	'BEGIN { printf "%.1f\n", (seen - acked) * 1000 }'
