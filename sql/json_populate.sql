--
-- JSON becomes values as json_populate_record makes them: every kind of value
-- for many types, values and error messages compared.
--
SET client_min_messages = warning;
SET timezone = 'Europe/Zurich';
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\tpopulate\t1\n' | "$STREAMSQL_FILL"
CREATE SERVER json_populate FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE populate_records (part int OPTIONS (metadata 'partition'),
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'))
	SERVER json_populate OPTIONS (topic 'populate', format 'raw');
\copy populate_records FROM 'test/data/populate.copy'
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN small AS int CHECK (value < 100);
CREATE FOREIGN TABLE populate_raw (v text OPTIONS (metadata 'value'),
	off bigint OPTIONS (metadata 'offset'))
	SERVER json_populate OPTIONS (topic 'populate');
-- what PostgreSQL makes of column c of such a document
CREATE FUNCTION populate_text(tab text, doc text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT (json_populate_record(NULL::%I, $1::json)).c::text',
				   tab) INTO result USING doc;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN 'ERROR: ' || SQLERRM;
END
$$;
CREATE TABLE populate_result (type text, same bigint, value bigint,
	error bigint, different text);
CREATE PROCEDURE populate_compare(type text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE populate_t (c %s)', type);
	EXECUTE format('CREATE FOREIGN TABLE populate_f (c %s,
		off bigint OPTIONS (metadata ''offset''),
		e text OPTIONS (metadata ''error''))
		SERVER json_populate OPTIONS (topic ''populate'', on_error ''set_null'')',
		type);
	INSERT INTO populate_result
	SELECT type, count(*) FILTER (WHERE f.r IS NOT DISTINCT FROM p.r),
		   count(f.r), count(*) FILTER (WHERE f.r LIKE 'ERROR%'),
		   string_agg(format('%s: %s, not %s', v, f.r, p.r), E'\n' ORDER BY off)
		   FILTER (WHERE f.r IS DISTINCT FROM p.r)
	  FROM populate_raw
	  JOIN (SELECT off, coalesce('ERROR: ' || e, c::text) AS r
			  FROM populate_f) AS f USING (off)
	 CROSS JOIN LATERAL (SELECT populate_text('populate_t', v) AS r) AS p;
	DROP FOREIGN TABLE populate_f;
	DROP TABLE populate_t;
END
$$;
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['bool', 'int2', 'int4', 'int8', 'float4', 'float8',
		'numeric', 'numeric(10,2)', 'numeric(3)', 'numeric(18,10)',
		'numeric(30,5)', 'text', 'varchar', 'varchar(10)', 'char(10)', 'bpchar',
		'"char"', 'name', 'bytea', 'date', 'time', 'timestamp', 'timestamp(2)',
		'timestamptz', 'timestamptz(0)', 'interval', 'uuid', 'inet', 'bit(3)',
		'int4range', 'json', 'jsonb', 'int[]', 'text[]', 'numeric(4,1)[]',
		'mood', 'pair', 'pair[]', 'small', 'money', 'oid', 'xml', 'point']
	LOOP
		CALL populate_compare(t);
	END LOOP;
END
$$;
-- every type was compared with every value, and there is no difference
SELECT count(*) AS types, min(same) AS fewest, max(same) AS most
  FROM populate_result;
SELECT type, different FROM populate_result WHERE different IS NOT NULL;
-- there was something to compare
SELECT type, value - error AS values, error FROM populate_result ORDER BY 1;
