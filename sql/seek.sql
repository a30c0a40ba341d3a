--
-- Conditions on partition, offset and timestamp: what is read, and that the
-- answer is that of a heap copy.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/seek.fill
CREATE SERVER seek FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE s (n int, g int,
	part int OPTIONS (metadata 'partition'),
	off bigint OPTIONS (metadata 'offset'),
	ts timestamptz OPTIONS (metadata 'timestamp')
) SERVER seek OPTIONS (topic 'seek');
CREATE FOREIGN TABLE seek_write (n int, g int, key text OPTIONS (metadata 'key'),
	part int OPTIONS (metadata 'partition'), ts timestamptz OPTIONS (metadata 'timestamp'))
	SERVER seek OPTIONS (topic 'seek');
INSERT INTO seek_write SELECT n, n % 7, 'k' || n, n % 4, timestamptz '2026-01-01' + n * interval '1 s'
	FROM generate_series(0, 399) n;
DROP FOREIGN TABLE seek_write;
CREATE TABLE heap AS SELECT * FROM s;
SELECT count(*), count(DISTINCT n), min(off), max(off) FROM heap;
CREATE TABLE conditions (id int GENERATED ALWAYS AS IDENTITY, condition text);
INSERT INTO conditions (condition) VALUES
	('part = 2'), ('2 = part'), ('part <> 2'), ('part IN (0, 3, 9)'),
	('part = ANY (ARRAY[1, NULL])'), ('part > 1'), ('part BETWEEN 1 AND 2'),
	('part = 1::bigint'), ('part = 1.0'), ('part = NULL'), ('part IS NULL'),
	('off = 5'), ('off < 3'), ('off <= 3'), ('3 > off'), ('off >= 97'),
	('off > 98::smallint'), ('off BETWEEN 10 AND 12'), ('off IN (1, 50, 99)'),
	('off = -1'), ('off = 100'), ('off > 9223372036854775806'),
	('off < -9223372036854775807'), ('off > 20 AND off < 10'),
	('part = 0 AND off = 7'), ('part = 0 OR n = 7'), ('part = 0 OR off = 7'),
	('part = 0 AND off < 10 OR part = 1 AND off >= 95'),
	('off BETWEEN 10 AND 30 OR off BETWEEN 20 AND 40 OR off = 41'),
	('off < 5 OR off > 95'), ('NOT (off < 95)'), ('NOT (part = 0 OR off > 2)'),
	('off % 10 = 3 AND off < 50'), ('(part = 1 AND n > 5) OR (part = 2 AND n < 99)'),
	('part = g'), ('part = off'), ('off = n / 4 AND part = 3'),
	('ts >= ''2026-01-01 00:06:00+00'''), ('ts > ''2026-01-01 00:06:00+00'''),
	('ts = ''2026-01-01 00:00:42+00'''), ('ts < ''2026-01-01 00:00:05+00'''),
	('ts <= ''2026-01-01 00:00:42+00'' AND ts >= ''2026-01-01 00:00:41+00'''),
	('ts >= ''2026-01-01 00:06:00''::timestamp'), ('ts >= date ''2026-01-01'''),
	('ts >= date ''2026-01-02'''), ('ts >= ''infinity'''), ('ts >= ''-infinity'''),
	('ts BETWEEN ''2026-01-01 00:00:10+00'' AND ''2026-01-01 00:00:20+00'' OR part = 1 AND off = 99'),
	('ts = ANY (ARRAY[timestamptz ''2026-01-01 00:00:42+00'', ''2026-01-01 00:00:43+00''])'),
	('part = 1 AND off = 10 AND g = 6'), ('false'), ('part = 1 AND NULL'),
	('part = (SELECT 2)'), ('off IN (SELECT g FROM heap WHERE n < 3)'),
	('off = ANY (ARRAY(SELECT n FROM heap WHERE n < 5))');
