--
-- INSERT, UPDATE and DELETE on tables: upserts and tombstones.
--
SET client_min_messages = warning;
CREATE SCHEMA write_table;
SET search_path = write_table;
\getenv bootstrap STREAMSQL_BOOTSTRAP
CREATE SERVER write_table FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
SET streamsql.read_consistency = latest;
CREATE FOREIGN TABLE users (
	user_id text OPTIONS (key 'true'), tier text, credit numeric(18,2),
	region text OPTIONS (index 'true'))
	SERVER write_table OPTIONS (kind 'table', topic 'write_users');
CREATE FOREIGN TABLE user_log (
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'),
	part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER write_table OPTIONS (topic 'write_users');
INSERT INTO users VALUES ('u1', 'gold', 10.5, 'eu'), ('u2', 'silver', NULL, 'us'),
	('u3', NULL, 0, 'eu');
SELECT * FROM users ORDER BY user_id;
SELECT key, value FROM user_log ORDER BY key, off;
-- a record takes the place of an earlier one
INSERT INTO users VALUES ('u1', 'gold', 11, 'eu');
UPDATE users SET tier = 'bronze', credit = credit + 1 WHERE region = 'eu';
SELECT * FROM users ORDER BY user_id;
UPDATE users SET credit = 5 WHERE user_id = 'u2' RETURNING *;
DELETE FROM users WHERE user_id = 'u3' RETURNING user_id, tier;
SELECT * FROM users ORDER BY user_id;
-- another key: a tombstone for the old one
UPDATE users SET user_id = 'u4' WHERE user_id = 'u2';
SELECT * FROM users ORDER BY user_id;
SELECT key, value FROM user_log WHERE key IN ('u2', 'u4') ORDER BY key, off;
-- in a transaction: seen after the commit; rolled back, never
BEGIN;
DELETE FROM users;
SELECT count(*) FROM users;
ROLLBACK;
SELECT count(*) FROM users;
BEGIN;
INSERT INTO users VALUES ('u5', 'new', 1, 'ap');
SAVEPOINT a;
DELETE FROM users WHERE user_id = 'u1';
ROLLBACK TO a;
COMMIT;
SELECT user_id FROM users ORDER BY 1;
-- with other tables
CREATE TABLE bonus (id text, plus numeric);
INSERT INTO bonus VALUES ('u1', 100), ('u5', 200);
UPDATE users SET credit = credit + plus FROM bonus WHERE id = user_id;
DELETE FROM users USING bonus WHERE id = user_id AND plus = 200;
SELECT user_id, credit FROM users ORDER BY 1;
EXPLAIN (COSTS OFF) UPDATE users SET tier = 'x' WHERE user_id = 'u1';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) DELETE FROM users WHERE user_id = 'u4';
SELECT user_id FROM users ORDER BY 1;
-- a NULL key has no row
INSERT INTO users VALUES (NULL, 'nobody');
UPDATE users SET user_id = NULL;
INSERT INTO users VALUES ('u9') ON CONFLICT DO NOTHING;
SELECT count(*) FROM users;
-- composite keys
CREATE FOREIGN TABLE pairs (a int OPTIONS (key 'true'), b text OPTIONS (key 'true'), v int)
	SERVER write_table OPTIONS (kind 'table', topic 'write_pairs', key_format 'json');
INSERT INTO pairs VALUES (1, 'x', 10), (1, 'y', 20), (2, 'x', 30);
UPDATE pairs SET v = v + 1 WHERE a = 1;
DELETE FROM pairs WHERE b = 'y';
UPDATE pairs SET a = 3 WHERE a = 2;
SELECT * FROM pairs ORDER BY a, b;
CREATE FOREIGN TABLE pair_log (
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER write_table OPTIONS (topic 'write_pairs');
SELECT * FROM pair_log ORDER BY off;
-- the key in the value: rows can be changed, but neither deleted nor moved
CREATE FOREIGN TABLE by_value (id int OPTIONS (key 'true'), name text)
	SERVER write_table OPTIONS (kind 'table', topic 'write_by_value', key_source 'value');
INSERT INTO by_value VALUES (1, 'one'), (2, 'two');
UPDATE by_value SET name = upper(name) WHERE id = 1;
SELECT * FROM by_value ORDER BY id;
DELETE FROM by_value;
UPDATE by_value SET id = 3 WHERE id = 1;
CREATE FOREIGN TABLE by_value_log (
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER write_table OPTIONS (topic 'write_by_value');
SELECT * FROM by_value_log ORDER BY off;
-- a stream joined natively into a topic
CREATE FOREIGN TABLE enriched (v int, name text) SERVER write_table
	OPTIONS (topic 'write_enriched', format 'csv');
CREATE FOREIGN TABLE pair_stream (a int OPTIONS (key 'true'), v int)
	SERVER write_table OPTIONS (topic 'write_pairs', key_format 'json');
SET streamsql.debug_require_native = require;
INSERT INTO enriched SELECT v, name FROM pair_stream JOIN by_value ON id = a WHERE v > 0;
RESET streamsql.debug_require_native;
SELECT * FROM enriched ORDER BY v;
-- columns that came and went, and triggers of rows
CREATE FOREIGN TABLE changed (x int, k text OPTIONS (key 'true'), y int, z int)
	SERVER write_table OPTIONS (kind 'table', topic 'write_changed');
ALTER FOREIGN TABLE changed DROP COLUMN x, DROP COLUMN y, ADD COLUMN w int DEFAULT 7;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING '% of % to %', TG_OP, OLD, NEW;
	RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON changed FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO changed (k, z) VALUES ('a', 1), ('b', 2);
UPDATE changed SET k = 'c', z = z + 1 WHERE k = 'a' RETURNING *;
DELETE FROM changed WHERE k = 'b' RETURNING *;
SELECT * FROM changed;
-- keys that are equal and print differently are one row, where it was
CREATE FOREIGN TABLE scales (k numeric OPTIONS (key 'true'), v int)
	SERVER write_table OPTIONS (kind 'table', topic 'write_scales');
INSERT INTO scales SELECT n, n FROM generate_series(1, 20) n;
UPDATE scales SET k = k + 0.00, v = v + 100;
SELECT count(*), sum(k), sum(v) FROM scales;
DELETE FROM scales WHERE k > 1;
SELECT * FROM scales;
DROP SCHEMA write_table CASCADE;
DROP SERVER write_table;
