--
-- What is written is the same whoever writes it, and can be read by anybody.
-- Uses topics of write_insert.
--
SET client_min_messages = warning;
CREATE SCHEMA write_session;
CREATE SCHEMA write_session_a;
CREATE SCHEMA write_session_b;
SET search_path = write_session;
\getenv bootstrap STREAMSQL_BOOTSTRAP
CREATE SERVER write_session FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap', delivery 'statement');
\pset null (null)
-- names of objects, wherever they are looked for
CREATE TABLE write_session_a.t ();
CREATE TABLE write_session_b.t ();
CREATE TYPE holder AS (c regclass, n int);
CREATE FOREIGN TABLE names (id int, c regclass, ca regclass[], h holder, ty regtype)
	SERVER write_session OPTIONS (topic 'write_names');
CREATE FOREIGN TABLE names_csv (id int, c regclass, ca regclass[], h holder, ty regtype)
	SERVER write_session OPTIONS (topic 'write_names_csv', format 'csv');
SET search_path = write_session_a, write_session;
INSERT INTO names VALUES (1, 't', '{t,write_session_b.t}', '(t,1)', 'int');
INSERT INTO names_csv VALUES (1, 't', '{t,write_session_b.t}', '(t,1)', 'int');
SHOW search_path;
SET search_path = write_session_b, write_session;
SELECT * FROM names;
SELECT * FROM names_csv;
SET search_path = write_session;
CREATE FOREIGN TABLE names_bytes (value text OPTIONS (metadata 'value'))
	SERVER write_session OPTIONS (topic 'write_names');
SELECT value FROM names_bytes;
-- one moment has one key, so one partition
CREATE FOREIGN TABLE zones (k tstzrange OPTIONS (key 'true'), v timestamptz[], iv interval[])
	SERVER write_session OPTIONS (topic 'write_zones');
CREATE FOREIGN TABLE zones_bytes (key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'))
	SERVER write_session OPTIONS (topic 'write_zones');
SET timezone = 'Asia/Tokyo';
INSERT INTO zones VALUES ('[2026-01-01 00:00Z,)', '{2026-01-01 00:00Z}', '{1 day}');
SET timezone = 'America/St_Johns';
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
INSERT INTO zones VALUES ('[2026-01-01 00:00Z,)', '{2026-01-01 00:00Z}', '{1 day}');
-- nothing of it is left
SHOW timezone;
SHOW datestyle;
RESET datestyle;
RESET intervalstyle;
SET timezone = 'UTC';
SELECT key, value, count(*) FROM zones_bytes GROUP BY key, value;
CREATE TYPE record_of_json AS (j json);
CREATE FOREIGN TABLE refused (id int, j json, ja json[], p record_of_json)
	SERVER write_session OPTIONS (topic 'write_refused');
-- \u0000 in JSON, which no reader takes
INSERT INTO refused (id, j) VALUES (2, '{"a":"\u0000"}');
INSERT INTO refused (id, j) VALUES (2, '["\\\\\\\u0000"]');
INSERT INTO refused (id, ja) VALUES (2, ARRAY['1', '"x\u0000"']::json[]);
INSERT INTO refused (id, p) VALUES (2, ROW('"\u0000"'));
INSERT INTO refused (id, j) VALUES (2, '["\\u0000","\u00001"]');
INSERT INTO refused (id, j, ja) VALUES (3, '["\\u0000","\\\\u0000","u0000","\u0001"]', ARRAY['"\\u0000"']::json[]);
SELECT id, j, ja FROM refused;
-- epochs up to the ends of time
CREATE FOREIGN TABLE ends (
	s timestamp OPTIONS (epoch 's'), ms timestamp OPTIONS (epoch 'ms'), us timestamp OPTIONS (epoch 'us'),
	ns timestamp OPTIONS (epoch 'ns'), d date OPTIONS (epoch 'ns'))
	SERVER write_session OPTIONS (topic 'write_ends');
CREATE FOREIGN TABLE ends_bytes (value text OPTIONS (metadata 'value'))
	SERVER write_session OPTIONS (topic 'write_ends');
INSERT INTO ends SELECT t, t, t, t, d
	FROM (VALUES (timestamp '294276-12-31 23:59:59.999999', date '294276-12-31'),
		('4714-11-24 00:00:00 BC', '4714-11-24 BC'),
		('1970-01-01 00:00:00.000010', '1970-01-02'), ('1969-12-31 23:59:59.999', '1969-12-31')) v (t, d);
SELECT value FROM ends_bytes;
SET datestyle = 'ISO';
SELECT s, s = ms AND ms = us AND us = ns AS same, d FROM ends;
RESET datestyle;
-- types that to_json would write by a cast, which reading does not undo
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE feeling AS (m mood, since int);
CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE sql AS $$ SELECT json_build_object('mood', $1::text) $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE FOREIGN TABLE casts (m mood, ma mood[], f feeling, fa feeling[])
	SERVER write_session OPTIONS (topic 'write_casts');
CREATE FOREIGN TABLE casts_bytes (value text OPTIONS (metadata 'value'))
	SERVER write_session OPTIONS (topic 'write_casts');
INSERT INTO casts VALUES ('sad', '{sad,happy}', '(happy,1)', '{"(sad,2)"}');
SELECT * FROM casts;
SELECT value FROM casts_bytes;
-- characters that JSON escapes, at every place of a text
CREATE TABLE strings_heap (i int, t text);
INSERT INTO strings_heap SELECT i, overlay(repeat('x', 19) PLACING c FROM i FOR 1)
	FROM generate_series(1, 19) i, unnest(ARRAY['"', E'\\', E'\x01', E'\x1f', ' ', '!', E'\x7f', 'é', E'\\"', E'"\n"']) c;
INSERT INTO strings_heap VALUES (0, ''), (0, repeat('"', 9)), (0, repeat(E'\t', 9)), (0, repeat('é', 9));
CREATE FOREIGN TABLE strings (i int, t text) SERVER write_session OPTIONS (topic 'write_strings');
INSERT INTO strings SELECT * FROM strings_heap;
SELECT count(*) FROM strings;
SELECT * FROM (SELECT * FROM strings_heap EXCEPT ALL SELECT * FROM strings) x;
SELECT * FROM (SELECT * FROM strings EXCEPT ALL SELECT * FROM strings_heap) x;
DROP SCHEMA write_session, write_session_a, write_session_b CASCADE;
DROP SERVER write_session;
