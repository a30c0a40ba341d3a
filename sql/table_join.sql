--
-- Tables in joins, subqueries and keys of two columns: every result compared
-- with that of a heap copy, and what was looked up.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
-- 3000 rows of x, of which the first 100 are deleted, and 1000 of y
\! printf 'topic\ttj_comp\t3\nrepeat\t3000\ttj_comp\t-\t-\t{"a":%%d,"b":"x"}\t{"v":%%d}\nrepeat\t1000\ttj_comp\t-\t-\t{"b":"y","a":%%d}\t{"v":%%d}\nrepeat\t100\ttj_comp\t-\t-\t{"a":%%d,"b":"x"}\t\\N\n' | "$STREAMSQL_FILL"
CREATE SCHEMA table_join;
SET search_path = table_join;
CREATE SERVER table_join FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE tj_comp (a int OPTIONS (key 'true'),
	b text OPTIONS (key 'true'), v int OPTIONS (index 'true'),
	w int OPTIONS (path '$.v'), p int OPTIONS (metadata 'partition', index 'true'))
	SERVER table_join OPTIONS (kind 'table', topic 'tj_comp', key_format 'json');
SELECT b, count(*), sum(v), min(a), max(a) FROM tj_comp GROUP BY b ORDER BY b;
CREATE TABLE heap_comp AS SELECT * FROM tj_comp;
-- every third is NULL
CREATE TABLE outside AS SELECT id, id * 7 % 3100 AS a,
	CASE id % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'y' END AS b,
	ARRAY[id, id + 1, NULL, id] AS ids FROM generate_series(1, 50) AS id;
