--
-- Foreign tables of kind table: the last value per key.
--
SET client_min_messages = warning;
CREATE SCHEMA table_basic;
SET search_path = table_basic;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/table_basic.fill
CREATE SERVER table_basic FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
CREATE VIEW tb_states AS SELECT "table", state, rows, memory_bytes > 0 AS memory,
	caught_up, lag, applied, deleted, skipped_null_key AS skipped,
	decode_errors AS errors, last_error, last_applied_at > now() - '1 hour'::interval AS recent
	FROM streamsql.tables;
CREATE FOREIGN TABLE users (
	user_id text OPTIONS (key 'true'), tier text,
	region text OPTIONS (index 'true'), credit numeric(18,2))
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_users', format 'json');
-- a table waits for its load; the last value of each key, no deleted ones
SELECT * FROM users ORDER BY user_id COLLATE "C";
SELECT user_id FROM users WHERE user_id = '';
SELECT user_id, tier FROM users WHERE region = 'us';
SELECT count(*), sum(credit) FROM users;
SELECT * FROM tb_states;
EXPLAIN (COSTS OFF) SELECT * FROM users;
EXPLAIN (COSTS OFF) SELECT * FROM users WHERE user_id = 'u1';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
	SELECT * FROM users WHERE region = 'eu' AND tier = 'silver';
