--
-- Aggregates that run natively: plan, answers, and the answers of PostgreSQL's
-- executor over the same topic and over a heap copy.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\tnative_aggregate\t2\n' | "$STREAMSQL_FILL"
CREATE SERVER native_aggregate FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE native_aggregate_records (part int OPTIONS (metadata 'partition'),
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'))
	SERVER native_aggregate OPTIONS (topic 'native_aggregate', format 'raw');
\copy native_aggregate_records FROM 'test/data/native_aggregate.copy'
CREATE FOREIGN TABLE na_s (id int, g text, i int, b bigint, s smallint,
	m numeric(12,2), x float8, f float4, t text COLLATE "C", ok bool, d date,
	u numeric, z timestamptz, c char(3), part int OPTIONS (metadata 'partition'))
	SERVER native_aggregate OPTIONS (topic 'native_aggregate');
CREATE FOREIGN TABLE na_t (id int OPTIONS (key 'true'), g text, i int, b bigint,
	s smallint, m numeric(12,2), x float8, f float4, t text COLLATE "C", ok bool,
	d date, u numeric, z timestamptz, c char(3),
	part int OPTIONS (metadata 'partition'))
	SERVER native_aggregate
	OPTIONS (kind 'table', topic 'native_aggregate', key_format 'raw');
CREATE TABLE na_heap AS SELECT * FROM na_s;
-- the plan, with and without execution
EXPLAIN (COSTS OFF) SELECT g, count(*) FROM na_s WHERE i > 1 GROUP BY g;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
	SELECT g, sum(m) FROM na_t WHERE i > 1 GROUP BY g;
-- ten times 0.10 are 1.00; no rows are one group without keys, none with
SELECT sum(m), avg(m), count(m), count(*) FROM na_s WHERE g = 'ten';
SELECT count(*), count(i), sum(i), max(t), bool_or(ok) FROM na_s WHERE id < 0;
SELECT g, count(*) FROM na_s WHERE id < 0 GROUP BY g;
-- NULL is a group of its own, and is not counted
SELECT g, count(*), count(i), sum(i), min(t), max(t) FROM na_s
	WHERE id < 40 GROUP BY g ORDER BY g;
-- errors are PostgreSQL's, and none of rows that a condition removed before
SELECT sum(10 / i) FROM na_s;
SELECT sum(10 / i) FROM na_s WHERE i <> 0 AND i <> 2147483647;
SELECT count(i + 1) FROM na_s;
SELECT sum(b) FROM na_s WHERE b > 0;
-- everything else: native or not, the same as PostgreSQL and as a heap copy
CREATE FUNCTION na_run(query text, requirement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('streamsql.debug_require_native', requirement, true);
	EXECUTE format('SELECT string_agg(x::text, E''\n'' ORDER BY x::text COLLATE "C") FROM (%s) x', query)
		INTO result;
	PERFORM set_config('streamsql.debug_require_native', 'allow', true);
	RETURN coalesce(result, '');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION na_check(query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	native bool;
	same bool := true;
	of text;
	answer text;
BEGIN
	FOREACH of IN ARRAY ARRAY['na_s', 'na_t'] LOOP
		native := false;
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '$', of) LOOP
			native := native OR line LIKE '%Native Plan%';
		END LOOP;
		answer := na_run(replace(query, '$', of), 'allow');
		same := same AND answer = na_run(replace(query, '$', of), 'forbid')
			AND answer = na_run(replace(query, '$', 'na_heap'), 'allow');
	END LOOP;
	RETURN format('%s, %s', CASE WHEN native THEN 'native' ELSE 'not native' END,
		CASE WHEN same THEN 'same' ELSE 'DIFFERENT' END);
END
$$;
-- a strict transition function without a first state; a state that is an
-- expanded array
CREATE FUNCTION na_keep(text, text) RETURNS text STRICT IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE na_first(text) (SFUNC = na_keep, STYPE = text);
CREATE AGGREGATE na_append(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}');
CREATE TABLE na_aggregates AS SELECT * FROM unnest(ARRAY[
	'count(*)', 'count(u)', 'sum(i)', 'sum(s)', 'sum(m)', 'sum(b)', 'avg(i)',
	'avg(s)', 'avg(b)', 'avg(m)', 'sum(x)', 'avg(x)', 'sum(f)', 'avg(f)',
	'min(i)', 'max(b)', 'min(m)', 'max(m)', 'min(x)', 'max(f)', 'min(t)',
	'max(t)', 'min(d)', 'max(z)', 'bool_and(ok)', 'bool_or(ok)', 'every(ok)',
	'round(stddev(x)::numeric, 6)', 'round(var_pop(x)::numeric, 6)', 'round(var_samp(x)::numeric, 6)', 'round(stddev_pop(x)::numeric, 6)',
	'count(*) FILTER (WHERE ok)', 'sum(i) FILTER (WHERE m > 10)',
	'sum(CASE WHEN ok THEN i ELSE s END)', 'sum(coalesce(i, 0))',
	'sum(m + 1)', 'sum(m - 0.5)', 'sum(-m)', 'sum(s * 2)', 'max(m * 1.5)',
	'sum(m * s)', 'avg(m + m)', 'sum(x * 2)', 'sum(i::bigint * s)',
	'sum(coalesce(m, 0))', 'sum(coalesce(m, 0.00))', 'sum(abs(i))',
	'count(DISTINCT i)', 'string_agg(t, '','' ORDER BY id)', 'sum(u)',
	'min(c)', 'sum(length(t))', 'count(i / nullif(s, 0))', 'sum(i / s)',
	'sum(u + 1)', 'avg(u)', 'min(u)', 'max(u)', 'stddev(i)', 'variance(s)', 'var_pop(m)',
	'stddev_samp(b)', 'sum(DISTINCT m)', 'avg(DISTINCT i)', 'count(DISTINCT u)',
	'count(DISTINCT t) FILTER (WHERE ok)', 'array_agg(i ORDER BY id)',
	'array_agg(DISTINCT t ORDER BY t DESC NULLS LAST)', 'array_agg(ARRAY[i, s] ORDER BY id)',
	'string_agg(DISTINCT t, '','')', 'string_agg(upper(t), t ORDER BY i DESC, id)',
	'json_agg(m ORDER BY id)', 'jsonb_object_agg(id, z)', 'bit_or(i)', 'max(c)',
	'sum(DISTINCT i / s)', 'max(ARRAY[i])', 'round(corr(x, f)::numeric, 6)', 'regr_count(x, f)',
	'sum(z - ''2026-01-01'')', 'na_first(t ORDER BY id)', 'na_append(i ORDER BY id)', 'na_append(c ORDER BY id)']) AS a;
CREATE TABLE na_groups AS SELECT * FROM unnest(ARRAY['g', 'i', 'm', 'x', 'f',
	't', 'ok', 'd', 'z', 'c', 'part', 'g, ok', 'i % 3', 'm > 10', 'u',
	'i IS NULL', 'upper(g)', 's + 1']) AS k;
CREATE TABLE na_conditions AS SELECT * FROM unnest(ARRAY[
	'i > 5', 'm >= 10', 'm = 12.5', 'm < 12.505', 'x <> 0', 'f = 1.5',
	't = ''a''', 't < ''b''', 't IN (''a'', ''b'', NULL)', 'i NOT IN (1, 2)',
	'i NOT IN (1, NULL)', 'ok', 'NOT ok', 'ok IS NOT TRUE', 'ok IS UNKNOWN',
	'g IS NULL OR i = 3', 'd = date ''2026-01-01''', 'z > ''2026-01-01''',
	'i IS DISTINCT FROM 3', 'c = ''a''', 'c = ''a  ''', 'g LIKE ''g%''',
	'm = ''NaN''', 'm < ''NaN''', 'x = ''NaN''', 'x < ''NaN''', 'i = b',
	's = i', 'm = i', 'x > f', 'part = 0', 'u > 1', 'i <> 0 AND 10 / i > 2',
	'true', 'false', 'id BETWEEN 10 AND 20', 'CASE WHEN i = 0 THEN true ELSE 10 / i > 2 END',
	'id IN (SELECT 3 UNION SELECT 4)', 'i = (SELECT 3)', 'random() >= 0']) AS w;
SELECT a, na_check(format('SELECT g, %s AS a FROM $ GROUP BY g', a))
	FROM na_aggregates;
SELECT k, na_check(format('SELECT %s, count(*), sum(s) FROM $ GROUP BY %1$s', k))
	FROM na_groups;
SELECT w, na_check(format('SELECT count(*), sum(id) FROM $ WHERE %s', w))
	FROM na_conditions;
-- HAVING, expressions of aggregates, subqueries, parameters, rescans
SELECT q, na_check(q) FROM unnest(ARRAY[
	'SELECT g, sum(i) + 1, g || ''x'' FROM $ GROUP BY g HAVING count(*) > 3',
	'SELECT g FROM $ GROUP BY g HAVING sum(m) > (SELECT avg(m) FROM $)',
	'SELECT DISTINCT g FROM $',
	'SELECT g, count(*) OVER () FROM $ GROUP BY g',
	'SELECT max(n) FROM (SELECT g, count(*) AS n FROM $ GROUP BY g) x',
	'SELECT y, (SELECT count(*) FROM $ WHERE i = y) FROM generate_series(0, 5) y',
	'SELECT y, n FROM generate_series(0, 5) y, LATERAL (SELECT sum(s) AS n FROM $ WHERE i > y) x',
	'SELECT g, count(*) FROM $ GROUP BY ROLLUP (g)',
	'SELECT count(*) FROM $ WHERE EXISTS (SELECT 1)',
	'SELECT 1 FROM $ HAVING count(*) > 3',
	'SELECT count(*) FROM $ a JOIN $ b ON a.id = b.id']) AS q;
-- groups and joins of types without kernels: equal by bytes, or by PostgreSQL alone
CREATE TYPE na_mood AS ENUM ('a', 'ab', 'b');
SELECT q, na_check(q) FROM unnest(ARRAY[
	'SELECT u, count(*), sum(i) FROM $ GROUP BY u',
	'SELECT u * 1.50, z::time, count(*) FROM $ GROUP BY 1, 2',
	'SELECT (CASE WHEN t IN (''a'', ''ab'', ''b'') THEN t END)::na_mood, count(*) FROM $ GROUP BY 1',
	'SELECT part::oid, u, min(id) FROM $ GROUP BY 1, 2 HAVING count(u) > 3',
	'SELECT DISTINCT u, c::name FROM $',
	'SELECT DISTINCT g, i + s FROM $ WHERE id > 5 AND s < 100 AND i < 100 ORDER BY 1, 2',
	'SELECT DISTINCT a.g FROM $ a JOIN $ b ON a.u = b.u ORDER BY 1 LIMIT 3',
	'SELECT DISTINCT sum(s) FROM $ GROUP BY g',
	'SELECT DISTINCT ON (g) g FROM $ ORDER BY g, id',
	'SELECT count(*) FROM (SELECT DISTINCT g, ok FROM $) x',
	'SELECT DISTINCT row_number() OVER () FROM $',
	'SELECT g, u FROM $ WHERE id < 60 UNION SELECT g, u FROM $ WHERE id < 90',
	'SELECT d - date ''2026-01-01'', z - timestamptz ''2026-01-01'', count(*) FROM $ GROUP BY 1, 2',
	'SELECT a.id, b.id FROM $ a JOIN $ b ON a.u = b.u AND a.id < 40 AND b.id < 40',
	'SELECT a.id, b.u FROM $ a LEFT JOIN $ b ON a.u * 2 = b.u AND b.id < 20',
	'SELECT count(*) FROM $ a FULL JOIN $ b ON a.z::time = b.z::time AND a.u = b.u',
	'SELECT id FROM $ a WHERE NOT EXISTS (SELECT FROM $ b WHERE b.u = a.u + 0.00 AND b.i = a.i)',
	'SELECT a.id FROM $ a JOIN $ b ON a.u = b.m AND b.id < 20',
	'SELECT a.id FROM $ a JOIN $ b ON a.u > b.u AND a.id < 20 AND b.id < 20']) AS q;
SET plan_cache_mode = force_generic_plan;
PREPARE na_p(int, text, timestamptz) AS SELECT count(*), sum(s) FROM na_s
	WHERE i > $1 OR t = $2 OR z = $3;
EXPLAIN (COSTS OFF) EXECUTE na_p(1, 'a', NULL);
PREPARE na_h(int, text, timestamptz) AS SELECT count(*), sum(s) FROM na_heap
	WHERE i > $1 OR t = $2 OR z = $3;
EXECUTE na_p(3, 'a', '2026-01-01');
EXECUTE na_h(3, 'a', '2026-01-01');
EXECUTE na_p(NULL, NULL, NULL);
EXECUTE na_h(NULL, NULL, NULL);
RESET plan_cache_mode;
-- groups beyond the memory go to files
\! printf 'topic\tnative_groups\t2\nrepeat\t6000\tnative_groups\t-\t-\t%%d\t{"id":%%d,"t":"t%%d","m":%%d.25}\n' | "$STREAMSQL_FILL"
CREATE FOREIGN TABLE na_s_groups (id int, t text, m numeric(12,2),
	o oid OPTIONS (path '$.id'), v interval OPTIONS (path '$.id'),
	u numeric OPTIONS (path '$.m')) SERVER native_aggregate
	OPTIONS (topic 'native_groups');
CREATE FOREIGN TABLE na_t_groups (id int OPTIONS (key 'true'), t text,
	m numeric(12,2), o oid OPTIONS (path '$.id'), v interval OPTIONS (path '$.id'),
	u numeric OPTIONS (path '$.m')) SERVER native_aggregate
	OPTIONS (kind 'table', topic 'native_groups', key_format 'raw');
CREATE TABLE na_heap_groups AS SELECT * FROM na_s_groups;
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT na_check('SELECT id, t, count(*), sum(m), max(t) FROM $_groups GROUP BY id, t');
-- ... with rows that hold values passed by value and by reference
SELECT na_check('SELECT id, t, count(o), count(v), count(u) FROM $_groups GROUP BY id, t');
CREATE FUNCTION na_files(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
	RETURN CASE WHEN (plan->0->'Plan'->'Native Plan'->0->>'Files')::int > 0
		THEN 'files' ELSE 'memory' END;
END
$$;
SELECT na_files('SELECT id, t, count(o), count(v), count(u) FROM na_s_groups GROUP BY id, t');
-- ... with aggregates of PostgreSQL's
SELECT na_check('SELECT id, t, sum(u), array_agg(v), count(DISTINCT o) FROM $_groups GROUP BY id, t');
SELECT na_check('SELECT id % 7, string_agg(t, '','' ORDER BY id), sum(DISTINCT u), count(DISTINCT o) FROM $_groups GROUP BY id % 7');
SELECT na_check('SELECT u, o, count(*), max(u) FROM $_groups GROUP BY u, o');
SELECT na_files('SELECT u, o, count(*), max(u) FROM na_s_groups GROUP BY u, o');
SELECT na_files('SELECT id, t, sum(u), array_agg(v), count(DISTINCT o) FROM na_s_groups GROUP BY id, t');
RESET work_mem;
RESET hash_mem_multiplier;
-- a function that may not be executed
CREATE ROLE na_user;
GRANT SELECT ON na_s TO na_user;
REVOKE EXECUTE ON FUNCTION na_first(text) FROM public;
SET ROLE na_user;
SELECT na_first(t) FROM na_s;
RESET ROLE;
-- settings
SET streamsql.enable_native_filter = off;
SELECT na_check('SELECT count(*) FROM $ WHERE i > 1');
SELECT na_check('SELECT count(*) FROM $');
SET streamsql.enable_native_aggregate = off;
SELECT na_check('SELECT count(*) FROM $');
RESET streamsql.enable_native_filter;
RESET streamsql.enable_native_aggregate;
-- broken values: rows before them count, the error names the place
ALTER FOREIGN TABLE na_s ALTER g TYPE int;
SELECT count(*), sum(g) FROM na_s WHERE part = 0;
ALTER FOREIGN TABLE na_s OPTIONS (ADD on_error 'set_null');
SELECT count(*), sum(g), sum(i) = (SELECT sum(i) FROM na_heap WHERE i < 100) AS same FROM na_s
	WHERE i < 100;
ALTER FOREIGN TABLE na_s OPTIONS (SET on_error 'ignore');
SELECT count(*) = (SELECT count(*) FROM na_heap WHERE g IS NULL) AS same, sum(g) FROM na_s;
DROP SERVER native_aggregate CASCADE;
DROP TABLE na_heap, na_heap_groups, na_aggregates, na_groups, na_conditions;
DROP TYPE na_mood;
DROP ROLE na_user;
DROP AGGREGATE na_first(text), na_append(anycompatible);
DROP FUNCTION na_keep(text, text);
DROP FUNCTION na_run, na_check, na_files;
