--
-- Lookups in tables: by key and by indexed column, every result compared with
-- that of a heap copy.
--
SET client_min_messages = warning;
CREATE SCHEMA table_lookup;
SET search_path = table_lookup;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\ttl_keys\t3\nrepeat\t5000\ttl_keys\t-\t-\t%%d\t{"n":%%d}\ntopic\ttl_misc\t1\n' | "$STREAMSQL_FILL"
\! printf 'record\ttl_misc\t0\t-\t%s\t{"f4":%s,"f8":%s,"nu":%s,"n2":%s,"ch":"%s","vc":"%s","dt":"%s","bo":%s,"uu":"%s","en":"%s"}\n' 1 -0.0 0.1 12.50 12.5 'a' 'x' 2026-01-01 true 00000000-0000-0000-0000-000000000001 low   2 '"NaN"' '"NaN"' '"NaN"' '"NaN"' 'ab ' 'X' 2026-01-02 false 00000000-0000-0000-0000-000000000002 high  3 0.1 -0.0 0.00 0.00 '' 'x ' infinity null 00000000-0000-0000-0000-000000000003 low  4 null null null null z z 2026-01-01 true 00000000-0000-0000-0000-000000000001 low | "$STREAMSQL_FILL"
CREATE SERVER table_lookup FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
-- the plan of a query by name and values of lookups; rows compared with a copy
CREATE FUNCTION tl_check(query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	how text := 'scan';
	more int8;
	less int8;
	held int8;
	heap text := replace(query, 'tl_', 'heap_');
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line LIKE '%Lookup%:%' THEN
			how := CASE how WHEN 'scan' THEN '' ELSE how || '; ' END || trim(line);
		END IF;
	END LOOP;
	EXECUTE format('SELECT (SELECT count(*) FROM (%1$s) x),
		(SELECT count(*) FROM ((%1$s) EXCEPT ALL (%2$s)) x),
		(SELECT count(*) FROM ((%2$s) EXCEPT ALL (%1$s)) x)', query, heap)
		INTO held, more, less;
	RETURN format('%s rows, %s', held,
		CASE WHEN more + less = 0 THEN how ELSE 'DIFFERENT' END);
END
$$;
CREATE TYPE tl_level AS ENUM ('low', 'high');
CREATE DOMAIN tl_id AS int;
CREATE FOREIGN TABLE tl_keys (k int OPTIONS (key 'true'),
	n int8 OPTIONS (path '$.n'),
	part int OPTIONS (metadata 'partition', index 'true'))
	SERVER table_lookup OPTIONS (kind 'table', topic 'tl_keys');
CREATE FOREIGN TABLE tl_misc (k tl_id OPTIONS (key 'true'),
	f4 float4 OPTIONS (index 'true'), f8 float8 OPTIONS (index 'true'),
	nu numeric OPTIONS (index 'true'), n2 numeric(10,2) OPTIONS (index 'true'),
	ch char(5) OPTIONS (index 'true'), vc varchar(9) OPTIONS (index 'true'),
	uu uuid OPTIONS (index 'true'), dt date OPTIONS (index 'true'),
	bo bool, en text)
	SERVER table_lookup OPTIONS (kind 'table', topic 'tl_misc');
CREATE FOREIGN TABLE tl_enum (en tl_level OPTIONS (key 'true'), k int OPTIONS (path '$.f8'),
	bo bool OPTIONS (index 'true'))
	SERVER table_lookup OPTIONS (kind 'table', topic 'tl_misc', key_source 'value', on_error 'set_null');
CREATE TABLE heap_keys AS SELECT * FROM tl_keys;
CREATE TABLE heap_misc AS SELECT * FROM tl_misc;
CREATE TABLE heap_enum AS SELECT * FROM tl_enum;
SELECT count(*), sum(k), sum(n), count(DISTINCT part) FROM heap_keys;
SELECT * FROM heap_misc ORDER BY k;
SELECT * FROM heap_enum ORDER BY en;
-- constants of the key's type and of others it is compared with
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17');
SELECT tl_check('SELECT * FROM tl_keys WHERE 17 = k');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17::int8');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17::int2');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 4294967313');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17.0');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = NULL');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = -1');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17 AND n = 18');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = 17 OR k = 18');
SELECT tl_check('SELECT * FROM tl_keys WHERE k IN (1, 2, 2, 3, NULL, 99999)');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = ANY (ARRAY[7, 7, 8]::int8[])');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = ANY (''{}''::int[])');
SELECT tl_check('SELECT * FROM tl_keys WHERE k <> ALL (ARRAY[1, 2])');
SELECT tl_check('SELECT * FROM tl_keys WHERE k IN (1, 2) AND k = 2');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = (SELECT max(k) FROM tl_keys)');
SELECT tl_check('SELECT * FROM tl_keys WHERE k BETWEEN 10 AND 12');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = n AND n < 10');
SELECT tl_check('SELECT * FROM tl_keys WHERE part = 1');
SELECT tl_check('SELECT * FROM tl_keys WHERE part IN (0, 2, 2) AND n % 10 = 3');
SELECT tl_check('SELECT * FROM tl_keys WHERE part IS NULL');
SELECT tl_check('SELECT * FROM tl_keys WHERE random() >= 0 AND k = 5');
SELECT tl_check('SELECT * FROM tl_keys WHERE k = (random() * 0)::int');
-- types whose equal values look different
SELECT tl_check('SELECT * FROM tl_misc WHERE k = 2');
SELECT tl_check('SELECT * FROM tl_misc WHERE f4 = 0');
SELECT tl_check('SELECT * FROM tl_misc WHERE f4 = ''NaN''');
SELECT tl_check('SELECT * FROM tl_misc WHERE f4 = 0.1::float4');
SELECT tl_check('SELECT * FROM tl_misc WHERE f4 = 0.1::float8');
SELECT tl_check('SELECT * FROM tl_misc WHERE f8 = 0');
SELECT tl_check('SELECT * FROM tl_misc WHERE f8 = ''-NaN''');
SELECT tl_check('SELECT * FROM tl_misc WHERE f8 = 0.1::float4');
SELECT tl_check('SELECT * FROM tl_misc WHERE nu = 12.5');
SELECT tl_check('SELECT * FROM tl_misc WHERE nu = 12.500');
SELECT tl_check('SELECT * FROM tl_misc WHERE nu = 0');
SELECT tl_check('SELECT * FROM tl_misc WHERE nu = ''NaN''');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 = 12.500');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 = 12.505');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 = ''NaN''');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 = 1e30');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 = ''-Infinity''');
SELECT tl_check('SELECT * FROM tl_misc WHERE n2 IN (0, 12.5)');
SELECT tl_check('SELECT * FROM tl_misc WHERE ch = ''ab''');
SELECT tl_check('SELECT * FROM tl_misc WHERE ch = ''ab   ''::bpchar');
SELECT tl_check('SELECT * FROM tl_misc WHERE ch = ''ab''::text');
SELECT tl_check('SELECT * FROM tl_misc WHERE ch = ''''');
SELECT tl_check('SELECT * FROM tl_misc WHERE vc = ''x''');
SELECT tl_check('SELECT * FROM tl_misc WHERE vc = ''x ''::text');
SELECT tl_check('SELECT * FROM tl_misc WHERE vc = ''x''::char(3)');
SELECT tl_check('SELECT * FROM tl_misc WHERE vc = ANY (ARRAY[''x'', ''X'']::varchar[])');
SELECT tl_check('SELECT * FROM tl_misc WHERE uu = ''00000000-0000-0000-0000-000000000001''');
SELECT tl_check('SELECT * FROM tl_misc WHERE dt = ''2026-01-01''');
SELECT tl_check('SELECT * FROM tl_misc WHERE dt = ''infinity''');
SELECT tl_check('SELECT * FROM tl_misc WHERE dt = ''2026-01-01''::timestamp');
SELECT tl_check('SELECT * FROM tl_enum WHERE en = ''low''');
SELECT tl_check('SELECT * FROM tl_enum WHERE bo');
SELECT tl_check('SELECT * FROM tl_enum WHERE bo = true');
-- values of other relations: nested loops
ANALYZE heap_keys, heap_misc;
SELECT tl_check('SELECT h.k, t.n FROM heap_misc h JOIN tl_keys t ON t.k = h.k');
SELECT tl_check('SELECT h.k, t.n FROM heap_misc h LEFT JOIN tl_keys t ON t.k = h.k + 4998');
SELECT tl_check('SELECT h.k, t.n FROM heap_misc h LEFT JOIN LATERAL (SELECT * FROM tl_keys t WHERE t.k = h.k) t ON true');
SELECT tl_check('SELECT h.k FROM heap_misc h WHERE EXISTS (SELECT FROM tl_keys t WHERE t.k = h.k + 4997)');
SELECT tl_check('SELECT h.k FROM heap_misc h WHERE NOT EXISTS (SELECT FROM tl_keys t WHERE t.k = h.k + 4997)');
SELECT tl_check('SELECT a.k, b.n FROM tl_misc a JOIN tl_keys b USING (k)');
SELECT tl_check('SELECT a.k, b.k FROM tl_misc a JOIN tl_misc b ON a.vc = b.vc');
SELECT tl_check('SELECT count(*) FROM heap_keys h JOIN tl_keys t ON t.k = h.n');
-- prepared, with a generic plan; what is looked for changes
SET plan_cache_mode = force_generic_plan;
PREPARE one(int) AS SELECT k, n FROM tl_keys WHERE k = $1;
EXPLAIN (COSTS OFF) EXECUTE one(1);
EXECUTE one(1);
EXECUTE one(4999);
EXECUTE one(5000);
EXECUTE one(NULL);
PREPARE many(int[]) AS SELECT k, n FROM tl_keys WHERE k = ANY ($1) ORDER BY k;
EXECUTE many('{3,NULL,1,3,2}');
EXECUTE many('{}');
EXECUTE many(NULL);
PREPARE by_part(int) AS SELECT count(*) FROM tl_keys WHERE part = $1;
EXPLAIN (COSTS OFF) EXECUTE by_part(1);
EXECUTE by_part(7);
-- a definition that changes under a plan
ALTER FOREIGN TABLE tl_keys ALTER part OPTIONS (DROP index);
EXPLAIN (COSTS OFF) EXECUTE by_part(1);
EXECUTE by_part(7);
EXECUTE one(1);
RESET plan_cache_mode;
-- rows that move from one value to another
CREATE FOREIGN TABLE tl_move (k text OPTIONS (key 'true'), v text OPTIONS (index 'true'))
	SERVER table_lookup OPTIONS (kind 'table', topic 'tl_move');
