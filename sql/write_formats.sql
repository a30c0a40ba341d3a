--
-- What is written reads back as it was: every type, every format.
--
SET client_min_messages = warning;
CREATE SCHEMA write_formats;
SET search_path = write_formats;
\getenv bootstrap STREAMSQL_BOOTSTRAP
CREATE SERVER write_formats FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap', delivery 'statement');
\pset null (null)
CREATE TYPE mood AS ENUM ('sad', 'o"k', 'happy');
CREATE TYPE pair AS (x int, y text, z timestamptz);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN words AS text[];
CREATE TABLE samples (
	id int, bo bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric,
	n2 numeric(18,2), t text, v varchar(20), c char(5), by bytea, d date, ti time,
	tz timetz, ts timestamp, tsz timestamptz, iv interval, u uuid, j json, jb jsonb,
	e mood, p pair, po positive, w words, ia int[], ta text[], da date[], fa float8[],
	pa pair[], ba bytea[], r int4range, tr tstzrange, mr int4multirange, ine inet,
	bi bit(5), vb varbit, na name, ch "char", pt point, tv tsvector, o oid, m2 int[][],
	x xml);
INSERT INTO samples (id) VALUES (1);
INSERT INTO samples VALUES (2, true, -32768, -2147483648, -9223372036854775808,
	'-3.4028235e38', '5e-324', -12345678901234567890.123456789012345678901234567890,
	-9999999999999999.99, '', '', '', '', '4714-11-24 BC', '00:00', '00:00+15:59',
	'4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', '-178000000 years',
	'00000000-0000-0000-0000-000000000000', '{}', '[]', 'sad', ROW(NULL, '', NULL), 1,
	'{}', '{}', '{}', '{}', '{}', '{}', '{}', 'empty', 'empty', '{}', '::/0', B'00000',
	B'', '', 'a', '(0,0)', '', 0, '{}', '');
INSERT INTO samples VALUES (3, false, 32767, 2147483647, 9223372036854775807,
	'1e-45', '1.7976931348623157e308', 0.000000000000000000000000000001,
	9999999999999999.99, E'q"b\\s/\b\f\n\r\t\x01\x1f\x7f é 漢 𝄞 , '';', 'é漢"\,', 'ab',
	'\x00ff5c22', '5874897-12-31', '24:00', '23:59:59.999999-15:59',
	'294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00',
	'1 year -2 mons +3 days -04:05:06.789', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
	'{"a" : [1, 2.50, "é\"" ], "a": null}', '{"z": {"y": [true, null]}, "n": 1e400}',
	'o"k', ROW(7, E'c,o"m\\m)a', '2026-01-02 03:04:05.678901+00'), 2147483647,
	'{"a b","c\"d",NULL}', '[2:3]={1,NULL}', E'{"",NULL,"NULL","x\\\\y\\"z"}',
	'{infinity,2026-02-28,-infinity}', '{NaN,Infinity,-Infinity,0.1}',
	ARRAY[ROW(1, 'one', NULL), NULL]::pair[], '{"\\x00ff","\\x"}', '[1,10)',
	'["2026-01-01 00:00:00+00",)', '{[1,3),[5,7)}', '192.168.0.1/24', B'10101', B'111',
	'a name', '"', '(1.5,-2e300)', $$'a''b':1A,2 'c'$$, 4294967295, '{{1,2},{3,4}}',
	'<a b="c">&lt;</a>');
INSERT INTO samples (id, f4, f8, n, d, ts, tsz, t, v, c, fa) VALUES
	(4, 'NaN', 'NaN', 'NaN', 'infinity', 'infinity', 'infinity', 'NULL', 'null', '\N', '{}'),
	(5, 'Infinity', 'Infinity', 'Infinity', '-infinity', '-infinity', '-infinity', '\.', '{}', '"', NULL),
	(6, '-Infinity', '-Infinity', '-Infinity', '2024-02-29', '2024-02-29 23:59:60',
	'2024-10-27 02:30:00+01', ' spaces ', E'\n', ' ', '{1}'),
	(7, 0.1, 0.1, 0.10, '0001-01-01', '0001-01-01', '1883-11-18 12:03:58-07:52:58', ',', ',,', ',', '{0.3,1e-7}'),
	(8, '-0', '-0', 1e100, '9999-12-31', '1969-12-31 23:59:59.999999', '2000-01-01', '""', 'x', 'y', NULL);
CREATE FOREIGN TABLE types_json () INHERITS (samples) SERVER write_formats OPTIONS (topic 'write_types_json');
CREATE FOREIGN TABLE types_csv () INHERITS (samples) SERVER write_formats
	OPTIONS (topic 'write_types_csv', format 'csv', delimiter ';', null '\N');
