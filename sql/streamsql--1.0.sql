-- streamsql 1.0: everything that CREATE EXTENSION makes. Each object has a
-- comment that says what it takes, gives and refuses; \dx+ and \df+ show them.

\echo Use "CREATE EXTENSION streamsql" to load this file. \quit

COMMENT ON SCHEMA streamsql IS
'Functions and types of extension streamsql: SQL over Kafka topics. What only looks (topics, partitions) checks the privileges of its caller.';

GRANT USAGE ON SCHEMA streamsql TO PUBLIC;

-- ---- The wrapper ----

CREATE FUNCTION streamsql.streamsql_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME', 'streamsql_fdw_handler'
LANGUAGE C STRICT;

COMMENT ON FUNCTION streamsql.streamsql_fdw_handler() IS
'What PostgreSQL calls to plan and run queries over foreign tables of wrapper streamsql.';

CREATE FUNCTION streamsql.streamsql_fdw_validator(options text[], catalog oid)
RETURNS void
AS 'MODULE_PATHNAME', 'streamsql_fdw_validator'
LANGUAGE C STRICT;

COMMENT ON FUNCTION streamsql.streamsql_fdw_validator(text[], oid) IS
'Checks the options of servers, user mappings, foreign tables and their columns at CREATE and ALTER. Errors: HV00D for an option that does not belong there (with the nearest one that does as a hint), 22023 for a bad value or options that exclude each other, HV002 for a required option that is missing, 42501 for options that only privileged roles may set, 0A000 for words of later versions.';

CREATE FOREIGN DATA WRAPPER streamsql
HANDLER streamsql.streamsql_fdw_handler
VALIDATOR streamsql.streamsql_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER streamsql IS
'Kafka: a server is a cluster, a foreign table a topic. Options of servers and user mappings are librdkafka properties with each dot written as underscore (bootstrap_servers is required; secrets go into user mappings). Options of tables: topic, kind (stream or table), key_source, format, key_format, on_error, and for csv delimiter, quote, escape, null. Options of columns: metadata, header, path, epoch, key, index.';

-- ---- Types ----

CREATE TYPE streamsql.header AS (
	key   text,
	value bytea
);

COMMENT ON TYPE streamsql.header IS
'One header of a Kafka record. A column of type streamsql.header[] with option metadata ''headers'' holds all of them in the order they were sent, repeats kept; NULL when the record has none.';
COMMENT ON COLUMN streamsql.header.key IS
'Name of the header. A record may carry the same name several times.';
COMMENT ON COLUMN streamsql.header.value IS
'Bytes of the header as they were sent; NULL is Kafka''s null, not an empty value.';

-- ---- What is there ----

