--
-- Keys and indexed columns of every type: which are refused, that equal values
-- are one row however they are written, and that every row is found again by
-- its key and by an index. What is right is what heap copies of the topic say.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\ttable_keys\t1\n' | "$STREAMSQL_FILL"
ALTER DATABASE regress SET timezone = 'Europe/Zurich';
SET timezone = 'Europe/Zurich';
CREATE SCHEMA table_keys;
SET search_path = table_keys;
CREATE SERVER table_keys FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE table_keys_records (part int OPTIONS (metadata 'partition'),
	key text OPTIONS (metadata 'key'), value text OPTIONS (metadata 'value'))
	SERVER table_keys OPTIONS (topic 'table_keys', format 'raw');
\copy table_keys_records FROM 'test/data/table_keys.copy'
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN small AS int CHECK (value < 100);
CREATE DOMAIN word AS varchar(10);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2',
	deterministic = false);
CREATE TABLE types (n serial, type text, coll text DEFAULT '', refused text,
	rows int8, by_key text, by_array text, by_index text);
INSERT INTO types (type) VALUES ('bool'), ('int2'), ('int4'), ('int8'),
	('float4'), ('float8'), ('numeric'), ('numeric(10,2)'), ('numeric(3)'),
	('numeric(18,10)'), ('numeric(30,5)'), ('text'), ('varchar'),
	('varchar(10)'), ('char(10)'), ('bpchar'), ('"char"'), ('name'), ('bytea'),
	('date'), ('time'), ('timetz'), ('timestamp'), ('timestamp(0)'),
	('timestamptz'), ('timestamptz(3)'), ('interval'), ('uuid'), ('inet'),
	('cidr'), ('macaddr'), ('macaddr8'), ('bit(3)'), ('bit varying'),
	('int4range'), ('json'), ('jsonb'), ('int[]'), ('text[]'), ('float8[]'),
	('mood'), ('pair'), ('small'), ('word'), ('money'), ('oid'), ('xid8'),
	('pg_lsn'), ('regtype'), ('xml'), ('point'), ('tsvector');
INSERT INTO types (type, coll) VALUES ('text', 'COLLATE "C"'),
	('text', 'COLLATE loose'), ('char(5)', 'COLLATE loose');
-- a table by this type, one with an index of it, and the stream they come from
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM types LOOP
		EXECUTE format('CREATE FOREIGN TABLE stream_%s (c %s %s, id int)
			SERVER table_keys OPTIONS (topic ''table_keys'',
			on_error ''ignore'')', t.n, t.type, t.coll);
		BEGIN
			EXECUTE format('CREATE FOREIGN TABLE by_key_%s
				(c %s OPTIONS (key ''true'') %s, id int)
				SERVER table_keys OPTIONS (kind ''table'', topic ''table_keys'',
				key_source ''value'', on_error ''ignore'')',
				t.n, t.type, t.coll);
			EXECUTE format('CREATE FOREIGN TABLE by_index_%s
				(id int OPTIONS (key ''true''), c %s OPTIONS (index ''true'') %s)
				SERVER table_keys OPTIONS (kind ''table'', topic ''table_keys'',
				key_source ''value'', on_error ''ignore'')',
				t.n, t.type, t.coll);
		EXCEPTION WHEN OTHERS THEN
			UPDATE types SET refused = SQLSTATE WHERE n = t.n;
		END;
	END LOOP;
END
$$;
-- Rows that one query has and the other has not, and what its plan looks up.
CREATE FUNCTION differ(query text, wanted text) RETURNS text
LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
	line text;
	how text := 'no lookup';
	more int8;
	less int8;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line LIKE '%Lookup: c' THEN
			how := trim(line);
		END IF;
	END LOOP;
	EXECUTE format('SELECT (SELECT count(*) FROM ((%1$s) EXCEPT ALL (%2$s)) x),
		(SELECT count(*) FROM ((%2$s) EXCEPT ALL (%1$s)) x)', query, wanted)
		INTO more, less;
	RETURN CASE WHEN more + less = 0 THEN how
		ELSE format('%s too many, %s missing', more, less) END;
END
$$;
DO $$
DECLARE
	t record;
	counted int8;
	complete bool;
BEGIN
	FOR t IN SELECT * FROM types WHERE refused IS NULL LOOP
		EXECUTE format('CREATE TABLE heap AS SELECT c, c::text AS text, id
			FROM stream_%s WHERE c IS NOT NULL', t.n);
		CREATE TABLE last AS SELECT DISTINCT ON (c) * FROM heap ORDER BY c, id DESC;
		ANALYZE heap, last;
		-- also waits for both; what is not loaded yet is planned otherwise
		EXECUTE format('SELECT (SELECT count(*) FROM by_key_%s),
			(SELECT count(*) FROM by_index_%1$s) = (SELECT count(*) FROM stream_%1$s)',
			t.n) INTO counted, complete;
		ASSERT complete AND counted = (SELECT count(*) FROM last);
		UPDATE types SET rows = counted,
			by_key = differ(
				format('SELECT h.id AS one, t.c::text, t.id FROM heap h
					JOIN by_key_%s t ON t.c = h.c', t.n),
				'SELECT h.id, l.text, l.id FROM heap h JOIN last l ON l.c = h.c'),
			by_array = differ(
				format('SELECT t.c::text, t.id FROM by_key_%s t
					WHERE t.c = ANY (ARRAY(SELECT c FROM heap UNION ALL SELECT NULL))',
					t.n),
				'SELECT text, id FROM last'),
			by_index = differ(
				format('SELECT h.id AS one, t.c::text, t.id FROM heap h
					JOIN by_index_%s t ON t.c = h.c', t.n),
				'SELECT h.id, o.text, o.id FROM heap h JOIN heap o ON o.c = h.c')
			WHERE n = t.n;
		DROP TABLE heap, last;
	END LOOP;
END
$$;
SELECT type, coll, refused, rows, by_key, by_array,
	by_index FROM types ORDER BY n;
DROP SERVER table_keys CASCADE;
DROP SCHEMA table_keys CASCADE;
ALTER DATABASE regress RESET timezone;
