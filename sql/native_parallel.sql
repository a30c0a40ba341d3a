--
-- Native plans run by several processes: each partition of the stream is read
-- by one of them, tables are what the leader sees, and PostgreSQL merges the
-- states of aggregates.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/native_parallel.fill
CREATE SERVER native_parallel FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE np_trades (id int OPTIONS (path '$.n'),
	i2 smallint OPTIONS (path '$.n'), i8 bigint OPTIONS (path '$.n'),
	m numeric(12,2) OPTIONS (path '$.n'), u numeric OPTIONS (path '$.n'),
	f4 float4 OPTIONS (path '$.n'), f8 float8 OPTIONS (path '$.n'),
	t text OPTIONS (path '$.n'), s text,
	part int OPTIONS (metadata 'partition'))
	SERVER native_parallel OPTIONS (topic 'np_trades');
CREATE FOREIGN TABLE np_write (n int, s text, key text OPTIONS (metadata 'key'),
	part int OPTIONS (metadata 'partition'))
	SERVER native_parallel OPTIONS (topic 'np_trades');
INSERT INTO np_write SELECT n, s, 'k' || n, part
	FROM (VALUES (9000, 'a', 0), (11000, 'b', 1), (10000, NULL, 3)) v (count, s, part),
	generate_series(0, count - 1) n;
CREATE FOREIGN TABLE np_users (id int OPTIONS (key 'true'), tier int)
	SERVER native_parallel OPTIONS (kind 'table', topic 'np_users', key_format 'raw');
CREATE FOREIGN TABLE np_limits (tier int) SERVER native_parallel
	OPTIONS (topic 'np_limits');
INSERT INTO np_users SELECT n, n FROM generate_series(0, 49) n;
INSERT INTO np_limits SELECT generate_series(0, 39);
SELECT streamsql.wait_for('np_users') \g /dev/null
SELECT count(*) FROM np_users;
CREATE TABLE heap_np_trades AS SELECT * FROM np_trades;
CREATE TABLE heap_np_users AS SELECT * FROM np_users;
CREATE TABLE heap_np_limits AS SELECT * FROM np_limits;
ANALYZE np_trades, np_users, np_limits, heap_np_trades, heap_np_users, heap_np_limits;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET cpu_tuple_cost = 1;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT u.tier, count(*), sum(m) FROM np_trades t
	LEFT JOIN np_users u ON u.id = t.id % 60 WHERE t.id > 10 GROUP BY u.tier;
