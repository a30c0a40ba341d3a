--
-- Records that can't be decoded: stop, ignore, set_null, and column error.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/on_error.fill
CREATE SERVER on_error FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE DOMAIN on_error_small AS int CHECK (value < 100);
CREATE FOREIGN TABLE e (id int, qty int, tags text[], small on_error_small,
	off bigint OPTIONS (metadata 'offset'),
	error text OPTIONS (metadata 'error'))
	SERVER on_error OPTIONS (topic 'on_error');
\pset null (null)
-- stop is the default: rows up to the first bad record, then its error
SELECT id, qty FROM e WHERE off = 0;
SELECT id FROM e;
SELECT id, qty FROM e;
-- reading column error decodes everything, but does not forgive
SELECT off, error FROM e;
-- ignore leaves the record out, whatever is selected
ALTER FOREIGN TABLE e OPTIONS (ADD on_error 'ignore');
SELECT * FROM e ORDER BY off;
SELECT count(*) FROM e;
SELECT off FROM e ORDER BY off;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM e;
-- set_null keeps it: a bad column is NULL, of a broken document all are
ALTER FOREIGN TABLE e OPTIONS (SET on_error 'set_null');
SELECT * FROM e ORDER BY off;
SELECT count(*), count(id), count(qty), count(error) FROM e;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM e;
-- raw key that is not text
CREATE FOREIGN TABLE k (key text OPTIONS (metadata 'key'), id int,
	off bigint OPTIONS (metadata 'offset'),
	error text OPTIONS (metadata 'error'))
	SERVER on_error OPTIONS (topic 'on_error', on_error 'set_null');
SELECT key, id, error FROM k WHERE off < 2 ORDER BY off;
-- within a transaction, a function and a subtransaction, all goes on
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM k WHERE error IS NOT NULL;
ROLLBACK TO s;
SELECT count(*) FROM k WHERE error IS NOT NULL;
COMMIT;
DO $$
BEGIN
	PERFORM count(*) FROM e;
	RAISE WARNING 'still here';
END
$$;
