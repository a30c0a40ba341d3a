-- The shape of the catalog: what CREATE EXTENSION makes, who may use it, and
-- the SQLSTATEs of its refusals. Nothing here talks to a broker.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = public;
SET LOCAL client_min_messages = warning;
SELECT plan(108);

-- ---- The extension ----

SELECT has_extension('streamsql', 'extension streamsql is there');
SELECT is(extversion, '1.0', 'its version is 1.0')
	FROM pg_extension WHERE extname = 'streamsql';
SELECT is(extrelocatable, false, 'it can''t be moved')
	FROM pg_extension WHERE extname = 'streamsql';
SELECT is(extnamespace::regnamespace::text, 'streamsql',
		  'it lives in schema streamsql')
	FROM pg_extension WHERE extname = 'streamsql';

CREATE TEMP VIEW member AS
	SELECT d.classid, d.objid, i.type, i.schema, i.identity,
		   pg_describe_object(d.classid, d.objid, 0) AS description
	FROM pg_depend d,
		 pg_identify_object(d.classid, d.objid, 0) i
	WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	  AND d.refobjid = (SELECT oid FROM pg_extension
						WHERE extname = 'streamsql');

SELECT set_eq('SELECT description FROM member', ARRAY[
	'event trigger streamsql_check_foreign_table',
	'foreign-data wrapper streamsql',
	'function streamsql.check_foreign_table()',
	'function streamsql.partitions(regclass)',
	'function streamsql.streamsql_fdw_handler()',
	'function streamsql.streamsql_fdw_validator(text[],oid)',
	'function streamsql.table_states()',
	'function streamsql.topics(name)',
	'function streamsql.wait_for(regclass,interval)',
	'type streamsql.header',
	'view streamsql.tables'
], 'these are all its objects');

SELECT is_empty($$
	SELECT identity FROM member
	WHERE schema IS DISTINCT FROM 'streamsql'
	  AND type NOT IN ('event trigger', 'foreign-data wrapper')
$$, 'nothing of it is outside of schema streamsql');

SELECT is_empty($$
	SELECT identity FROM member
	WHERE coalesce(length(obj_description(objid, classid::regclass::name)), 0)
		  < 40
$$, 'every object has a comment that says something');
SELECT is_empty($$
	SELECT a.attname FROM pg_attribute a
	WHERE a.attrelid = 'streamsql.header'::regclass AND a.attnum > 0
	  AND coalesce(length(col_description(a.attrelid, a.attnum)), 0) < 40
$$, 'and so does every field of its types');
SELECT isnt(obj_description('streamsql'::regnamespace, 'pg_namespace'), NULL,
			'and its schema');
SELECT is_empty($$
	SELECT identity FROM member
	WHERE obj_description(objid, classid::regclass::name) LIKE '%.'
		  IS NOT TRUE
$$, 'comments are sentences');

-- ---- Wrapper, type, event trigger ----

SELECT is(fdwhandler::regproc::text, 'streamsql.streamsql_fdw_handler',
		  'the wrapper has its handler')
	FROM pg_foreign_data_wrapper WHERE fdwname = 'streamsql';
SELECT is(fdwvalidator::regproc::text, 'streamsql.streamsql_fdw_validator',
		  'the wrapper has its validator')
	FROM pg_foreign_data_wrapper WHERE fdwname = 'streamsql';
SELECT is(fdwoptions, NULL, 'the wrapper has no options')
	FROM pg_foreign_data_wrapper WHERE fdwname = 'streamsql';

SELECT has_composite('streamsql', 'header', 'type header is a composite');
SELECT results_eq($$
	SELECT attname::text COLLATE "default", format_type(atttypid, atttypmod)
	FROM pg_attribute
	WHERE attrelid = 'streamsql.header'::regclass AND attnum > 0
	ORDER BY attnum
$$, $$VALUES ('key', 'text'), ('value', 'bytea')$$,
	'a header is a key and a value');

SELECT is(evtevent::text, 'ddl_command_end', 'the trigger fires at the end')
	FROM pg_event_trigger WHERE evtname = 'streamsql_check_foreign_table';
SELECT is(evtenabled::text, 'O', 'the trigger is enabled')
	FROM pg_event_trigger WHERE evtname = 'streamsql_check_foreign_table';
SELECT is(evtfoid::regproc::text, 'streamsql.check_foreign_table',
		  'the trigger calls check_foreign_table')
	FROM pg_event_trigger WHERE evtname = 'streamsql_check_foreign_table';
