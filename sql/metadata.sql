--
-- What stands beside the value: partition, offset, timestamp, key, headers.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/metadata.fill
CREATE SERVER metadata FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE m (
	part int OPTIONS (metadata 'partition'),
	off bigint OPTIONS (metadata 'offset'),
	ts timestamptz OPTIONS (metadata 'timestamp'),
	ts_type text OPTIONS (metadata 'timestamp_type'),
	key text OPTIONS (metadata 'key'),
	key_bytes bytea OPTIONS (metadata 'key'),
	val text OPTIONS (metadata 'value'),
	val_bytes bytea OPTIONS (metadata 'value'),
	headers streamsql.header[] OPTIONS (metadata 'headers'),
	topic text OPTIONS (metadata 'topic'),
	error text OPTIONS (metadata 'error'),
	trace text OPTIONS (header 'trace'),
	n text OPTIONS (header 'n'),
	bin bytea OPTIONS (header 'bin'),
	empty text OPTIONS (header 'empty')
) SERVER metadata OPTIONS (topic 'metadata', format 'json');
\pset null (null)
SELECT part, off, ts, ts_type, key, key_bytes, val, val_bytes FROM m
 ORDER BY part, off;
SELECT part, off, topic, error, trace, n, bin, empty FROM m ORDER BY part, off;
-- all headers, in their order, with repeats
SELECT part, off, headers FROM m ORDER BY part, off;
SELECT h.* FROM m, unnest(headers) WITH ORDINALITY AS h (key, value, place)
 WHERE part = 0 AND off = 0 ORDER BY place;
-- key columns of a JSON key are no fields of the value
CREATE FOREIGN TABLE json_key ("user" text OPTIONS (key 'true'),
	number int OPTIONS (key 'true', path '$.id'), v int)
	SERVER metadata OPTIONS (topic 'json_key', key_format 'json');
SELECT * FROM json_key;
CREATE FOREIGN TABLE bad_json_key (k text OPTIONS (key 'true'), v int)
	SERVER metadata OPTIONS (topic 'bad_json_key', key_format 'json');
SELECT v FROM bad_json_key;
SELECT k FROM bad_json_key;
-- a raw key of any type
CREATE FOREIGN TABLE raw_key (k int OPTIONS (key 'true'), v int,
	off bigint OPTIONS (metadata 'offset'))
	SERVER metadata OPTIONS (topic 'raw_key');
SELECT k, v FROM raw_key WHERE off < 2;
SELECT k, v FROM raw_key;
-- bytes that are not text
CREATE FOREIGN TABLE bad_text (key text OPTIONS (metadata 'key'),
	val text OPTIONS (metadata 'value'), h text OPTIONS (header 'h'),
	val_bytes bytea OPTIONS (metadata 'value'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER metadata OPTIONS (topic 'bad_text');
SELECT off, val_bytes FROM bad_text;
SELECT key FROM bad_text;
SELECT val FROM bad_text;
SELECT h FROM bad_text;
