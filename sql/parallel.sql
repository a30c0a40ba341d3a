--
-- A scan shared among workers reads each partition once, to the leader's end
-- offsets.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/parallel.fill
CREATE SERVER parallel FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE p (n int, part int OPTIONS (metadata 'partition'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER parallel OPTIONS (topic 'parallel');
CREATE FOREIGN TABLE parallel_write (n int, key text OPTIONS (metadata 'key'))
	SERVER parallel OPTIONS (topic 'parallel');
INSERT INTO parallel_write SELECT n, 'k' || n FROM generate_series(0, 39999) n;
SELECT count(*), count(DISTINCT n), sum(n) FROM p;
CREATE TABLE parallel_heap AS SELECT * FROM p;
ANALYZE p;
-- PostgreSQL's own aggregates are what is shared
SET streamsql.enable_native_aggregate = off;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
SET cpu_tuple_cost = 1;
EXPLAIN (COSTS OFF) SELECT count(*), count(DISTINCT part), sum(n) FROM p;
EXPLAIN (COSTS OFF) SELECT count(*), sum(n) FROM p;
SELECT count(*), sum(n), min(n), max(n) FROM p;
SELECT count(*) AS different FROM (
	(SELECT * FROM p WHERE part IN (1, 2) OR off < 5
	 EXCEPT ALL SELECT * FROM parallel_heap WHERE part IN (1, 2) OR off < 5)
	UNION ALL
	(SELECT * FROM parallel_heap EXCEPT ALL SELECT * FROM p)) AS d;
SELECT part, count(*) > 5000 AS many FROM p GROUP BY part ORDER BY part;
-- parameters reach the workers
SET plan_cache_mode = force_generic_plan;
PREPARE q(int) AS SELECT count(*) = count(*) FILTER (WHERE part = $1), count(*) > 5000
  FROM p WHERE part = $1;
EXECUTE q(3);
RESET plan_cache_mode;
-- counts of all processes are added up
CREATE FUNCTION parallel_messages(query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
	RETURN jsonb_path_query_array(plan::jsonb, 'strict $.**.Messages');
END
$$;
SELECT parallel_messages('SELECT count(*), sum(n) FROM p');
-- records that may have to be skipped, in workers and beside them
CREATE FOREIGN TABLE skipping (n int, odd inet,
	part int OPTIONS (metadata 'partition'))
	SERVER parallel OPTIONS (topic 'parallel', on_error 'ignore');
SELECT count(*), sum(n) FROM skipping;
SELECT count(*), sum(a.n) FROM p AS a JOIN skipping AS b USING (n);
RESET ALL;