-- under settings that change how PostgreSQL prints
SET datestyle = 'German, DMY';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -5;
SET bytea_output = 'escape';
SET timezone = 'America/St_Johns';
INSERT INTO types_json SELECT * FROM ONLY samples;
INSERT INTO types_csv SELECT * FROM ONLY samples;
RESET datestyle;
RESET intervalstyle;
RESET extra_float_digits;
RESET bytea_output;
RESET timezone;
-- the text of a row tells more than its equality: -0, spaces of json, dimensions
SELECT id FROM (SELECT s::text, id FROM ONLY samples s EXCEPT ALL SELECT s::text, id FROM types_json s) x;
SELECT id FROM (SELECT s::text, id FROM types_json s EXCEPT ALL SELECT s::text, id FROM ONLY samples s) x;
SELECT id FROM (SELECT s::text, id FROM ONLY samples s EXCEPT ALL SELECT s::text, id FROM types_csv s) x;
SELECT id FROM (SELECT s::text, id FROM types_csv s EXCEPT ALL SELECT s::text, id FROM ONLY samples s) x;
SELECT (SELECT count(*) FROM types_json), (SELECT count(*) FROM types_csv);
-- some of the bytes
CREATE FOREIGN TABLE bytes_json (value text OPTIONS (metadata 'value'))
	SERVER write_formats OPTIONS (topic 'write_types_json');
SELECT regexp_replace(value, '^.*"f4":(.*),"t":(.*),"v".*"d":(.*),"ti".*"ts":(.*),"iv".*$', '\1 \2 \3 \4') AS bytes
	FROM bytes_json WHERE value ~ '"id":[4567],' ORDER BY value;
CREATE FOREIGN TABLE numbers (id int, bo bool, n numeric, d date, ts timestamp(3), tsz timestamptz, iv interval,
	by bytea, t text, ia int[], p pair)
	SERVER write_formats OPTIONS (topic 'write_numbers', format 'csv');
INSERT INTO numbers VALUES (1, true, 1.50, '2026-01-02', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+02',
	'1 day', '\xff', 'a,"b', '{1,2}', ROW(1, 'x y', NULL)), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL);
CREATE FOREIGN TABLE bytes_csv (value text OPTIONS (metadata 'value'))
	SERVER write_formats OPTIONS (topic 'write_numbers');
SELECT value FROM bytes_csv;
-- raw: one column is the value
CREATE FOREIGN TABLE raw_text (k int OPTIONS (key 'true'), v text) SERVER write_formats
	OPTIONS (topic 'write_raw', format 'raw');
CREATE FOREIGN TABLE raw_bytes (k bytea OPTIONS (key 'true'), v bytea) SERVER write_formats
	OPTIONS (topic 'write_raw', format 'raw');
INSERT INTO raw_text VALUES (1, 'text'), (NULL, ''), (3, NULL);
INSERT INTO raw_bytes VALUES ('\x34', '\x00ff'), ('', '');
SELECT * FROM raw_bytes;
SELECT k, v FROM raw_text WHERE k = 3 OR v IN ('text', '') IS NULL LIMIT 1;
-- paths: nested objects and arrays, in the order of their columns
CREATE FOREIGN TABLE paths (
	a int, city text OPTIONS (path '$.address.city'), b int OPTIONS (path '$."odd \"name"[0]'),
	second text OPTIONS (path '$.list[2].x'), zip text OPTIONS (path '$.address.zip'),
	first text OPTIONS (path '$.list[0]'))
	SERVER write_formats OPTIONS (topic 'write_paths');
