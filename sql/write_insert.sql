--
-- INSERT and COPY into streams: what is there when, and what is refused.
--
SET client_min_messages = warning;
CREATE SCHEMA write_insert;
SET search_path = write_insert;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/write.fill
CREATE SERVER write_insert FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
CREATE FOREIGN TABLE trades (
	id bigint, user_id text OPTIONS (key 'true'), amount numeric(18,2),
	city text OPTIONS (path '$.address.city'),
	made_at timestamptz OPTIONS (epoch 'ms'),
	part int OPTIONS (metadata 'partition'), ts timestamptz OPTIONS (metadata 'timestamp'),
	trace text OPTIONS (header 'traceparent'))
	SERVER write_insert OPTIONS (topic 'write_trades');
INSERT INTO trades (id, user_id, amount, city, made_at, ts, trace) VALUES
	(1, 'u1', 10.50, 'Berlin', '2026-01-01 00:00:00.123+00', '2026-01-01 00:00:01+00', 'a-b'),
	(2, 'u2', NULL, '', NULL, '2026-01-01 00:00:02.5+00', NULL),
	(3, NULL, 0, NULL, NULL, '2026-01-01 00:00:03+00', '');
INSERT INTO trades (id, part, ts) SELECT n, 2, '2026-01-01 00:00:04+00' FROM generate_series(4, 5) n;
SELECT id, user_id, amount, city, made_at AT TIME ZONE 'UTC' AS made_at,
	ts AT TIME ZONE 'UTC' AS ts, trace FROM trades ORDER BY id;
-- keys go where Java's clients put them; a partition that is given is kept
SELECT user_id, part FROM trades WHERE user_id IS NOT NULL ORDER BY 1;
SELECT DISTINCT part FROM trades WHERE id IN (4, 5);
-- the bytes
CREATE FOREIGN TABLE raw_trades (
	key bytea OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'),
	headers streamsql.header[] OPTIONS (metadata 'headers'))
	SERVER write_insert OPTIONS (topic 'write_trades');
SELECT convert_from(key, 'UTF8') AS key, value, headers FROM raw_trades ORDER BY value;
-- what a transaction inserts is there when it commits, of all its topics
CREATE FOREIGN TABLE one (a int, b text) SERVER write_insert OPTIONS (topic 'write_one');
CREATE FOREIGN TABLE two (a int, b text) SERVER write_insert OPTIONS (topic 'write_two');
BEGIN;
INSERT INTO one VALUES (1, 'one');
INSERT INTO two SELECT a + 1, 'two' FROM generate_series(1, 3) a;
SELECT count(*) FROM one;
COMMIT;
SELECT * FROM one UNION ALL SELECT * FROM two ORDER BY a, b;
BEGIN;
INSERT INTO one VALUES (100, 'never');
INSERT INTO two VALUES (100, 'never');
ROLLBACK;
INSERT INTO one SELECT 1 / (3 - a), 'never' FROM generate_series(1, 5) a;
BEGIN;
INSERT INTO one VALUES (101, 'never');
SELECT 1 / 0;
COMMIT;
SELECT * FROM one;
-- savepoints
BEGIN;
INSERT INTO one VALUES (2, 'top');
SAVEPOINT a;
INSERT INTO one VALUES (102, 'never');
SAVEPOINT b;
INSERT INTO two VALUES (102, 'never');
RELEASE b;
ROLLBACK TO a;
INSERT INTO one VALUES (3, 'after rollback to');
SAVEPOINT c;
INSERT INTO one VALUES (4, 'released');
RELEASE c;
INSERT INTO one VALUES (5, 'top again');
COMMIT;
DO $$
BEGIN
	FOR i IN 1..4 LOOP
		BEGIN
			INSERT INTO one VALUES (10 + i, 'block');
			IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$;
SELECT * FROM one ORDER BY a;
SELECT max(a) FROM two;
-- more than a savepoint may hold is sent, and cannot be taken back alone
SET streamsql.savepoint_memory = 0;
BEGIN;
SAVEPOINT a;
INSERT INTO two VALUES (5, 'sent');
RELEASE a;
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO two VALUES (103, 'lost');
ROLLBACK TO a;
INSERT INTO two VALUES (104, 'lost');
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO two VALUES (103, 'lost');
ROLLBACK TO a;
COMMIT;
RESET streamsql.savepoint_memory;
SELECT a FROM two WHERE b = 'sent';
-- delivery statement: there when the statement ends, whatever comes
CREATE FOREIGN TABLE at_once (a int, b text) SERVER write_insert
	OPTIONS (topic 'write_at_once', delivery 'statement');
