--
-- What is not native, and why: EXPLAIN (VERBOSE), and debug_require_native.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\tnr_s\t1\nrecord\tnr_s\t0\t-\t-\t{"a":1,"b":"x"}\nrecord\tnr_s\t0\t-\t-\t{"a":2,"b":"y"}\n' | "$STREAMSQL_FILL"
CREATE SERVER native_require FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE nr_s (a int, b text, p point) SERVER native_require OPTIONS (topic 'nr_s');
CREATE TABLE nr_heap (a int);
EXPLAIN (VERBOSE, COSTS OFF) SELECT a FROM nr_s;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM nr_s WHERE random() < 2;
SET streamsql.debug_require_native = require;
-- nothing but reading; a condition; a join; groups
SELECT a FROM nr_s ORDER BY a;
EXPLAIN (COSTS OFF) SELECT b FROM nr_s WHERE a + 1 > 2 AND b LIKE '_';
SELECT b FROM nr_s WHERE a + 1 > 2 AND b LIKE '_';
SELECT * FROM nr_s WHERE a = 2;
SELECT x.a, y.b FROM nr_s x JOIN nr_s y USING (a) ORDER BY 1;
SELECT b, count(*) FROM nr_s GROUP BY b ORDER BY b;
-- aggregates by PostgreSQL's functions
SELECT count(DISTINCT b), array_agg(a ORDER BY a DESC), stddev(a) FROM nr_s;
-- and what is not native
\set VERBOSITY sqlstate
SELECT a FROM nr_s WHERE random() < 2;
\set VERBOSITY default
SELECT a FROM nr_s WHERE a > (SELECT count(*) FROM nr_s y WHERE y.a = nr_s.a);
SELECT count(*) FROM nr_s JOIN nr_heap USING (a);
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a) FROM nr_s;
SELECT array_agg(a ORDER BY random()) FROM nr_s;
SELECT b, count(*) FROM nr_s GROUP BY ROLLUP (b);
SELECT p::text, count(*) FROM nr_s GROUP BY 1;
SELECT x.a FROM nr_s x JOIN nr_s y USING (a) WHERE x.ctid IS NULL;
SELECT count(*) FROM nr_s x FULL JOIN nr_s y ON to_jsonb(x.a) = to_jsonb(y.a);
SELECT count(*) FROM nr_s x JOIN nr_s y USING (a)
	LEFT JOIN nr_s z ON x.a = z.a AND z.b NOT IN (SELECT b FROM nr_s);
UPDATE nr_heap SET a = x.a FROM nr_s x JOIN nr_s y USING (a);
SET streamsql.enable_native_join = off;
SELECT x.a FROM nr_s x JOIN nr_s y USING (a);
RESET streamsql.enable_native_join;
SET streamsql.enable_native_filter = off;
SELECT a FROM nr_s WHERE a > 1;
RESET streamsql.enable_native_filter;
SET streamsql.enable_native_aggregate = off;
SELECT count(*) FROM nr_s;
DROP TABLE nr_heap;
DROP SERVER native_require CASCADE;