INSERT INTO paths VALUES (1, 'Berlin', 2, 'x', '10115', 'f'), (NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM paths;
CREATE FOREIGN TABLE bytes_paths (value text OPTIONS (metadata 'value')) SERVER write_formats OPTIONS (topic 'write_paths');
SELECT value FROM bytes_paths;
CREATE FOREIGN TABLE whole (doc jsonb OPTIONS (path '$')) SERVER write_formats OPTIONS (topic 'write_paths');
INSERT INTO whole VALUES ('[1, {"a": 2}]');
SELECT value FROM bytes_paths OFFSET 2;
CREATE FOREIGN TABLE clash1 (a int, b int OPTIONS (path '$.a.b')) SERVER write_formats OPTIONS (topic 'write_paths');
CREATE FOREIGN TABLE clash2 (a int OPTIONS (path '$.x[0]'), b int OPTIONS (path '$.x.y')) SERVER write_formats OPTIONS (topic 'write_paths');
CREATE FOREIGN TABLE clash3 (a int, b text OPTIONS (path '$.a')) SERVER write_formats OPTIONS (topic 'write_paths');
CREATE FOREIGN TABLE clash4 (a int, b text OPTIONS (path '$')) SERVER write_formats OPTIONS (topic 'write_paths');
CREATE FOREIGN TABLE far (a int OPTIONS (path '$.x[1000000]')) SERVER write_formats OPTIONS (topic 'write_paths');
INSERT INTO clash1 VALUES (1, 2);
INSERT INTO clash2 VALUES (1, 2);
INSERT INTO clash3 VALUES (1, 2);
INSERT INTO clash4 VALUES (1, 2);
INSERT INTO far VALUES (1);
-- epochs: exact numbers
CREATE FOREIGN TABLE epochs (
	s timestamptz OPTIONS (epoch 's'), ms timestamptz OPTIONS (epoch 'ms'), us timestamp OPTIONS (epoch 'us'),
	ns timestamptz OPTIONS (epoch 'ns'), d date OPTIONS (epoch 'ms'))
	SERVER write_formats OPTIONS (topic 'write_epochs');
INSERT INTO epochs SELECT t, t, t AT TIME ZONE 'UTC', t, (t AT TIME ZONE 'UTC')::date
	FROM unnest('{2026-01-02 03:04:05.678901+00,1969-12-31 23:59:59.5+00,1970-01-01 00:00:00+00,
	1970-01-02 00:00:00+00,0001-01-01 00:00:00.000001+00,NULL}'::timestamptz[]) t;
CREATE FOREIGN TABLE bytes_epochs (value text OPTIONS (metadata 'value')) SERVER write_formats OPTIONS (topic 'write_epochs');
SELECT value FROM bytes_epochs;
SELECT s = ms AND ms = ns AND us = s AT TIME ZONE 'UTC' AS same, us, d FROM epochs;
INSERT INTO epochs (s) VALUES ('infinity');
INSERT INTO epochs (d) VALUES ('-infinity');
-- keys
CREATE FOREIGN TABLE keys_json (a int OPTIONS (key 'true'), b text OPTIONS (key 'true', path '$.in.b'), v int)
	SERVER write_formats OPTIONS (topic 'write_keys', key_format 'json');
CREATE FOREIGN TABLE keys_raw (k numeric OPTIONS (key 'true'), v int, part int OPTIONS (metadata 'partition'))
	SERVER write_formats OPTIONS (topic 'write_keys');
CREATE FOREIGN TABLE keys_given (v int, key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'),
	off bigint OPTIONS (metadata 'offset'), topic text OPTIONS (metadata 'topic'),
	kind text OPTIONS (metadata 'timestamp_type'), error text OPTIONS (metadata 'error'))
	SERVER write_formats OPTIONS (topic 'write_keys');
CREATE FOREIGN TABLE keys_both (k text OPTIONS (key 'true'), v int, key text OPTIONS (metadata 'key'))
	SERVER write_formats OPTIONS (topic 'write_keys');
INSERT INTO keys_json VALUES (1, 'x', 1), (2, NULL, 2), (NULL, NULL, 3);
INSERT INTO keys_raw VALUES (1.50, 4), (NULL, 5);
INSERT INTO keys_given (v, key) VALUES (6, 'given'), (7, '');
INSERT INTO keys_given (key, value) VALUES ('as it is', '{"v": 8}'), (NULL, NULL);
INSERT INTO keys_given (v, topic) VALUES (9, 'write_keys');
INSERT INTO keys_both VALUES ('column', 10, NULL), (NULL, 11, 'metadata');
SELECT key, value FROM keys_given ORDER BY v, value;
INSERT INTO keys_given (v, value) VALUES (1, '{}');
INSERT INTO keys_given (v, off) VALUES (1, 5);
INSERT INTO keys_given (v, topic) VALUES (1, 'other');
INSERT INTO keys_given (v, kind) VALUES (1, 'CreateTime');
INSERT INTO keys_given (v, error) VALUES (1, 'no');
INSERT INTO keys_both VALUES ('column', 1, 'metadata');
-- headers: in order, repeats kept, and those of columns after them
CREATE FOREIGN TABLE headers (
	v int, headers streamsql.header[] OPTIONS (metadata 'headers'), trace text OPTIONS (header 'trace'),
	raw bytea OPTIONS (header 'raw'))
	SERVER write_formats OPTIONS (topic 'write_headers');
INSERT INTO headers VALUES (1, NULL, 'a', '\x00'), (2, NULL, NULL, NULL), (3, '{}', '', NULL),
	(4, ARRAY[('trace', 'x'), ('other', NULL), ('trace', 'y')]::streamsql.header[], 'z', NULL),
	(5, ARRAY[('trace', 'x'), ('é', '')]::streamsql.header[], 'x', NULL);
SELECT v, headers, trace, raw FROM headers ORDER BY v;
INSERT INTO headers (v, headers) SELECT v + 10, headers FROM headers WHERE v = 4;
INSERT INTO headers SELECT v + 20, headers, trace, raw FROM headers WHERE v = 4;
SELECT v, (SELECT headers FROM headers WHERE v = 4) = headers AS same FROM headers WHERE v > 10 ORDER BY v;
INSERT INTO headers (v, headers) VALUES (1, ARRAY[(NULL, 'x')]::streamsql.header[]);
INSERT INTO headers (v, headers) VALUES (1, ARRAY[NULL]::streamsql.header[]);
DROP SCHEMA write_formats CASCADE;
DROP SERVER write_formats;