CREATE FUNCTION streamsql.topics(
	server name,
	OUT topic text,
	OUT partitions int4
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamsql_topics'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 100 COST 10000;

COMMENT ON FUNCTION streamsql.topics(name) IS
'Topics of a server''s cluster and their number of partitions, without Kafka''s internal ones, ordered by name, as the caller''s user mapping may see them. Needs USAGE on the server. Errors: 42704 no such server, 42501 no USAGE, 42809 a server of another wrapper, 08006 no answer within streamsql.broker_timeout.';

CREATE FUNCTION streamsql.partitions(
	foreign_table regclass,
	OUT partition int4,
	OUT low int8,
	OUT high int8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamsql_partitions'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10 COST 10000;

COMMENT ON FUNCTION streamsql.partitions(regclass) IS
'Partitions of a foreign table''s topic, ordered, with the offsets that a scan started now would read: low <= offset < high. Under isolation_level read_committed high is the last stable offset. Offsets may have gaps, so high - low is at least the number of records. Needs SELECT on the table. Errors: 42501 no SELECT, 42809 not a foreign table of streamsql, 42P01 no such topic, 08006 no answer within streamsql.broker_timeout.';

-- ---- Tables: the last value per key ----

CREATE FUNCTION streamsql.table_states(
	OUT "table" regclass,
	OUT state text,
	OUT rows int8,
	OUT memory_bytes int8,
	OUT caught_up float8,
	OUT lag int8,
	OUT applied int8,
	OUT deleted int8,
	OUT skipped_null_key int8,
	OUT decode_errors int8,
	OUT last_error text,
	OUT last_applied_at timestamptz
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamsql_table_states'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION streamsql.table_states() IS
'What the view streamsql.tables shows, one row for each table that is kept in this database and that the caller may see.';

CREATE VIEW streamsql.tables AS
SELECT * FROM streamsql.table_states();

COMMENT ON VIEW streamsql.tables IS
'Foreign tables of kind table of this database, as background workers keep them now; those that the caller may SELECT from (members of pg_read_all_stats: all). Counters begin when a table begins to be kept, at CREATE or when the server starts.';
COMMENT ON COLUMN streamsql.tables."table" IS 'The foreign table.';
COMMENT ON COLUMN streamsql.tables.state IS
'loading: not yet all that the topic held when the load began; ready; full: streamsql.table_memory is used up and records wait; error: see last_error. Tables that are not ready cannot be read.';
COMMENT ON COLUMN streamsql.tables.rows IS 'Keys with a value.';
COMMENT ON COLUMN streamsql.tables.memory_bytes IS
'Taken from streamsql.table_memory, in bytes, in pieces of 32 kB.';
COMMENT ON COLUMN streamsql.tables.caught_up IS
'Part of the topic''s offsets that was read, 0 to 1.';
COMMENT ON COLUMN streamsql.tables.lag IS
'Offsets of the topic that were not read yet, as far as is known.';
COMMENT ON COLUMN streamsql.tables.applied IS 'Records that set a row.';
COMMENT ON COLUMN streamsql.tables.deleted IS
'Records without a value that deleted a row.';
COMMENT ON COLUMN streamsql.tables.skipped_null_key IS
'Records that were skipped because (part of) their key is NULL.';
COMMENT ON COLUMN streamsql.tables.decode_errors IS
'Records that did not decode, under on_error ignore or set_null.';
COMMENT ON COLUMN streamsql.tables.last_error IS
'What keeps the table from its topic now; NULL when nothing does.';
COMMENT ON COLUMN streamsql.tables.last_applied_at IS
'When a record was last applied, by the clock of the server.';

GRANT SELECT ON streamsql.tables TO PUBLIC;

CREATE FUNCTION streamsql.wait_for(
	foreign_table regclass,
	timeout interval DEFAULT NULL
)
RETURNS void
AS 'MODULE_PATHNAME', 'streamsql_wait_for'
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000;

COMMENT ON FUNCTION streamsql.wait_for(regclass, interval) IS
'Returns when a table has applied what its topic holds at the call. timeout: how long to wait at most, streamsql.table_wait if NULL. Needs SELECT on the table. Errors: 55000 not in time, or not kept up to date; 53400 memory is full; 42501 no SELECT; 42809 not a foreign table of kind table; 08006 no answer of the cluster within streamsql.broker_timeout.';

-- ---- Checks at CREATE and ALTER ----

CREATE FUNCTION streamsql.check_foreign_table()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'streamsql_check_foreign_table'
LANGUAGE C;

COMMENT ON FUNCTION streamsql.check_foreign_table() IS
'Refuses foreign tables of streamsql whose column types and options do not fit together: 42804 for a type that a metadata, header or epoch column cannot have, 42P16 for what the table as a whole cannot be. Keeps quiet when check_function_bodies is off, since dumps build tables piece by piece; scans check again.';

CREATE EVENT TRIGGER streamsql_check_foreign_table ON ddl_command_end
WHEN TAG IN ('CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'ALTER TABLE',
			 'IMPORT FOREIGN SCHEMA')
EXECUTE FUNCTION streamsql.check_foreign_table();

COMMENT ON EVENT TRIGGER streamsql_check_foreign_table IS
'Looks at foreign tables of streamsql after CREATE and ALTER; tables of others pass untouched.';