-- each against the heap, both ways
CREATE FUNCTION seek_difference(condition text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (
		(SELECT * FROM s WHERE %1$s EXCEPT ALL SELECT * FROM heap WHERE %1$s)
		UNION ALL
		(SELECT * FROM heap WHERE %1$s EXCEPT ALL SELECT * FROM s WHERE %1$s)
		) AS d', condition) INTO result;
	RETURN result;
END
$$;
SELECT count(*) AS tried, sum(seek_difference(condition)) AS different
  FROM conditions;
-- pairs of them with AND and OR
SELECT count(*) AS tried,
	   sum(seek_difference(format('(%s) OR (%s)', a.condition, b.condition)) +
		   seek_difference(format('(%s) AND (%s)', a.condition, b.condition)))
	   AS different
  FROM conditions AS a JOIN conditions AS b ON b.id = 1 + (a.id * 7 + 3) % 50;
-- how many messages a condition reads
CREATE FUNCTION messages(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text = '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) '
		'SELECT * FROM s WHERE ' || condition
	LOOP
		IF line ~ 'Offsets|Messages' THEN
			result := result || trim(line) || '; ';
		END IF;
	END LOOP;
	RETURN result;
END
$$;
SELECT condition, messages(condition) FROM conditions
 WHERE condition !~ 'SELECT|ts' ORDER BY id;
-- parameters: generic plans, several of them
SET plan_cache_mode = force_generic_plan;
PREPARE by_two (int, bigint) AS
	SELECT n FROM s WHERE part = $1 AND off >= $2 ORDER BY n;
EXECUTE by_two (3, 97);
EXECUTE by_two (0, 99);
EXECUTE by_two (NULL, 0);
EXECUTE by_two (7, 0);
PREPARE by_array (int[], timestamptz, bigint) AS
	SELECT count(*), min(n), max(n) FROM s
	 WHERE part = ANY ($1) AND ts >= $2 AND off < $3;
EXECUTE by_array ('{1,2}', '2026-01-01 00:01:00+00', 50);
EXECUTE by_array ('{}', '2026-01-01 00:01:00+00', 50);
EXECUTE by_array (NULL, NULL, NULL);
EXPLAIN (COSTS OFF) EXECUTE by_two (3, 97);
RESET plan_cache_mode;
-- correlated: the scan starts again for every outer row
SELECT x, (SELECT sum(n) FROM s WHERE off = x AND part <> x) AS sum
  FROM generate_series(-1, 4) AS x;
SELECT x, (SELECT count(*) FROM s WHERE off < x) AS below,
	   EXISTS (SELECT FROM s WHERE part = x) AS has
  FROM (VALUES (0), (3), (NULL), (100)) AS v (x);
SELECT x, l.n FROM generate_series(1, 3) AS x
 CROSS JOIN LATERAL (SELECT n FROM s WHERE part = x ORDER BY off DESC LIMIT 1) AS l;
-- the inner side of a nested loop reads what the outer row asks for
CREATE TABLE wanted (p int, o bigint);
INSERT INTO wanted VALUES (0, 5), (0, 59999), (3, 50), (9, 1), (0, NULL);
ANALYZE wanted;
CREATE FOREIGN TABLE large (n int,
	part int OPTIONS (metadata 'partition'),
	off bigint OPTIONS (metadata 'offset')
) SERVER seek OPTIONS (topic 'seek_large');
INSERT INTO large (n) SELECT generate_series(0, 59999);
ANALYZE large;
EXPLAIN (COSTS OFF)
	SELECT p, o, n FROM wanted JOIN large ON part = p AND off = o;
SELECT p, o, n FROM wanted JOIN large ON part = p AND off = o ORDER BY p, o;
SELECT p, o, n FROM wanted LEFT JOIN large ON part = p AND off = o
 ORDER BY p, o;
EXPLAIN (COSTS OFF)
	SELECT n FROM large WHERE off IN (SELECT o FROM wanted WHERE p = 0);
SELECT n FROM large WHERE off IN (SELECT o FROM wanted WHERE p = 0) ORDER BY n;
-- and without a parameter it is read again
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT count(*), sum(n) FROM (VALUES (1), (2), (3)) AS v (x), s WHERE g <> x;
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;
-- a self join sees one topic
SELECT count(*) FROM s AS a JOIN s AS b USING (n);
-- cursors stop and go on
BEGIN;
DECLARE c CURSOR FOR SELECT n FROM s WHERE part = 1;
FETCH 2 FROM c;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
-- LIMIT stops reading
CREATE FUNCTION large_messages(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
	RETURN jsonb_path_query_first(plan::jsonb, '$.**.Messages');
END
$$;
SELECT large_messages('SELECT n FROM large LIMIT 3') < 10000 AS stopped,
	   large_messages('SELECT n FROM large') AS whole;