\! printf 'topic\ttl_move\t1\nrepeat\t300\ttl_move\t0\t-\tk%%d\t{"v":"a"}\nrecord\ttl_move\t0\t-\tk5\t{"v":"b"}\nrecord\ttl_move\t0\t-\tk6\t{"v":null}\nrecord\ttl_move\t0\t-\tk7\t\\N\nrecord\ttl_move\t0\t-\tk8\t{"v":"b"}\nrecord\ttl_move\t0\t-\tk8\t{"v":"a"}\n' | "$STREAMSQL_FILL"
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN (SELECT state FROM streamsql.tables WHERE "table" = 'tl_move'::regclass) = 'ready';
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
SELECT streamsql.wait_for('tl_move');
CREATE TABLE heap_move AS SELECT * FROM tl_move;
SELECT tl_check('SELECT * FROM tl_move WHERE v = ''a''');
SELECT tl_check('SELECT * FROM tl_move WHERE v = ''b''');
SELECT tl_check('SELECT * FROM tl_move WHERE v IS NULL');
-- statistics, and what the planner makes of them
ANALYZE tl_keys, tl_misc, tl_move;
SELECT tablename, attname, null_frac, n_distinct FROM pg_stats
	WHERE tablename IN ('tl_keys', 'tl_move') ORDER BY 1, 2;