SELECT set_eq($$
	SELECT unnest(evttags) FROM pg_event_trigger
	WHERE evtname = 'streamsql_check_foreign_table'
$$, ARRAY['CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'ALTER TABLE',
		  'IMPORT FOREIGN SCHEMA'], 'the trigger fires for these commands');

-- ---- Functions ----

SELECT has_function('streamsql', 'topics', ARRAY['name'], 'topics(name)');
SELECT has_function('streamsql', 'partitions', ARRAY['regclass'],
					'partitions(regclass)');
SELECT is(pg_get_function_arguments('streamsql.topics'::regproc),
		  'server name, OUT topic text, OUT partitions integer',
		  'arguments and columns of topics');
SELECT is(pg_get_function_arguments('streamsql.partitions'::regproc),
		  'foreign_table regclass, OUT partition integer, OUT low bigint, '
		  'OUT high bigint',
		  'arguments and columns of partitions');
SELECT function_returns('streamsql', 'topics', ARRAY['name'],
						'setof record', 'topics returns rows');
SELECT function_returns('streamsql', 'partitions', ARRAY['regclass'],
						'setof record', 'partitions returns rows');
SELECT function_returns('streamsql', 'check_foreign_table', '{}'::name[],
						'event_trigger', 'check_foreign_table is a trigger');
SELECT function_returns('streamsql', 'streamsql_fdw_handler', '{}'::name[],
						'fdw_handler', 'the handler is a handler');
SELECT function_returns('streamsql', 'streamsql_fdw_validator',
						ARRAY['text[]', 'oid'], 'void',
						'the validator returns nothing');
SELECT volatility_is('streamsql', 'topics', ARRAY['name'], 'volatile',
					 'topics is volatile');
SELECT volatility_is('streamsql', 'partitions', ARRAY['regclass'],
					 'volatile', 'partitions is volatile');
SELECT is_strict('streamsql', 'topics', ARRAY['name'], 'topics is strict');
SELECT is_strict('streamsql', 'partitions', ARRAY['regclass'],
				 'partitions is strict');
SELECT set_eq($$
	SELECT proname::text, proparallel::text FROM pg_proc
	WHERE pronamespace = 'streamsql'::regnamespace AND proretset
$$, $$VALUES ('topics', 'r'), ('partitions', 'r'), ('table_states', 'r')$$,
	'set-returning functions run in the leader only');
SELECT volatility_is('streamsql', 'wait_for', ARRAY['regclass', 'interval'],
					 'volatile', 'wait_for is volatile');
SELECT function_returns('streamsql', 'wait_for',
						ARRAY['regclass', 'interval'], 'void',
						'wait_for returns nothing');

-- ---- The view of tables ----

SELECT results_eq($$
	SELECT attname::text COLLATE "default", format_type(atttypid, atttypmod)
	FROM pg_attribute
	WHERE attrelid = 'streamsql.tables'::regclass AND attnum > 0
	ORDER BY attnum
$$, $$VALUES ('table', 'regclass'), ('state', 'text'), ('rows', 'bigint'),
	('memory_bytes', 'bigint'), ('caught_up', 'double precision'),
	('lag', 'bigint'), ('applied', 'bigint'), ('deleted', 'bigint'),
	('skipped_null_key', 'bigint'), ('decode_errors', 'bigint'),
	('last_error', 'text'), ('last_applied_at', 'timestamp with time zone')$$,
	'streamsql.tables has its columns');
SELECT is_empty($$
	SELECT a.attname FROM pg_attribute a
	WHERE a.attrelid = 'streamsql.tables'::regclass AND a.attnum > 0
	  AND col_description(a.attrelid, a.attnum) LIKE '%.' IS NOT TRUE
$$, 'each of them is described');
SELECT is_empty('SELECT * FROM streamsql.tables', 'there are no tables here');
SELECT is(pg_get_function_arguments('streamsql.wait_for'::regproc),
		  'foreign_table regclass, timeout interval DEFAULT NULL::interval',
		  'arguments of wait_for');
SELECT is(streamsql.wait_for(NULL)::text, NULL, 'waiting for nothing');
SELECT results_eq($$
	SELECT name COLLATE "default", vartype, context, boot_val FROM pg_settings
	WHERE name ~ '^streamsql\.(read|snapshot|table)_' ORDER BY name COLLATE "C"
$$, $$VALUES ('streamsql.read_consistency', 'enum', 'user', 'eventual'),
	('streamsql.snapshot_interval', 'integer', 'sighup', '60'),
	('streamsql.table_memory', 'integer', 'postmaster', '262144'),
	('streamsql.table_wait', 'integer', 'user', '60000'),
	('streamsql.table_workers', 'integer', 'postmaster', '2')$$,
	'settings of tables');
