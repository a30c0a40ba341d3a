--
-- Where the keys of tables come from, and what happens to records that have
-- none, or one that can't be.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/table_source.fill
CREATE SCHEMA table_source;
SET search_path = table_source;
CREATE SERVER table_source FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
-- makes a table of a topic; the server is always the same
CREATE PROCEDURE make(name text, columns text, topic text, options text DEFAULT '')
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE %I (%s) SERVER table_source
		OPTIONS (kind ''table'', topic %L%s)', name,
		replace(columns, ' KEY', ' OPTIONS (key ''true'')'), topic,
		CASE options WHEN '' THEN '' ELSE ', ' || options END);
END
$$;
CREATE VIEW counted AS SELECT "table", state, rows, applied, deleted,
	skipped_null_key AS skipped, decode_errors AS errors, lag
	FROM streamsql.tables;
-- uuids, some of which are none; a tombstone of such a key deletes nothing
CALL make('uuid_stop', 'k uuid KEY, v int', 'ts_uuid');
CALL make('uuid_ignore', 'k uuid KEY, v int', 'ts_uuid', 'on_error ''ignore''');
CALL make('uuid_null', 'k uuid KEY, v int, e text OPTIONS (metadata ''error'')',
	'ts_uuid', 'on_error ''set_null''');
SELECT * FROM uuid_stop;
SELECT * FROM uuid_ignore ORDER BY k;
SELECT * FROM uuid_null ORDER BY k;
SELECT * FROM counted WHERE "table"::text LIKE 'uuid%' ORDER BY "table"::text;
-- nothing but a key, of any type that raw bytes make
CALL make('only_text', 'k text KEY', 'ts_keys', 'on_error ''ignore''');
CALL make('only_bytea', 'k bytea KEY', 'ts_keys');
CALL make('only_int', 'k int KEY', 'ts_keys', 'on_error ''ignore''');
CALL make('only_numeric', 'k numeric KEY', 'ts_keys', 'on_error ''ignore''');
CALL make('only_date', 'k date KEY', 'ts_keys', 'on_error ''ignore''');
CALL make('only_char', 'k char(4) KEY', 'ts_keys', 'on_error ''ignore''');
SELECT '<' || k || '>' AS k FROM only_text ORDER BY k COLLATE "C";
SELECT k FROM only_bytea ORDER BY k;
SELECT k FROM only_int ORDER BY k;
SELECT k FROM only_numeric ORDER BY k;
SELECT k FROM only_date ORDER BY k;
SELECT '<' || k || '>' AS k, length(k) FROM only_char ORDER BY k COLLATE "C";
SELECT count(*), count(k) FROM only_text WHERE k <> '';
SELECT * FROM counted WHERE "table"::text LIKE 'only%' ORDER BY "table"::text;
-- documents as keys: missing members, other documents, broken ones
CALL make('json_stop', 'a int KEY, b text KEY, v int', 'ts_json', 'key_format ''json''');
CALL make('json_ignore', 'a int KEY, b text KEY, v int', 'ts_json',
	'key_format ''json'', on_error ''ignore''');
CALL make('json_null', 'a int KEY, b text KEY, v int, e text OPTIONS (metadata ''error'')',
	'ts_json', 'key_format ''json'', on_error ''set_null''');
CALL make('json_path', 'b text OPTIONS (key ''true'', path ''$.c[1].d''), v int', 'ts_json',
	'key_format ''json'', on_error ''ignore''');
SELECT * FROM json_stop;
SELECT * FROM json_ignore ORDER BY a, b;
SELECT * FROM json_null ORDER BY a, b;
SELECT * FROM json_path ORDER BY b;
SELECT * FROM counted WHERE "table"::text LIKE 'json%' ORDER BY "table"::text;
-- keys in the value, whatever its format; the message key does not count
CALL make('value_json', 'id int OPTIONS (key ''true'', path ''$.o.id''), v text,
	k text OPTIONS (metadata ''key''), off int8 OPTIONS (metadata ''offset'')',
	'ts_value', 'key_source ''value'', on_error ''ignore''');
CALL make('value_csv', 'id int KEY, v text, n int KEY', 'ts_csv',
	'key_source ''value'', format ''csv'', on_error ''ignore''');
CALL make('value_raw', 'v text KEY, p int OPTIONS (metadata ''partition'')', 'ts_csv',
	'key_source ''value'', format ''raw''');
SELECT * FROM value_json ORDER BY id;
SELECT * FROM value_csv ORDER BY id, n;
SELECT * FROM value_csv WHERE n = 1 AND id IN (1, 2, 3);
SELECT * FROM value_raw ORDER BY v COLLATE "C";
SELECT * FROM counted WHERE "table"::text LIKE 'value%' ORDER BY "table"::text;
-- one key in two partitions is one row, of the record that was applied last
CALL make('spread', 'k text KEY, v int, p int OPTIONS (metadata ''partition'')', 'ts_spread');
SELECT count(*), bool_and(v IN (1, 2) AND v = p + 1) FROM spread;
SELECT rows, applied FROM counted WHERE "table" = 'spread'::regclass;
-- what can't be
\set VERBOSITY terse
CALL make('bad', 'a int KEY, b int KEY', 'ts_json');
CALL make('bad', 'v int', 'ts_json');
CALL make('bad', 'v int', 'ts_json', 'key_source ''value''');
CALL make('bad', 'k text OPTIONS (metadata ''key'')', 'ts_json');
CALL make('bad', 'k text OPTIONS (key ''true'', metadata ''partition'')', 'ts_json');
CALL make('bad', 'k text OPTIONS (key ''true'', header ''h'')', 'ts_json');
CALL make('bad', 'k json KEY', 'ts_json');
CALL make('bad', 'k text KEY, v text KEY', 'ts_csv', 'format ''raw'', key_source ''value''');
SELECT make FROM (SELECT string_agg(format('c%s int KEY', n), ', ') FROM generate_series(1, 33) AS n) AS x(make) \gset
CALL make('bad', :'make', 'ts_json', 'key_format ''json''');
SELECT make FROM (SELECT string_agg(format('c%s int OPTIONS (index ''true'')', n), ', ') FROM generate_series(1, 9) AS n) AS x(make) \gset
CALL make('bad', 'k int KEY, ' || :'make', 'ts_json');
\set VERBOSITY default
-- and what may be: as many as there may be, keys that are indexed too, no index
SELECT make FROM (SELECT string_agg(format('c%s int OPTIONS (index ''true'')', n), ', ') FROM generate_series(1, 8) AS n) AS x(make) \gset
CALL make('most', 'k text OPTIONS (key ''true'', index ''false''), ' || :'make', 'ts_uuid', 'on_error ''ignore''');
SELECT count(*) FROM most WHERE c8 = 1;
SELECT make FROM (SELECT string_agg(format('c%s int OPTIONS (key ''true'', path ''$.a'')', n), ', ') FROM generate_series(1, 32) AS n) AS x(make) \gset
CALL make('longest', :'make', 'ts_json', 'key_format ''json'', on_error ''ignore''');
SELECT c1, c32 FROM longest ORDER BY c1;
SELECT string_agg(format('c%s = 1', n), ' AND ') AS clause FROM generate_series(1, 32) AS n \gset
SELECT count(*) FROM longest WHERE :clause;
CALL make('keyed', 'k text OPTIONS (key ''true'', index ''true''), v int', 'ts_spread');
SELECT count(*) FROM keyed WHERE k = 'k';
DROP SERVER table_source CASCADE;
DROP SCHEMA table_source CASCADE;
