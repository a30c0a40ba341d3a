--
-- Topics and tables of unusual shape. Uses the topics of seek.
--
SET client_min_messages = warning;
-- no records at all
CREATE FOREIGN TABLE void (n int) SERVER seek OPTIONS (topic 'void');
SELECT * FROM void;
SELECT count(*), sum(n) FROM void;
ANALYZE void;
SELECT reltuples FROM pg_class WHERE relname = 'void';
SELECT * FROM streamsql.partitions('void');
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM void;
-- 16 partitions, one with records
CREATE FOREIGN TABLE sparse (n int, part int OPTIONS (metadata 'partition'))
	SERVER seek OPTIONS (topic 'sparse');
INSERT INTO sparse SELECT n, 11 FROM generate_series(0, 2) n;
SELECT n, part FROM sparse ORDER BY n;
SELECT * FROM sparse WHERE part = 3;
ANALYZE sparse;
SELECT reltuples FROM pg_class WHERE relname = 'sparse';
-- no such topic, and reading does not make it
CREATE FOREIGN TABLE missing (n int) SERVER seek OPTIONS (topic 'missing');
SELECT * FROM missing;
SELECT count(*) FROM missing;
ANALYZE missing;
SELECT * FROM streamsql.partitions('missing');
SELECT * FROM streamsql.topics('seek') WHERE topic = 'missing';
SELECT * FROM streamsql.topics('seek') WHERE topic IN ('void', 'sparse');
-- EXPLAIN without ANALYZE asks no broker
CREATE SERVER nowhere FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE FOREIGN TABLE unreachable (n int, part int OPTIONS (metadata 'partition'))
	SERVER nowhere OPTIONS (topic 'x');
EXPLAIN (COSTS OFF) SELECT n FROM unreachable WHERE part IN (1, 2, 5) AND n > 3;
SET streamsql.broker_timeout = '200ms';
\set VERBOSITY terse
SELECT * FROM unreachable;
SELECT * FROM streamsql.topics('nowhere');
RESET streamsql.broker_timeout;
\set VERBOSITY default
-- 300 columns
DO $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE wide (%s) SERVER seek '
				   'OPTIONS (topic ''wide'')',
				   string_agg(format('c%s int', i), ', ' ORDER BY i DESC))
	   FROM generate_series(1, 300) AS i;
	EXECUTE format('INSERT INTO wide VALUES (%s)',
				   string_agg(i::text, ', ' ORDER BY i DESC))
	   FROM generate_series(1, 300) AS i;
END
$$;
SELECT c1, c150, c300 FROM wide;
SELECT (SELECT sum(value::int) FROM json_each_text(row_to_json(wide)))
  FROM wide;
-- columns dropped, added, renamed and changed
CREATE FOREIGN TABLE changing (a int, b text, c numeric)
	SERVER seek OPTIONS (topic 'changing');
PREPARE p AS SELECT * FROM changing;
EXECUTE p;
ALTER FOREIGN TABLE changing DROP COLUMN b;
SELECT * FROM changing;
ALTER FOREIGN TABLE changing ADD COLUMN d text;
SELECT * FROM changing;
SELECT changing FROM changing;
ALTER FOREIGN TABLE changing RENAME COLUMN d TO b;
SELECT * FROM changing;
ALTER FOREIGN TABLE changing ALTER COLUMN c TYPE text;
SELECT * FROM changing;
ALTER FOREIGN TABLE changing ALTER COLUMN c OPTIONS (ADD path '$.d');
SELECT * FROM changing;
ALTER FOREIGN TABLE changing DROP COLUMN a, DROP COLUMN b, DROP COLUMN c;
SELECT FROM changing;
SELECT count(*) FROM changing;
-- partitions, inheritance and views
CREATE TABLE parent (n int, part int);
ALTER FOREIGN TABLE sparse INHERIT parent;
INSERT INTO parent VALUES (100, 100);
SELECT n, part, tableoid::regclass FROM parent ORDER BY n;
CREATE VIEW view AS SELECT n * 2 AS twice FROM sparse;
SELECT * FROM view ORDER BY 1;
-- a stream only grows
UPDATE void SET n = 1;
DELETE FROM void;
TRUNCATE void;