SELECT is_empty($$
	SELECT name FROM pg_settings
	WHERE name LIKE 'streamsql.%' AND coalesce(length(short_desc), 0) < 20
$$, 'every setting says what it is');
SELECT is_empty($$
	SELECT p.proname FROM pg_proc p, pg_language l
	WHERE p.pronamespace = 'streamsql'::regnamespace AND l.oid = p.prolang
	  AND (l.lanname <> 'c' OR p.prosecdef OR p.proleakproof
		   OR p.probin <> '$libdir/streamsql')
$$, 'all functions are C of this library, none SECURITY DEFINER or LEAKPROOF');

-- ---- Privileges ----

CREATE ROLE streamsql_tap_user;
CREATE ROLE streamsql_tap_other;
SELECT schema_privs_are('streamsql', 'streamsql_tap_user', ARRAY['USAGE'],
						'everyone may use the schema, not create in it');
SELECT fdw_privs_are('streamsql', 'streamsql_tap_user', '{}'::text[],
					 'nobody gets USAGE on the wrapper without asking');
SELECT function_privs_are('streamsql', 'topics', ARRAY['name'],
						  'streamsql_tap_user', ARRAY['EXECUTE'],
						  'everyone may call topics');
SELECT function_privs_are('streamsql', 'partitions', ARRAY['regclass'],
						  'streamsql_tap_user', ARRAY['EXECUTE'],
						  'everyone may call partitions');
SELECT function_privs_are('streamsql', 'wait_for', ARRAY['regclass', 'interval'],
						  'streamsql_tap_user', ARRAY['EXECUTE'],
						  'everyone may call wait_for');
SELECT function_privs_are('streamsql', 'table_states', '{}'::name[],
						  'streamsql_tap_user', ARRAY['EXECUTE'],
						  'everyone may call table_states');
SELECT table_privs_are('streamsql', 'tables', 'streamsql_tap_user',
					   ARRAY['SELECT'], 'everyone may look at tables');
SELECT ok(has_type_privilege('streamsql_tap_user', 'streamsql.header', 'USAGE'),
		  'everyone may use type header');

CREATE SERVER tap FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE tap (a int) SERVER tap OPTIONS (topic 't');
CREATE FOREIGN DATA WRAPPER tap_wrapper;
CREATE SERVER tap_foreign FOREIGN DATA WRAPPER tap_wrapper;
CREATE FOREIGN TABLE tap_foreign (a int) SERVER tap_foreign;

SELECT throws_ok($$SELECT streamsql.topics('nowhere')$$, '42704', NULL,
				 'topics: no such server');
SELECT throws_ok($$SELECT streamsql.topics('tap_foreign')$$, '42809', NULL,
				 'topics: a server of another wrapper');
SELECT is_empty($$SELECT streamsql.topics(NULL)$$, 'topics: NULL, no rows');
SELECT throws_ok($$SELECT streamsql.partitions('tap_foreign')$$, '42809', NULL,
				 'partitions: a foreign table of another wrapper');
SELECT throws_ok($$SELECT streamsql.partitions('pg_class')$$, '42809', NULL,
				 'partitions: an ordinary table');
SELECT throws_ok($$SELECT streamsql.partitions('pg_class_oid_index')$$,
				 '42809', NULL, 'partitions: an index');
SELECT throws_ok($$SELECT streamsql.partitions(1)$$, '42P01', NULL,
				 'partitions: no relation at all');
SELECT is_empty($$SELECT streamsql.partitions(NULL)$$,
				'partitions: NULL, no rows');

CREATE FOREIGN TABLE tap_table (k text OPTIONS (key 'true'), v int)
	SERVER tap OPTIONS (topic 't', kind 'table');
SELECT throws_ok($$SELECT streamsql.wait_for('tap_foreign')$$, '42809', NULL,
				 'wait_for: a foreign table of another wrapper');
SELECT throws_ok($$SELECT streamsql.wait_for('pg_class')$$, '42809', NULL,
				 'wait_for: an ordinary table');
SELECT throws_ok($$SELECT streamsql.wait_for(1)$$, '42P01', NULL,
				 'wait_for: no relation at all');

SET LOCAL ROLE streamsql_tap_user;
SELECT throws_ok($$SELECT streamsql.wait_for('tap_table')$$, '42501', NULL,
				 'wait_for: no SELECT on the table');