BEGIN;
INSERT INTO at_once VALUES (1, 'kept');
SELECT * FROM at_once;
SAVEPOINT a;
INSERT INTO at_once VALUES (2, 'kept, too');
ROLLBACK TO a;
ROLLBACK;
SELECT * FROM at_once ORDER BY a;
-- COPY, RETURNING, prepared statements
COPY at_once FROM stdin WITH (FORMAT csv);
3,three
4,"fo""ur"
5,
\.
COPY at_once (b) FROM stdin;
no number
\.
INSERT INTO at_once VALUES (6, 'six') RETURNING a * 10 AS ten, b;
WITH written AS (INSERT INTO at_once SELECT a, 'cte' FROM generate_series(7, 9) a RETURNING *)
	SELECT count(*), sum(a) FROM written;
PREPARE put(int, text) AS INSERT INTO at_once VALUES ($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE put(10, 'prepared');
EXECUTE put(11, NULL);
RESET plan_cache_mode;
SELECT * FROM at_once WHERE a IS NULL OR a > 2 ORDER BY a;
-- partitions of a table
CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_heap PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE parted_topic PARTITION OF parted FOR VALUES FROM (10) TO (20)
	SERVER write_insert OPTIONS (topic 'write_parts');
INSERT INTO parted SELECT a, 'row ' || a FROM generate_series(8, 11) a;
COPY parted FROM stdin;
9	copied
12	copied
\.
SELECT tableoid::regclass, * FROM parted ORDER BY a, b;
INSERT INTO parted_topic VALUES (5, 'out of bounds');
-- a row may move into a stream, but not change there
UPDATE parted SET a = a + 10 WHERE b = 'row 9';
UPDATE parted SET a = a + 10 WHERE a = 9 AND b = 'row 9';
SELECT tableoid::regclass, * FROM parted WHERE b = 'row 9';
-- constraints, defaults, triggers, views
CREATE FOREIGN TABLE limits (
	a int NOT NULL CHECK (a > 0), b text DEFAULT 'default',
	c int GENERATED ALWAYS AS (a * 2) STORED)
	SERVER write_insert OPTIONS (topic 'write_limits');
INSERT INTO limits (a) VALUES (1);
INSERT INTO limits VALUES (NULL, 'null');
INSERT INTO limits VALUES (0, 'zero');
COPY limits (a) FROM stdin;
-1
\.
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.b := upper(NEW.b);
	RETURN NEW;
END $$;
CREATE TRIGGER shout BEFORE INSERT ON limits FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO limits (a, b) VALUES (2, 'quiet');
SELECT * FROM limits;
CREATE VIEW small AS SELECT a, b FROM limits WHERE a < 5 WITH CHECK OPTION;
INSERT INTO small VALUES (3, 'by view');
INSERT INTO small VALUES (6, 'too large');
SELECT * FROM small ORDER BY a;
SELECT is_insertable_into FROM information_schema.tables
	WHERE table_schema = 'write_insert' AND table_name = 'limits';
-- EXPLAIN asks no broker
EXPLAIN (COSTS OFF) INSERT INTO at_once VALUES (0, 'not written');
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
	INSERT INTO one SELECT 50, 'explained' FROM generate_series(1, 3);
SELECT count(*) FROM one WHERE a = 50;
-- what a topic can't do
INSERT INTO one VALUES (1, 'x') ON CONFLICT DO NOTHING;
UPDATE one SET a = 1;
DELETE FROM one;
TRUNCATE one;
INSERT INTO trades (id, part) VALUES (9, 17);
INSERT INTO trades (id, part) VALUES (9, -2);
INSERT INTO trades (id, ts) VALUES (9, '1970-01-01 00:00:00+00');
CREATE FOREIGN TABLE missing (a int) SERVER write_insert OPTIONS (topic 'write_missing');
INSERT INTO missing VALUES (1);
INSERT INTO missing SELECT 1 WHERE false;
SELECT count(*) FROM streamsql.topics('write_insert') WHERE topic = 'write_missing';
INSERT INTO one VALUES (200, repeat('x', 2000000));
BEGIN;
INSERT INTO one VALUES (201, 'prepared');
PREPARE TRANSACTION 'write_insert';
SELECT count(*) FROM one WHERE a > 100;
BEGIN READ ONLY;
INSERT INTO one VALUES (202, 'read only');
ROLLBACK;
CREATE ROLE regress_streamsql_writer;
GRANT USAGE ON SCHEMA write_insert TO regress_streamsql_writer;
GRANT SELECT ON one TO regress_streamsql_writer;
SET ROLE regress_streamsql_writer;
INSERT INTO one VALUES (203, 'no right');
RESET ROLE;
DROP OWNED BY regress_streamsql_writer;
DROP ROLE regress_streamsql_writer;
DROP SCHEMA write_insert CASCADE;
DROP SERVER write_insert;