EXPLAIN (COSTS OFF) SELECT t.id, l.tier FROM np_trades t JOIN np_limits l ON l.tier = t.id;
-- The rows of a query by several processes and over heap copies, and who runs it.
CREATE FUNCTION np_rows(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT count(*) || E''\n'' || coalesce(string_agg(x::text, E''\n'' ORDER BY x::text), '''')
		FROM (%s OFFSET 0) x', query) INTO result;
	RETURN result;
END
$$;
CREATE FUNCTION np(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	how text := 'one process';
	shared text := np_rows(query);
	heap text := np_rows(replace(query, 'np_', 'heap_np_'));
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	IF jsonb_path_exists(plan::jsonb, 'strict $.** ? (@."Parallel Aware" == true && exists (@."Native Plan"))') THEN
		how := 'shared';
	ELSIF jsonb_path_exists(plan::jsonb, 'strict $.** ? (@."Parallel Aware" == true)') THEN
		how := 'not native';
	END IF;
	RETURN how || CASE WHEN shared = heap THEN ', same'
		ELSE format(E', DIFFERENT\n%s\n-- heap\n%s', left(shared, 300), left(heap, 300)) END;
END
$$;
-- aggregates: states that are values, sums that are wider, and PostgreSQL's own
SELECT np('SELECT count(*), count(s), count(*) FILTER (WHERE s = ''a'') FROM np_trades');
SELECT np('SELECT part, count(*) FROM np_trades GROUP BY part');
SELECT np('SELECT sum(i2), sum(id), sum(i8), sum(m), sum(f4) FILTER (WHERE id < 100), sum(f8), sum(u) FROM np_trades');
SELECT np('SELECT avg(i2), avg(id), avg(i8), avg(m), avg(f4), avg(f8), avg(u) FROM np_trades');
SELECT np('SELECT s, sum(i8), avg(i8), sum(m), avg(m), avg(id) FROM np_trades GROUP BY s');
SELECT np('SELECT min(id), max(id), min(i2), max(m), min(f8), max(s COLLATE "C"), bool_and(id >= 0), bool_or(id < 0) FROM np_trades');
SELECT np('SELECT round(stddev(f8)::numeric, 6), round(var_pop(f8)::numeric, 3), round(corr(f8, f4)::numeric, 6) FROM np_trades');
SELECT np('SELECT sum(m), avg(m), sum(i8), avg(id), count(id) FROM np_trades WHERE id < 0');
SELECT np('SELECT s, sum(m), avg(i8), avg(id) FROM np_trades WHERE id < 0 GROUP BY s');
SELECT np('SELECT sum(i8 * 400000000000000), avg(i8 * 400000000000000), sum(-i8 * 400000000000000) FROM np_trades');
SELECT np('SELECT sum(CASE WHEN id = 7 THEN ''NaN'' ELSE m END), avg(CASE WHEN id = 7 THEN ''NaN'' ELSE m END) FROM np_trades');
SELECT np('SELECT s, sum(m * 1.5), avg(m + 0.001), stddev(m), variance(i8) FROM np_trades GROUP BY s HAVING avg(m) > 4600');
SELECT np('SELECT bit_and(id), bit_or(id), regr_count(f8, f4) FROM np_trades');
-- what cannot be merged stays one process's
SELECT np('SELECT count(DISTINCT id), array_agg(DISTINCT s) FROM np_trades');
-- joins: with tables and streams, rows and groups
SELECT np('SELECT t.id, t.part, u.tier FROM np_trades t JOIN np_users u ON u.id = t.id');
SELECT np('SELECT count(*), count(u.id), sum(u.tier) FROM np_trades t LEFT JOIN np_users u ON u.id = t.id % 60');
SELECT np('SELECT u.tier, count(*), sum(t.m) FROM np_trades t JOIN np_users u ON u.id = t.id % 60 JOIN np_limits l USING (tier) GROUP BY u.tier');
SELECT np('SELECT count(*) FROM np_trades t WHERE EXISTS (SELECT FROM np_users u WHERE u.id = t.id % 60 AND u.tier > 5)');
SELECT np('SELECT count(*) FROM np_trades t WHERE NOT EXISTS (SELECT FROM np_limits l WHERE l.tier = t.id % 60)');
SELECT np('SELECT count(*), sum(b.m) FROM np_trades a JOIN np_trades b USING (id, s)');
-- rows of the inner side without a match are no process's alone
SELECT np('SELECT count(*), count(t.id) FROM np_trades t RIGHT JOIN np_users u ON u.id = t.id + 25');
SELECT np('SELECT count(*), count(t.id) FROM np_trades t FULL JOIN np_limits l ON l.tier = t.id + 25');
SELECT np('SELECT * FROM np_users u JOIN np_limits l USING (tier)');
-- by PostgreSQL's executor tables are the leader's alone
SET streamsql.debug_require_native = 'forbid';
SELECT np('SELECT count(*), sum(u.tier) FROM np_trades t JOIN np_users u ON u.id = t.id % 60');
RESET streamsql.debug_require_native;
-- again with other parameters
SET plan_cache_mode = force_generic_plan;
PREPARE np_part(int, int) AS SELECT count(*), sum(m) FROM np_trades t JOIN np_users u ON u.id = t.id % 60
	WHERE part = $1 AND t.id < $2;
EXECUTE np_part(0, 60);
EXECUTE np_part(2, 60);
EXECUTE np_part(3, 100000);
RESET plan_cache_mode;
SET enable_material = off;
SELECT v, c FROM (VALUES (60), (0), (120)) AS vs (v),
	LATERAL (SELECT count(*) AS c FROM np_trades t JOIN np_users u ON u.id = t.id % 60
		WHERE t.id < v OFFSET 0) x;
RESET enable_material;
-- what all processes did, and in which of them an error is raised
CREATE FUNCTION np_actual(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT json) ' || query INTO plan;
	-- how many processes there were to have groups and to build is not known
	RETURN QUERY SELECT (o->>'Operator') || ': ' || (o->>'Actual Rows') || coalesce(' of ' || (o->>'Lookups'), '')
		FROM jsonb_path_query(plan::jsonb, 'strict $.**."Native Plan"[*]') o
		WHERE o->>'Operator' ~ 'Join|Stream';
	RETURN QUERY SELECT 'messages ' || jsonb_path_query_array(plan::jsonb, 'strict $.**.Messages')::text;
END
$$;
SELECT np_actual('SELECT count(*), sum(m) FROM np_trades t JOIN np_users u ON u.id = t.id');
\set VERBOSITY terse
SELECT sum(1 / (t.id - 9000)) FROM np_trades t JOIN np_users u ON u.id = t.id % 60;
\set VERBOSITY default
SELECT count(*) FROM np_trades t JOIN np_users u ON u.id = t.id % 60;
