--
-- What happens to tables when things beside their own definition change:
-- parents, types, mappings, plans, and what transactions leave as it was.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\ttc_a\t2\nrecord\ttc_a\t0\t-\tk1\t{"v":1,"w":"one"}\nrecord\ttc_a\t1\t-\tk2\t{"v":2,"w":"two"}\n' | "$STREAMSQL_FILL"
\! printf 'topic\ttc_b\t1\nrecord\ttc_b\t0\t-\tk1\t{"p":{"x":1,"y":"one","z":3},"a":[{"x":2}],"m":"new"}\nrecord\ttc_b\t0\t-\tk2\t{"m":"newest"}\n' | "$STREAMSQL_FILL"
CREATE SCHEMA table_change;
SET search_path = table_change;
CREATE SERVER table_change FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
-- waits until a table's state and last error are like these
CREATE PROCEDURE until(which regclass, wanted text, reason text DEFAULT '')
LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..1200 LOOP
		EXIT WHEN (SELECT state = wanted AND coalesce(last_error, '') LIKE reason
			FROM streamsql.tables WHERE "table" = which);
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
-- a child of an ordinary table
CREATE TABLE parent (k text, v int);
CREATE FOREIGN TABLE child (k text OPTIONS (key 'true')) INHERITS (parent)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_a');
INSERT INTO parent VALUES ('k0', 0);
SELECT tableoid::regclass, * FROM parent ORDER BY k;
ALTER TABLE parent ADD COLUMN w text;
SELECT tableoid::regclass, * FROM parent WHERE k = 'k2';
EXPLAIN (COSTS OFF) SELECT * FROM parent WHERE k = 'k2';
ALTER TABLE parent DROP COLUMN v;
SELECT * FROM parent ORDER BY k;
DROP TABLE parent CASCADE;
-- what a transaction may do without the contents being others
CREATE FOREIGN TABLE t (k text OPTIONS (key 'true'), v int)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_a');
SELECT streamsql.wait_for('t');
CREATE ROLE regress_tc_owner;
BEGIN;
ALTER FOREIGN TABLE t RENAME TO u;
ALTER FOREIGN TABLE u OWNER TO regress_tc_owner;
ALTER FOREIGN TABLE u ALTER v SET DEFAULT 3, ALTER v SET STATISTICS 10,
	ADD CONSTRAINT c CHECK (v > 0), ALTER k SET NOT NULL;
ALTER SERVER table_change OPTIONS (ADD client_id 'me');
ALTER FOREIGN TABLE u ADD COLUMN w text;
ALTER FOREIGN TABLE u DROP COLUMN w;
ALTER FOREIGN TABLE u OPTIONS (SET topic 'tc_b');
ALTER FOREIGN TABLE u OPTIONS (SET topic 'tc_a');
SELECT * FROM u ORDER BY k;
ROLLBACK;
SELECT * FROM t ORDER BY k;
-- and what it may not
BEGIN;
ALTER FOREIGN TABLE t ALTER v OPTIONS (ADD index 'true');
SELECT streamsql.wait_for('t');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM t;
ALTER FOREIGN TABLE t ADD COLUMN w text;
SAVEPOINT s;
SELECT * FROM t;
ROLLBACK TO s;
COMMIT;
SELECT * FROM t ORDER BY k;
-- another table of that name in the same transaction
BEGIN;
DROP FOREIGN TABLE t;
CREATE FOREIGN TABLE t (k text OPTIONS (key 'true'), w text)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_a');
COMMIT;
SELECT * FROM t ORDER BY k;
-- plans of functions
CREATE FUNCTION look(key text) RETURNS text LANGUAGE plpgsql AS
	'BEGIN RETURN (SELECT w FROM t WHERE k = key); END';
SELECT string_agg(look('k' || n % 3), ' ' ORDER BY n) FROM generate_series(1, 12) AS n;
ALTER FOREIGN TABLE t ALTER w OPTIONS (ADD path '$.v');
SELECT look('k1'), look('k2'), look('k3');
DROP FOREIGN TABLE t;
SELECT look('k1');
CREATE FOREIGN TABLE t (k text OPTIONS (key 'true'), w text)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_a');
SELECT look('k1'), look('k2'), look('k3');
-- cursors: of a table that is dropped, and that can't be
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT * FROM t ORDER BY k;
COMMIT;
BEGIN;
DECLARE open CURSOR FOR SELECT * FROM t;
FETCH 1 FROM open \g /dev/null
ALTER FOREIGN TABLE t DROP COLUMN w;
ROLLBACK;
DROP FOREIGN TABLE t;
FETCH ALL FROM held;
CLOSE held;
-- row types are altered too, in arrays and domains as well
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN pairs AS pair[];
CREATE FOREIGN TABLE rows (k text OPTIONS (key 'true'), p pair, a pairs)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_b');
SELECT * FROM rows ORDER BY k;
BEGIN;
ALTER TYPE pair RENAME ATTRIBUTE y TO z;
SELECT * FROM rows;
ROLLBACK;
SELECT * FROM rows ORDER BY k;
ALTER TYPE pair ADD ATTRIBUTE z int;
SELECT * FROM rows ORDER BY k;
ALTER TYPE pair DROP ATTRIBUTE y;
SELECT * FROM rows ORDER BY k;
ALTER TYPE pair RENAME ATTRIBUTE z TO y;
SELECT * FROM rows ORDER BY k;
ALTER TYPE pair ALTER ATTRIBUTE x TYPE text;
-- an enum that grows: the table goes on by itself
CREATE TYPE mood AS ENUM ('old');
CREATE FOREIGN TABLE moods (k text OPTIONS (key 'true'), m mood OPTIONS (index 'true'))
	SERVER table_change OPTIONS (kind 'table', topic 'tc_b');
