#!/usr/bin/env bash
# topics.sh SUFFIX TRADES: lines of the filler that make the demo's topics. The
# tables have the users and symbols that its trades have.
set -eu

awk -v suffix="$1" -v trades="$2" 'BEGIN {
	split("Ada Bo Cleo Dan Eva Finn Gil Hana Ivo Jude", first)
	split("Abel Berg Cruz Dahl Ebert Fox Gray Holm Ito Jones", last)
	split("basic silver basic gold basic", tiers)
	split("EMEA AMER APAC", regions)
	split("ACME BOLT CRUX DYNE ECHO FLUX GRIT HALO IRIS JOLT", symbols)
	split("tech energy health finance", sectors)
	split("basic silver gold", ranks)

	topic = "streamsql_demo_trades" suffix
	printf "topic\t%s\t4\ntrades\t%s\t%d\n", topic, topic, trades

	topic = "streamsql_demo_users" suffix
	printf "topic\t%s\t2\tcleanup.policy=compact\n", topic
	for (i = 0; i < 500; i++)
		printf "record\t%s\t-\t-\tuser_%05d\t{\"name\":\"%s %s\"," \
			"\"tier\":\"%s\",\"region\":\"%s\",\"credit\":%d.50}\n",
			topic, i, first[i % 10 + 1], last[int(i / 10) % 10 + 1],
			tiers[i % 5 + 1], regions[i % 3 + 1], 1000 + i * 137 % 9000

	topic = "streamsql_demo_instruments" suffix
	printf "topic\t%s\t1\tcleanup.policy=compact\n", topic
	for (i = 0; i < 10; i++)
		printf "record\t%s\t-\t-\t%s\t{\"sector\":\"%s\",\"lot\":%d}\n",
			topic, symbols[i + 1], sectors[i % 4 + 1], 10 ^ (i % 3)

	topic = "streamsql_demo_limits" suffix
	printf "topic\t%s\t1\tcleanup.policy=compact\n", topic
	for (i = 0; i < 12; i++)
		printf "record\t%s\t-\t-\t{\"tier\":\"%s\",\"sector\":\"%s\"}\t" \
			"{\"max_amount\":%d}\n",
			topic, ranks[i % 3 + 1], sectors[int(i / 3) + 1],
			200000 + i % 3 * 75000 + int(i / 3) * 10000
}'
