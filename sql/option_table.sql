--
-- Options of foreign tables: what each takes, and what is refused at CREATE
-- and ALTER. Nothing here talks to a broker.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS streamsql;
CREATE SERVER option_table FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1');
-- topic is required and has Kafka's form
CREATE FOREIGN TABLE bad (a int) SERVER option_table;
CREATE FOREIGN TABLE bad (a int) SERVER option_table OPTIONS (format 'json');
CREATE FOREIGN TABLE bad (a int) SERVER option_table OPTIONS (topic '');
CREATE FOREIGN TABLE bad (a int) SERVER option_table OPTIONS (topic '.');
CREATE FOREIGN TABLE bad (a int) SERVER option_table OPTIONS (topic '..');
CREATE FOREIGN TABLE bad (a int) SERVER option_table OPTIONS (topic 'a b');
DO $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE longest (a int) SERVER option_table '
				   'OPTIONS (topic %L)', repeat('x', 249));
	EXECUTE format('ALTER FOREIGN TABLE longest OPTIONS (SET topic %L)',
				   repeat('x', 250));
EXCEPTION
	WHEN invalid_parameter_value THEN RAISE WARNING '250 are too many';
END
$$;
CREATE FOREIGN TABLE dots (a int) SERVER option_table OPTIONS (topic '...');
CREATE FOREIGN TABLE legal (a int) SERVER option_table
	OPTIONS (topic 'aZ09._-');
-- kind
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', kind 'table');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', kind 'view');
CREATE FOREIGN TABLE kind_stream (a int) SERVER option_table
	OPTIONS (topic 't', kind 'stream');
-- format and key_format: exact words
CREATE FOREIGN TABLE format_json (a int, b int) SERVER option_table
	OPTIONS (topic 't', format 'json', key_format 'raw');
CREATE FOREIGN TABLE format_csv (a int, b int) SERVER option_table
	OPTIONS (topic 't', format 'csv', key_format 'json');
CREATE FOREIGN TABLE format_raw (a int) SERVER option_table
	OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'JSON');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'avro');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'protobuf');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', key_format 'csv');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', key_format 'avro');
-- on_error: COPY's words, in any case, as in COPY
CREATE FOREIGN TABLE on_error_stop (a int) SERVER option_table
	OPTIONS (topic 't', on_error 'stop');
CREATE FOREIGN TABLE on_error_ignore (a int) SERVER option_table
	OPTIONS (topic 't', on_error 'IGNORE');
CREATE FOREIGN TABLE on_error_set_null (a int) SERVER option_table
	OPTIONS (topic 't', on_error 'Set_Null');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', on_error 'skip');
-- delivery
CREATE FOREIGN TABLE delivery_transaction (a int) SERVER option_table
	OPTIONS (topic 't', delivery 'transaction');
CREATE FOREIGN TABLE delivery_statement (a int) SERVER option_table
	OPTIONS (topic 't', delivery 'statement');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', delivery 'maybe');
ALTER SERVER option_table OPTIONS (ADD delivery 'statement');
ALTER SERVER option_table OPTIONS (SET delivery 'never');
ALTER SERVER option_table OPTIONS (DROP delivery);
-- csv: COPY's rules
CREATE FOREIGN TABLE csv_all (a int, b int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter ';', quote '''', escape '\',
			 null 'NULL');
CREATE FOREIGN TABLE csv_tab (a int, b int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter E'\t', null '');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', delimiter ';');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'raw', quote '''');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'json', escape '\');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', null 'x');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter '');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter '||');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', quote '<<');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', escape '');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter E'\n');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', quote E'\r');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', null E'a\nb');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', delimiter '"');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', null 'a,b');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', format 'csv', null '""');
-- names that tables don't have
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topik 't');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', onerror 'stop');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE bad (a int) SERVER option_table
	OPTIONS (topic 't', x 'y');
-- ALTER: what would be wrong after it is refused, and changes nothing
CREATE FOREIGN TABLE t (a int, b int) SERVER option_table
	OPTIONS (topic 't');
ALTER FOREIGN TABLE t OPTIONS (ADD on_error 'ignore', SET topic 't2');
ALTER FOREIGN TABLE t OPTIONS (SET on_error 'sometimes');
ALTER FOREIGN TABLE t OPTIONS (DROP topic);
ALTER FOREIGN TABLE t OPTIONS (ADD delimiter ';');
ALTER FOREIGN TABLE t OPTIONS (ADD format 'csv', ADD delimiter ';');
ALTER FOREIGN TABLE t OPTIONS (SET format 'json');
ALTER FOREIGN TABLE t OPTIONS (DROP on_error);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 't'::regclass;
-- the wrapper has no options of its own
ALTER FOREIGN DATA WRAPPER streamsql OPTIONS (ADD topic 't');
-- the validator by itself
SELECT streamsql.streamsql_fdw_validator('{topic=t}', 'pg_foreign_table'::regclass);
SELECT streamsql.streamsql_fdw_validator('{topic}', 'pg_foreign_table'::regclass);
SELECT streamsql.streamsql_fdw_validator('{}', 'pg_class'::regclass);
DROP SERVER option_table CASCADE;