SELECT throws_ok($$SELECT * FROM tap_table$$, '42501', NULL,
				 'tables are not for everyone to read');
SELECT throws_ok($$SELECT streamsql.topics('tap')$$, '42501', NULL,
				 'topics: no USAGE on the server');
SELECT throws_ok($$SELECT streamsql.partitions('tap')$$, '42501', NULL,
				 'partitions: no SELECT on the table');
SELECT throws_ok($$
	CREATE SERVER tap_user FOREIGN DATA WRAPPER streamsql
		OPTIONS (bootstrap_servers 'localhost:1')
$$, '42501', NULL, 'no server without USAGE on the wrapper');
SELECT throws_ok($$
	CREATE FOREIGN TABLE pg_temp.t (a int) SERVER tap OPTIONS (topic 't')
$$, '42501', NULL, 'no table without USAGE on the server');
RESET ROLE;

GRANT USAGE ON FOREIGN DATA WRAPPER streamsql TO streamsql_tap_user;
GRANT USAGE ON FOREIGN SERVER tap TO streamsql_tap_user;
CREATE SCHEMA tap AUTHORIZATION streamsql_tap_user;
SET LOCAL ROLE streamsql_tap_user;
SELECT lives_ok($$
	CREATE SERVER tap_user FOREIGN DATA WRAPPER streamsql
		OPTIONS (bootstrap_servers 'localhost:1')
$$, 'an ordinary role makes a server');
SELECT lives_ok($$
	CREATE USER MAPPING FOR CURRENT_USER SERVER tap
		OPTIONS (sasl_username 'u', sasl_password 'p')
$$, 'an ordinary role makes a mapping for itself');
SELECT lives_ok($$
	CREATE FOREIGN TABLE tap.t (a int, off bigint OPTIONS (metadata 'offset'))
		SERVER tap OPTIONS (topic 't')
$$, 'an ordinary role makes a table');
SELECT throws_ok($$
	ALTER FOREIGN TABLE tap.t ALTER COLUMN off TYPE text
$$, '42804', NULL, 'and the trigger watches it as well');
SELECT lives_ok($$
	CREATE TABLE tap.plain (a int);
	ALTER TABLE tap.plain ADD COLUMN b text, ALTER COLUMN a TYPE text;
	DROP TABLE tap.plain
$$, 'ordinary tables are as they were');
SELECT throws_ok($$
	ALTER SERVER tap_user OPTIONS (ADD ssl_ca_location '/x')
$$, '42501', NULL, 'files need pg_read_server_files');
SELECT throws_ok($$
	ALTER SERVER tap_user OPTIONS (ADD plugin_library_paths '/x')
$$, '42501', NULL, 'code needs a superuser');
SELECT throws_ok($$
	ALTER EVENT TRIGGER streamsql_check_foreign_table DISABLE
$$, '42501', NULL, 'the trigger is not for everyone to disable');
RESET ROLE;

SET LOCAL ROLE streamsql_tap_other;
SELECT is(umoptions, NULL, 'secrets of a mapping are hidden from others')
	FROM pg_user_mappings WHERE usename = 'streamsql_tap_user';
SELECT throws_ok($$SELECT * FROM tap.t$$, '42501', NULL,
				 'tables of others can''t be read');
RESET ROLE;

-- ---- SQLSTATEs ----

SELECT throws_ok($$ALTER SERVER tap OPTIONS (ADD bootstrap_server 'x')$$,
				 'HV00D', NULL, 'an unknown option of a server');
SELECT throws_ok($$ALTER SERVER tap OPTIONS (ADD group_id 'x')$$,
				 'HV00D', NULL, 'an option that the extension owns');
SELECT throws_ok($$ALTER SERVER tap OPTIONS (ADD sasl_password 'x')$$,
				 'HV00D', NULL, 'a secret on a server');
SELECT throws_ok($$ALTER SERVER tap OPTIONS (ADD security_protocol 'x')$$,
				 '22023', NULL, 'a bad value of a property');
SELECT throws_ok($$ALTER SERVER tap OPTIONS (DROP bootstrap_servers)$$,
				 'HV002', NULL, 'a required option of a server');
SELECT throws_ok($$ALTER FOREIGN TABLE tap OPTIONS (DROP topic)$$,
				 'HV002', NULL, 'a required option of a table');
SELECT throws_ok($$ALTER FOREIGN TABLE tap OPTIONS (ADD format 'xml')$$,
				 '22023', NULL, 'a bad word');
SELECT throws_ok($$ALTER FOREIGN TABLE tap OPTIONS (ADD kind 'table')$$,
				 '42P16', NULL, 'a table without a key');
