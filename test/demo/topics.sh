#!/usr/bin/env bash
# topics.sh SUFFIX: lines of the filler that make the demo's topics. What is in
# them is written by SQL: write.sql.
set -eu

printf 'topic\tstreamsql_demo_trades%s\t4\n' "$1"
printf 'topic\tstreamsql_demo_users%s\t2\tcleanup.policy=compact\n' "$1"
for name in instruments limits; do
	printf 'topic\tstreamsql_demo_%s%s\t1\tcleanup.policy=compact\n' "$name" "$1"
done