-- what comes later; latest waits for it
\! printf 'record\ttb_users\t0\t-\tu1\t\\N\nrecord\ttb_users\t3\t-\tu7\t{"region":"ap"}\n' | "$STREAMSQL_FILL"
SET streamsql.read_consistency = latest;
SELECT user_id, region FROM users WHERE user_id IN ('u1', 'u7', 'u7', NULL);
RESET streamsql.read_consistency;
\! printf 'record\ttb_users\t0\t-\tu8\t{"tier":"new"}\n' | "$STREAMSQL_FILL"
SELECT streamsql.wait_for('users');
SELECT tier FROM users WHERE user_id = 'u8';
-- a key of several columns; part of one is no key
CREATE FOREIGN TABLE pairs (a int OPTIONS (key 'true'), b text OPTIONS (key 'true'), v int)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_pair', key_format 'json');
SELECT * FROM pairs ORDER BY a, b;
SELECT * FROM pairs WHERE b = 'y' AND a = 2;
SELECT * FROM pairs WHERE a = 1;
SELECT rows, applied, deleted, skipped FROM tb_states WHERE "table" = 'pairs'::regclass;
EXPLAIN (COSTS OFF) SELECT * FROM pairs WHERE a = 1 AND b = 'x';
EXPLAIN (COSTS OFF) SELECT * FROM pairs WHERE a = 1;
-- the key in the value
CREATE FOREIGN TABLE by_value (id int OPTIONS (key 'true'), name text)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_value', key_source 'value');
SELECT * FROM by_value ORDER BY id;
SELECT rows, applied, deleted, skipped FROM tb_states WHERE "table" = 'by_value'::regclass;
-- rows are told apart by what a key means, not by its spelling
CREATE FOREIGN TABLE by_int (k int OPTIONS (key 'true'), v text)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_int', format 'raw');
SELECT * FROM by_int ORDER BY k;
CREATE FOREIGN TABLE by_text (k text OPTIONS (key 'true'), v text)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_int', format 'raw');
SELECT '<' || k || '>' AS k, v FROM by_text ORDER BY k COLLATE "C";
CREATE FOREIGN TABLE by_bytes (k bytea OPTIONS (key 'true'), v bytea)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_int', format 'raw');
SELECT * FROM by_bytes WHERE k = '\x303037';
-- a record that doesn't decode
CREATE FOREIGN TABLE stops (k text OPTIONS (key 'true'), n int)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_stop');
SELECT * FROM stops;
SELECT state, rows, applied, errors, last_error FROM tb_states WHERE "table" = 'stops'::regclass;
CREATE FOREIGN TABLE ignores (k text OPTIONS (key 'true'), n int)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_stop', on_error 'ignore');
SELECT * FROM ignores ORDER BY k;
SELECT state, rows, applied, errors, last_error FROM tb_states WHERE "table" = 'ignores'::regclass;
CREATE FOREIGN TABLE nulls (k text OPTIONS (key 'true'), n int,
	error text OPTIONS (metadata 'error'))
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_stop', on_error 'set_null');
SELECT * FROM nulls ORDER BY k;
SELECT state, rows, applied, errors, skipped FROM tb_states WHERE "table" = 'nulls'::regclass;
-- ALTER begins again
ALTER FOREIGN TABLE stops OPTIONS (ADD on_error 'ignore');
SELECT * FROM stops ORDER BY k;
-- metadata of the last record
CREATE FOREIGN TABLE meta (k text OPTIONS (key 'true'),
	part int OPTIONS (metadata 'partition'), off int8 OPTIONS (metadata 'offset'),
	ts timestamptz OPTIONS (metadata 'timestamp'), tt text OPTIONS (metadata 'timestamp_type'),
	raw bytea OPTIONS (metadata 'value'), rawkey text OPTIONS (metadata 'key'),
	topic text OPTIONS (metadata 'topic'), h text OPTIONS (header 'h'),
	headers streamsql.header[] OPTIONS (metadata 'headers'))
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_meta', format 'raw');
SELECT k, part, off, ts AT TIME ZONE 'UTC' AS ts, tt, raw, rawkey, topic, h, headers FROM meta;
-- formats
CREATE FOREIGN TABLE csv (k int OPTIONS (key 'true'), a text, n int,
	at timestamptz OPTIONS (epoch 'ms'))
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_csv', format 'csv');
SELECT k, a, n, at AT TIME ZONE 'UTC' AS at FROM csv ORDER BY k;
CREATE FOREIGN TABLE path (k text OPTIONS (key 'true'),
	d int OPTIONS (path '$.a."b c"[0].d'), at timestamp OPTIONS (epoch 's'))
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_path');
SELECT * FROM path;
-- nothing, much, and wide
CREATE FOREIGN TABLE empty (k text OPTIONS (key 'true'), n int)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_empty');
SELECT * FROM empty;
SELECT state, rows, caught_up, lag FROM tb_states WHERE "table" = 'empty'::regclass;
CREATE FOREIGN TABLE big (k text OPTIONS (key 'true'), text text)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_big', key_source 'value');
ALTER FOREIGN TABLE big ALTER k OPTIONS (ADD path '$.text');
SELECT length(k), length(text), k = text AS same FROM big;
SELECT length(b.text) FROM big AS b WHERE k = (SELECT text FROM big);
SELECT format('CREATE FOREIGN TABLE wide (k text OPTIONS (key ''true''), %s)
	SERVER table_basic OPTIONS (kind ''table'', topic ''tb_wide'')',
	string_agg(format('c%s text', n), ', ')) AS wide
	FROM generate_series(1, 299) AS n \gexec
SELECT k, c1, c2, c150, c299 FROM wide;
SELECT count(*) FROM (SELECT w.* FROM wide w) AS x WHERE x.c299 = '299';
ALTER FOREIGN TABLE wide DROP COLUMN c150;
SELECT k, c1, c299 FROM wide;
-- a topic that is not there yet
CREATE FOREIGN TABLE later (k text OPTIONS (key 'true'), n int)
	SERVER table_basic OPTIONS (kind 'table', topic 'tb_later');
SELECT * FROM later;
\! printf 'topic\ttb_later\t2\nrecord\ttb_later\t1\t-\tk\t{"n":1}\n' | "$STREAMSQL_FILL"
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN (SELECT state FROM streamsql.tables WHERE "table" = 'later'::regclass) = 'ready';
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
SELECT * FROM later;
DROP SERVER table_basic CASCADE;
SELECT count(*) FROM streamsql.tables;
DROP SCHEMA table_basic CASCADE;