SELECT throws_ok($$ALTER FOREIGN TABLE tap OPTIONS (ADD format 'avro')$$,
				 '0A000', NULL, 'a word of a later version');
SELECT throws_ok($$ALTER FOREIGN TABLE tap OPTIONS (ADD key_source 'value')$$,
				 '22023', NULL, 'an option of tables for a stream');
SELECT throws_ok($$CREATE FOREIGN TABLE tap_index (a int OPTIONS (index 'true'))
	SERVER tap OPTIONS (topic 't')$$, '42P16', NULL, 'an index of a stream');
SELECT throws_ok($$CREATE FOREIGN TABLE tap_key (a interval OPTIONS (key 'true'))
	SERVER tap OPTIONS (topic 't', kind 'table')$$,
	'42804', NULL, 'a key that can not be found by bytes');
SELECT throws_ok($$SELECT streamsql.wait_for('tap')$$,
				 '42809', NULL, 'waiting for a stream');
SELECT throws_ok($$SELECT * FROM tap_table$$,
				 '55000', NULL, 'a table before its transaction is committed');
SELECT throws_ok($$SELECT v FROM tap_table WHERE k = 'x'$$,
				 '55000', NULL, 'a lookup in it');
SELECT throws_ok($$INSERT INTO tap_table VALUES (NULL, 1)$$,
				 '23502', NULL, 'a row of a table without a key');
SELECT throws_ok($$INSERT INTO tap_table VALUES ('x', 1) ON CONFLICT DO NOTHING$$,
				 '0A000', NULL, 'ON CONFLICT');
SELECT throws_ok($$UPDATE tap SET a = 1$$, '55000', NULL, 'changing a row of a stream');
SET LOCAL streamsql.broker_timeout = '100ms';
SELECT throws_ok($$INSERT INTO tap VALUES (1)$$, '08006', NULL, 'writing without a broker');
RESET streamsql.broker_timeout;
SELECT throws_ok($$ALTER FOREIGN TABLE tap_table ALTER k OPTIONS (SET key 'false')$$,
				 '42P16', NULL, 'taking the key away');
SELECT throws_ok($$ALTER FOREIGN TABLE tap_table DROP COLUMN k$$,
				 '42P16', NULL, 'dropping the key');
SELECT throws_ok($$ALTER FOREIGN TABLE tap_table OPTIONS (ADD key_source 'header')$$,
				 '22023', NULL, 'no source of keys');
SELECT throws_ok($$ALTER FOREIGN TABLE tap_table ADD COLUMN j jsonb OPTIONS (index 'true')$$,
				 '42804', NULL, 'an index that can not be found by bytes');
SELECT throws_ok($$CREATE FOREIGN TABLE pg_temp.tap_temp (k text OPTIONS (key 'true'))
	SERVER tap OPTIONS (topic 't', kind 'table')$$,
	'42P16', NULL, 'a table of one session');
SELECT throws_ok(format('CREATE FOREIGN TABLE tap_wide (%s) SERVER tap
	OPTIONS (topic ''t'', kind ''table'', key_format ''json'')',
	(SELECT string_agg(format('c%s int OPTIONS (key ''true'')', n), ', ')
	 FROM generate_series(1, 33) AS n)), '54011', NULL, 'a key too wide');
SELECT throws_ok(format('CREATE FOREIGN TABLE tap_wide (k int OPTIONS (key ''true''), %s)
	SERVER tap OPTIONS (topic ''t'', kind ''table'')',
	(SELECT string_agg(format('c%s int OPTIONS (index ''true'')', n), ', ')
	 FROM generate_series(1, 9) AS n)), '54011', NULL, 'too many indexes');
SELECT throws_ok($$
	ALTER FOREIGN TABLE tap ALTER a OPTIONS (ADD header 'h', ADD path '$.a')
$$, '22023', NULL, 'options that exclude each other');
SELECT throws_ok($$
	ALTER FOREIGN TABLE tap ALTER a OPTIONS (ADD path '$.*')
$$, '22023', NULL, 'a path that is none of ours');
SELECT throws_ok($$
	ALTER FOREIGN TABLE tap ALTER a OPTIONS (ADD metadata 'offset')
$$, '42804', NULL, 'a type that does not fit');
SELECT throws_ok($$
	ALTER FOREIGN TABLE tap ADD COLUMN b int, OPTIONS (ADD format 'raw')
$$, '42P16', NULL, 'a table that can''t be');

SELECT * FROM finish();
ROLLBACK;
