-- Who reads: the server's option, or else streamsql.debug_reader, by which the
-- tests of reading are run once more. EXPLAIN asks no broker.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = public;
SELECT plan(8);

CREATE SERVER open FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE SERVER fixed FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '127.0.0.1:1', reader 'wire');
CREATE SERVER either FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '127.0.0.1:1', reader 'auto');
CREATE FOREIGN TABLE open_t (n int) SERVER open OPTIONS (topic 't');
CREATE FOREIGN TABLE fixed_t (n int) SERVER fixed OPTIONS (topic 't');
CREATE FOREIGN TABLE either_t (n int) SERVER either OPTIONS (topic 't');

CREATE FUNCTION reader(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT n FROM %s', relation)
	LOOP
		IF line LIKE '%Reader: %' THEN
			RETURN split_part(line, 'Reader: ', 2);
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

SELECT is(current_setting('streamsql.debug_reader'), 'auto',
		  'nothing is set unless somebody does');
SELECT is(reader('open_t'), 'wire', 'wire reads what it can');
SET LOCAL streamsql.debug_reader = librdkafka;
SELECT is(reader('open_t'), 'librdkafka', 'a server without option follows');
SELECT is(reader('fixed_t'), 'wire', 'the option is stronger');
SELECT is(reader('either_t'), 'wire', '... also where it is auto');
SET LOCAL streamsql.debug_reader = wire;
SELECT is(reader('open_t'), 'wire', 'and changes with the setting');
ALTER SERVER fixed OPTIONS (SET reader 'librdkafka');
SELECT is(reader('fixed_t'), 'librdkafka', 'the option is stronger, again');
SELECT throws_ok('SET streamsql.debug_reader = other', '22023', NULL,
				 'no other word is taken');

SELECT * FROM finish();
ROLLBACK;