SELECT reltuples FROM pg_class WHERE relname = 'tl_keys';
EXPLAIN SELECT * FROM tl_move WHERE v = 'a';
EXPLAIN SELECT * FROM tl_keys WHERE k = 3;
EXPLAIN SELECT * FROM tl_keys WHERE k IN (1, 2, 3);
EXPLAIN (COSTS OFF) SELECT * FROM heap_keys h JOIN tl_keys t USING (k);
-- types that can't be found by bytes
CREATE FOREIGN TABLE bad (k interval OPTIONS (key 'true')) SERVER table_lookup OPTIONS (kind 'table', topic 't');
CREATE FOREIGN TABLE bad (k text OPTIONS (key 'true'), v jsonb OPTIONS (index 'true')) SERVER table_lookup OPTIONS (kind 'table', topic 't');
CREATE FOREIGN TABLE bad (k float8[] OPTIONS (key 'true')) SERVER table_lookup OPTIONS (kind 'table', topic 't');
CREATE COLLATION tl_loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE bad (k text OPTIONS (key 'true') COLLATE tl_loose) SERVER table_lookup OPTIONS (kind 'table', topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (index 'true')) SERVER table_lookup OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (index 'maybe')) SERVER table_lookup OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int) SERVER table_lookup OPTIONS (topic 't', key_source 'value');
CREATE FOREIGN TABLE bad (a int OPTIONS (key 'true')) SERVER table_lookup OPTIONS (kind 'table', topic 't', key_source 'header');
-- a comparison that is not the column's own equality is no lookup
SELECT count(*) FROM tl_misc WHERE vc COLLATE tl_loose = 'X';
EXPLAIN (COSTS OFF) SELECT * FROM tl_misc WHERE vc COLLATE tl_loose = 'X';
DROP SERVER table_lookup CASCADE;
DROP SCHEMA table_lookup CASCADE;
