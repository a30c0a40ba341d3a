--
-- Options of columns. What an option takes is the validator's matter; whether
-- it fits the column's type and the table is the event trigger's. Nothing here
-- talks to a broker.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS streamsql;
CREATE SERVER option_column FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1');
-- everything right at once
CREATE FOREIGN TABLE good (
	plain       int,
	city        text           OPTIONS (path '$.address.city'),
	first       jsonb          OPTIONS (path '$."a b"[0].c'),
	whole       json           OPTIONS (path '$'),
	made_s      timestamptz    OPTIONS (epoch 's'),
	made_ms     timestamp      OPTIONS (epoch 'ms', path '$.made.at'),
	made_us     timestamptz(6) OPTIONS (epoch 'us'),
	made_ns     date           OPTIONS (epoch 'ns'),
	id          bigint         OPTIONS (key 'true'),
	not_key     bigint         OPTIONS (key 'off'),
	trace       text           OPTIONS (header 'traceparent'),
	bytes       bytea          OPTIONS (header 'Grüße'),
	m_partition int            OPTIONS (metadata 'partition'),
	m_offset    bigint         OPTIONS (metadata 'offset'),
	m_timestamp timestamptz    OPTIONS (metadata 'timestamp'),
	m_millis    timestamptz(3) OPTIONS (metadata 'timestamp'),
	m_type      text           OPTIONS (metadata 'timestamp_type'),
	m_key       text           OPTIONS (metadata 'key'),
	m_key_bytes bytea          OPTIONS (metadata 'key'),
	m_value     bytea          OPTIONS (metadata 'value'),
	m_payload   text           OPTIONS (metadata 'value'),
	m_headers   streamsql.header[] OPTIONS (metadata 'headers'),
	m_topic     text           OPTIONS (metadata 'topic'),
	m_error     text           OPTIONS (metadata 'error')
) SERVER option_column OPTIONS (topic 't');
-- names
CREATE FOREIGN TABLE bad (a int OPTIONS (pathh '$.a'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (topic 't'))
	SERVER option_column OPTIONS (topic 't');
-- words
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'ofset'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a bigint OPTIONS (metadata 'OFFSET'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a date OPTIONS (epoch 'min'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (key 'perhaps'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text OPTIONS (header ''))
	SERVER option_column OPTIONS (topic 't');
-- paths: members and indexes, nothing more
CREATE FOREIGN TABLE bad (a int OPTIONS (path ''))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (path 'a.b'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (path 'strict $.a'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (path '$.a ? (@ > 1)'))
	SERVER option_column OPTIONS (topic 't');
-- exclusive options
CREATE FOREIGN TABLE bad (a bigint OPTIONS (metadata 'offset', header 'h'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a bigint OPTIONS (path '$.a', metadata 'offset'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a timestamptz
		OPTIONS (metadata 'timestamp', epoch 'ms'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text OPTIONS (metadata 'key', key 'true'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text OPTIONS (header 'h', path '$.a'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a date OPTIONS (header 'h', epoch 's'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text OPTIONS (key 'true', header 'h'))
	SERVER option_column OPTIONS (topic 't');
-- types of metadata: exactly one, or text and bytea
CREATE FOREIGN TABLE bad (a bigint OPTIONS (metadata 'partition'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text OPTIONS (metadata 'offset'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a timestamp OPTIONS (metadata 'timestamp'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a timestamptz(0) OPTIONS (metadata 'timestamp'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a varchar(20) OPTIONS (metadata 'timestamp_type'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'key'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a jsonb OPTIONS (metadata 'value'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a streamsql.header OPTIONS (metadata 'headers'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a name OPTIONS (metadata 'topic'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a text[] OPTIONS (metadata 'error'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a varchar OPTIONS (header 'h'))
	SERVER option_column OPTIONS (topic 't');
CREATE DOMAIN off AS bigint;
CREATE FOREIGN TABLE bad (a off OPTIONS (metadata 'offset'))
	SERVER option_column OPTIONS (topic 't');
-- types of epochs
CREATE FOREIGN TABLE bad (a bigint OPTIONS (epoch 'ms'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a timestamptz(3) OPTIONS (epoch 'ms'))
	SERVER option_column OPTIONS (topic 't');
-- what the formats allow
CREATE FOREIGN TABLE bad (a int, b int) SERVER option_column
	OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE raw_none (off bigint OPTIONS (metadata 'offset'))
	SERVER option_column OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE raw_one (
	k text OPTIONS (key 'true'), v bytea, p int OPTIONS (metadata 'partition')
) SERVER option_column OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE bad (a int OPTIONS (path '$.a')) SERVER option_column
	OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE bad (a int OPTIONS (path '$.a')) SERVER option_column
	OPTIONS (topic 't', format 'csv');
CREATE FOREIGN TABLE bad (
	a int OPTIONS (key 'true'), b int OPTIONS (key 'true')
) SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (a int OPTIONS (key 'true', path '$.a'))
	SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE key_json (
	a int OPTIONS (key 'true', path '$.x.a'), b int OPTIONS (key 'true'), c int
) SERVER option_column OPTIONS (topic 't', format 'csv', key_format 'json');
-- generated columns are fields of the value
CREATE FOREIGN TABLE generated (
	a int, b int GENERATED ALWAYS AS (a * 2) STORED
) SERVER option_column OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (
	a int, b bigint OPTIONS (metadata 'offset') GENERATED ALWAYS AS (a) STORED
) SERVER option_column OPTIONS (topic 't');
-- ALTER: options, types and formats
CREATE FOREIGN TABLE t (a bigint, b text) SERVER option_column
	OPTIONS (topic 't');
ALTER FOREIGN TABLE t ALTER COLUMN a OPTIONS (ADD metadata 'offset');
ALTER FOREIGN TABLE t ALTER COLUMN b OPTIONS (ADD metadata 'partition');
ALTER FOREIGN TABLE t ALTER COLUMN b OPTIONS (ADD metadat 'key');
ALTER FOREIGN TABLE t ALTER COLUMN a OPTIONS (SET metadata 'timestamp');
ALTER FOREIGN TABLE t ALTER COLUMN a TYPE int;
ALTER TABLE t ALTER COLUMN a TYPE int;
ALTER FOREIGN TABLE t ALTER COLUMN a TYPE timestamptz,
	ALTER COLUMN a OPTIONS (SET metadata 'timestamp');
ALTER FOREIGN TABLE t ALTER COLUMN a OPTIONS (DROP metadata);
ALTER FOREIGN TABLE t ALTER COLUMN a TYPE int;
ALTER FOREIGN TABLE t ADD COLUMN e int OPTIONS (epoch 's');
ALTER FOREIGN TABLE t OPTIONS (ADD format 'raw');
ALTER FOREIGN TABLE t DROP COLUMN b, OPTIONS (ADD format 'raw');
ALTER FOREIGN TABLE t ADD COLUMN c text;
ALTER FOREIGN TABLE t ADD COLUMN c text OPTIONS (metadata 'key');
ALTER FOREIGN TABLE t RENAME COLUMN a TO payload;
ALTER FOREIGN TABLE t RENAME TO renamed;
-- through a parent, that does not name its children
CREATE TABLE parent (part int, off bigint) PARTITION BY LIST (part);
CREATE FOREIGN TABLE child (
	part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')
) SERVER option_column OPTIONS (topic 't');
ALTER TABLE parent ATTACH PARTITION child FOR VALUES IN (0);
ALTER TABLE parent ALTER COLUMN off TYPE text;
ALTER TABLE parent ADD COLUMN v text;
ALTER FOREIGN TABLE child ALTER COLUMN v OPTIONS (metadata 'error');
CREATE FOREIGN TABLE child1 PARTITION OF parent FOR VALUES IN (1)
	SERVER option_column OPTIONS (topic 't', format 'raw');
-- the tables of others are none of our business
CREATE FOREIGN DATA WRAPPER other_wrapper;
CREATE SERVER other_server FOREIGN DATA WRAPPER other_wrapper;
CREATE FOREIGN TABLE other_table (
	a int OPTIONS (metadata 'offset'), b int OPTIONS (key 'a', path 'b')
) SERVER other_server OPTIONS (format 'raw');
ALTER FOREIGN TABLE other_table ALTER COLUMN a TYPE text;
ALTER TABLE other_table ADD COLUMN c int OPTIONS (epoch 'x');
CREATE TABLE ordinary (a int);
ALTER TABLE ordinary ALTER COLUMN a TYPE text, ADD COLUMN b int;
CREATE TABLE heir () INHERITS (ordinary);
ALTER TABLE ordinary RENAME COLUMN b TO c;
CREATE VIEW view_of_ordinary AS SELECT a FROM ordinary;
ALTER TABLE view_of_ordinary RENAME COLUMN a TO z;
ALTER TABLE ordinary ADD PRIMARY KEY (a);
ALTER TABLE heir NO INHERIT ordinary;
-- the order of a dump: the table first, its columns' options one by one
SET check_function_bodies = off;
CREATE FOREIGN TABLE dumped (k text, v bytea, off bigint)
	SERVER option_column OPTIONS (topic 't', format 'raw');
ALTER FOREIGN TABLE dumped ALTER COLUMN k OPTIONS (key 'true');
ALTER FOREIGN TABLE dumped ALTER COLUMN off OPTIONS (metadata 'offset');
RESET check_function_bodies;
ALTER FOREIGN TABLE dumped OPTIONS (SET topic 't2');
-- what came past the trigger is refused by the scan
SET check_function_bodies = off;
CREATE FOREIGN TABLE smuggled (off text OPTIONS (metadata 'offset'))
	SERVER option_column OPTIONS (topic 't');
RESET check_function_bodies;
SELECT * FROM smuggled;
-- and the trigger's function is nothing to be called
SELECT streamsql.check_foreign_table();
DROP SERVER option_column CASCADE;
DROP FOREIGN DATA WRAPPER other_wrapper CASCADE;
DROP TABLE parent, heir, ordinary CASCADE;
DROP DOMAIN off;