ANALYZE heap_comp, outside;
CREATE FUNCTION tj_check(query text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	how text := 'scan';
	more int8;
	less int8;
	held int8;
	heap text := replace(query, 'tj_', 'heap_');
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
-- both columns of the key, one of them, and indexed columns
SELECT tj_check('SELECT * FROM tj_comp WHERE a = 500 AND b = ''x''');
SELECT tj_check('SELECT * FROM tj_comp WHERE a = 500');
SELECT tj_check('SELECT * FROM tj_comp WHERE a IN (500, 501, 501) AND b = ''x''');
SELECT tj_check('SELECT * FROM tj_comp WHERE a IN (500, 501, 501) AND b IN (''x'', ''y'')');
SELECT tj_check('SELECT * FROM tj_comp WHERE a IN (5, 2000) AND a = 2000 AND b IN (''x'', ''y'')');
SELECT tj_check('SELECT * FROM tj_comp WHERE a = 500 AND b = ''x'' AND v = 500');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500 AND w = 500 AND b = ''y''');
SELECT tj_check('SELECT * FROM tj_comp WHERE v IN (500, 500, 900, NULL)');
SELECT tj_check('SELECT * FROM tj_comp WHERE (a, b) IN ((500, ''x''), (501, ''y''))');
SELECT tj_check('SELECT * FROM tj_comp WHERE (a, b) = (500, ''x'')');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500 OR v = 501');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500 AND v = 501');
-- joins
SELECT tj_check('SELECT outside.id, t.* FROM outside JOIN tj_comp t ON t.a = outside.a AND t.b = outside.b');
SELECT tj_check('SELECT outside.id, t.* FROM outside LEFT JOIN tj_comp t ON t.a = outside.a AND t.b = outside.b');
SELECT tj_check('SELECT outside.id, t.* FROM outside LEFT JOIN tj_comp t ON t.a = outside.a AND t.b = ''y''');
SELECT tj_check('SELECT outside.id, t.* FROM outside JOIN tj_comp t ON t.v = outside.a');
SELECT tj_check('SELECT outside.id, t.* FROM outside JOIN tj_comp t ON t.v = ANY (outside.ids)');
SELECT tj_check('SELECT outside.id, t.* FROM outside JOIN tj_comp t ON t.a = ANY (outside.ids) AND t.b = ''x''');
SELECT tj_check('SELECT outside.id, t.* FROM outside CROSS JOIN LATERAL (SELECT * FROM tj_comp t WHERE t.v = outside.a ORDER BY b LIMIT 1) t');
SELECT tj_check('SELECT outside.id, (SELECT sum(w) FROM tj_comp t WHERE t.v = outside.a) FROM outside');
SELECT tj_check('SELECT outside.id FROM outside WHERE outside.a IN (SELECT a FROM tj_comp)');
SELECT tj_check('SELECT outside.id FROM outside WHERE outside.a NOT IN (SELECT a FROM tj_comp)');
SELECT tj_check('SELECT outside.id, outside.b FROM outside LEFT JOIN tj_comp t ON t.a = outside.a AND t.b = outside.b');
SELECT tj_check('SELECT x.a, x.b, y.v FROM tj_comp x JOIN tj_comp y ON x.a = y.a AND x.b = y.b WHERE x.v = 700');
SELECT tj_check('SELECT x.a, x.b, y.v FROM tj_comp x JOIN tj_comp y ON x.v = y.a AND y.b = ''y'' WHERE x.v < 20');
SELECT tj_check('SELECT x.a, x.b, y.v FROM tj_comp x FULL JOIN tj_comp y ON x.v = y.a AND x.b <> y.b');
-- scans under everything
SELECT tj_check('SELECT DISTINCT a, b FROM tj_comp');
SELECT tj_check('SELECT DISTINCT ON (b) a, b FROM tj_comp ORDER BY b, a');
SELECT tj_check('SELECT a, b, rank() OVER (PARTITION BY b ORDER BY a DESC) FROM tj_comp');
SELECT tj_check('SELECT b, p, count(*), sum(v), min(a) FROM tj_comp GROUP BY GROUPING SETS ((b), (b, p), ())');
SELECT tj_check('SELECT a, v FROM tj_comp GROUP BY a, b, v HAVING count(*) > 1');
-- lookups under everything
SELECT tj_check('WITH RECURSIVE r(a) AS (SELECT 1 UNION ALL SELECT t.a + 1 FROM r JOIN tj_comp t ON t.a = r.a WHERE t.b = ''y'' AND t.a < 200) SELECT * FROM r');
SELECT tj_check('SELECT * FROM (SELECT * FROM tj_comp UNION ALL SELECT * FROM tj_comp) u WHERE a = 700 AND b = ''x''');
SELECT tj_check('SELECT * FROM tj_comp WHERE a = (SELECT a FROM outside WHERE outside.id = 100) AND b = ''x''');
SELECT tj_check('SELECT o.id, (SELECT t.v FROM tj_comp t WHERE t.a = (SELECT max(i.a) FROM outside i WHERE i.id < o.id) AND t.b = ''x'') FROM outside o');
SELECT tj_check('SELECT o.id, t.v FROM outside o, LATERAL (SELECT v FROM tj_comp WHERE a = o.a + (SELECT count(*) FROM outside i WHERE i.id = o.id) AND b = ''x'') t');
SELECT tj_check('SELECT t.a, t.b FROM tj_comp t WHERE t.v = (SELECT max(i.a) FROM outside i WHERE i.a < t.a)');
SELECT tj_check('SELECT count(*) FROM tj_comp');
SELECT tj_check('SELECT 1 FROM tj_comp WHERE v = 5');
SELECT tj_check('SELECT * FROM tj_comp WHERE false');
SELECT tj_check('SELECT * FROM tj_comp WHERE a = 500 AND b = ''x'' AND length(b) = 2');
-- other ways to say equal
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500::numeric');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500::float8');
SELECT tj_check('SELECT * FROM tj_comp WHERE v IS NOT DISTINCT FROM 500');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = ALL (ARRAY[500])');
SELECT tj_check('SELECT * FROM tj_comp WHERE NOT v <> 500');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = ANY (ARRAY[[500,501],[502,503]])');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = ANY (ARRAY(SELECT a FROM outside))');
SELECT tj_check('SELECT * FROM tj_comp WHERE v = any(''[0:1]={5,6}''::int[])');
SELECT tj_check('SELECT x.id, t.a FROM tj_comp t RIGHT JOIN outside x ON t.v = x.a AND x.id > 20');
SET force_parallel_mode = on;
SELECT tj_check('SELECT * FROM tj_comp WHERE v = 500');
SELECT tj_check('SELECT count(*) FROM tj_comp');
RESET force_parallel_mode;
-- what is looked for may fail
SELECT * FROM tj_comp WHERE a = 1 / (SELECT count(*) FROM outside WHERE false) AND b = 'x';
SELECT count(*) FROM outside o JOIN tj_comp t ON t.v = 100 / (o.id - 7);
-- the rows as a whole, for those who lock or keep them
SELECT t FROM tj_comp t WHERE v = 500 ORDER BY b FOR UPDATE;
UPDATE outside SET a = -t.v FROM tj_comp t WHERE t.a = outside.a AND t.b = 'y'
	AND id < 4 RETURNING id, outside.a, t;
DELETE FROM outside USING tj_comp t WHERE t.v = -outside.a AND t.b = 'y';
SELECT count(*) FROM outside;
-- scans that end early
SELECT EXISTS (SELECT FROM tj_comp WHERE v = 3), EXISTS (SELECT FROM tj_comp WHERE v = -3);
SELECT count(*) FROM (SELECT FROM tj_comp LIMIT 300) AS x;
DROP SERVER table_join CASCADE;
DROP SCHEMA table_join CASCADE;
