--
-- Reading JSON: which field goes where, and what a bad document does.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\set VERBOSITY default
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/read_json.fill
CREATE SERVER read_json FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE j (
	id int, name text, amount numeric(18,2),
	found text OPTIONS (path '$.deep.a[1]."b c"'),
	ten int OPTIONS (path '$.deep.a[0]'),
	made timestamptz OPTIONS (epoch 'ms'),
	off bigint OPTIONS (metadata 'offset')
) SERVER read_json OPTIONS (topic 'read_json', format 'json');
-- missing and extra fields, any order, duplicates, escapes, NULLs, tombstone,
-- top-level null, empty payload
SELECT off, id, name, amount, found, ten, made FROM j ORDER BY off;
-- only what is asked for, in any order
SELECT amount, id FROM j WHERE name = 'other order';
SELECT count(*), count(id), count(name) FROM j;
SELECT sum(amount) FROM j;
-- a whole row
SELECT j FROM j WHERE id = 1;
-- a document that is broken anywhere is an error that says where it stands
\set VERBOSITY verbose
\set SHOW_CONTEXT always
CREATE FUNCTION read_bad(topic text, columns text DEFAULT 'a int')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	state text;
	context text;
	rows text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE bad (%s) SERVER read_json '
				   'OPTIONS (topic %L)', columns, topic);
	BEGIN
		EXECUTE 'SELECT string_agg(bad::text, '' '') FROM bad' INTO rows;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
			state = RETURNED_SQLSTATE, context = PG_EXCEPTION_CONTEXT;
		rows := format('%s %s | %s', state, message,
			(string_to_array(context, E'\n'))[1]);
	END;
	DROP FOREIGN TABLE bad;
	RETURN rows;
END
$$;
SELECT topic, read_bad(topic)
  FROM unnest(ARRAY['bad_garbage', 'bad_bom', 'bad_utf8', 'bad_nul',
	'bad_array', 'bad_scalar', 'bad_number', 'bad_surrogate', 'bad_string',
	'bad_open', 'bad_range', 'bad_kind', 'bad_blank']) AS topic;
-- count(*) decodes nothing, and rows before the bad one are returned
CREATE FOREIGN TABLE bad (a int, off bigint OPTIONS (metadata 'offset'))
	SERVER read_json OPTIONS (topic 'bad_range');
SELECT count(*) FROM bad;
SELECT a FROM bad LIMIT 1;
SELECT a FROM bad WHERE off = 0;
\set VERBOSITY default
SELECT a FROM bad;
DROP FOREIGN TABLE bad;
-- 20 levels by path and as json, 3000 levels skipped
CREATE FOREIGN TABLE deep (
	bottom text OPTIONS (path '$.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d'),
	d jsonb, off bigint OPTIONS (metadata 'offset')
) SERVER read_json OPTIONS (topic 'read_deep');
SELECT off, bottom FROM deep;
SELECT d #>> array_fill('d'::text, ARRAY[19]) FROM deep WHERE off = 0;
-- a value of a megabyte
CREATE FOREIGN TABLE big (text text, off bigint OPTIONS (metadata 'offset'))
	SERVER read_json OPTIONS (topic 'read_big');
SELECT off, length(text), md5(text) = md5(repeat('x', length(text))) AS same
  FROM big;
-- paths that begin with an index, and the whole document
CREATE FOREIGN TABLE top_index (second int OPTIONS (path '$[1].a'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER read_json OPTIONS (topic 'read_top');
SELECT * FROM top_index;
CREATE FOREIGN TABLE top_all (doc jsonb OPTIONS (path '$'),
	a int, off bigint OPTIONS (metadata 'offset'))
	SERVER read_json OPTIONS (topic 'read_top');
SELECT * FROM top_all;