SELECT * FROM moods;
ALTER TYPE mood ADD VALUE 'new';
CALL until('moods', 'error', '%newest%');
SELECT state, rows, caught_up, lag, last_error FROM streamsql.tables
	WHERE "table" = 'moods'::regclass;
ALTER TYPE mood ADD VALUE 'newest' BEFORE 'new';
CALL until('moods', 'ready');
SELECT * FROM moods ORDER BY m;
SELECT k FROM moods WHERE m = 'newest';
ALTER TYPE mood RENAME VALUE 'newest' TO 'best';
SELECT k, m FROM moods WHERE m = 'best';
-- Whose mapping counts is the owner's. Nobody listens there: with a name and a
-- password a worker gets as far as asking, without it a client is not made.
CREATE SERVER away FOREIGN DATA WRAPPER streamsql OPTIONS (
	bootstrap_servers '127.0.0.1:1', security_protocol 'sasl_plaintext',
	sasl_mechanisms 'PLAIN');
CREATE USER MAPPING FOR CURRENT_USER SERVER away
	OPTIONS (sasl_username 'me', sasl_password 's3cret');
CREATE FOREIGN TABLE away (k text OPTIONS (key 'true'))
	SERVER away OPTIONS (kind 'table', topic 'tc_a');
CALL until('away', 'loading');
ALTER FOREIGN TABLE away OWNER TO regress_tc_owner;
CALL until('away', 'error', '%sasl.username%');
SELECT * FROM away;
CREATE USER MAPPING FOR regress_tc_owner SERVER away
	OPTIONS (sasl_username 'owner', sasl_password 's3cret');
CALL until('away', 'loading');
SET streamsql.table_wait = '10ms';
SELECT * FROM away;
RESET streamsql.table_wait;
DROP USER MAPPING FOR regress_tc_owner SERVER away;
CALL until('away', 'error', '%sasl.username%');
SELECT state FROM streamsql.tables WHERE "table" = 'away'::regclass;
CREATE USER MAPPING FOR PUBLIC SERVER away
	OPTIONS (sasl_username 'everyone', sasl_password 's3cret');
CALL until('away', 'loading');
ALTER SERVER away OPTIONS (SET bootstrap_servers :'bootstrap',
	SET security_protocol 'plaintext');
SELECT * FROM away ORDER BY k;
-- what has the rows of others is made of what is there
CREATE FOREIGN TABLE t (k text OPTIONS (key 'true'), v int)
	SERVER table_change OPTIONS (kind 'table', topic 'tc_a');
CREATE MATERIALIZED VIEW seen AS SELECT * FROM t;
\! printf 'record\ttc_a\t0\t-\tk3\t{"v":3}\n' | "$STREAMSQL_FILL"
SET streamsql.read_consistency = latest;
REFRESH MATERIALIZED VIEW seen;
RESET streamsql.read_consistency;
SELECT * FROM seen ORDER BY k;
-- not for foreign tables, or not for these
TRUNCATE t;
CREATE INDEX ON t (k);
-- waiting: not at all, long, and with what is no time
SELECT streamsql.wait_for('t', '0');
SELECT streamsql.wait_for('t', '-1s');
SELECT streamsql.wait_for('t', '1000 years');
SELECT streamsql.wait_for('nowhere');
SET streamsql.read_consistency = 'sometimes';
SET streamsql.table_wait = -1;
SET streamsql.table_memory = '1GB';
SELECT name, setting, unit, context FROM pg_settings
	WHERE name ~ '^streamsql.(table|read|snapshot)' ORDER BY name COLLATE "C";
DROP SERVER away CASCADE;
DROP SERVER table_change CASCADE;
DROP SCHEMA table_change CASCADE;
DROP ROLE regress_tc_owner;
