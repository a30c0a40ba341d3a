--
-- Tables hold what streams show: every type, against the last value per key of
-- a stream over the same topic.
--
SET client_min_messages = warning;
SET timezone = 'Europe/Zurich';
\getenv bootstrap STREAMSQL_BOOTSTRAP
\getenv fill STREAMSQL_FILL
CREATE SERVER table_types FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
ALTER DATABASE regress SET timezone = 'Europe/Zurich';
-- the documents of json_populate, with keys, some of them twice
CREATE FOREIGN TABLE types_raw (v text OPTIONS (metadata 'value'),
	off int8 OPTIONS (metadata 'offset'))
	SERVER table_types OPTIONS (topic 'populate');
CREATE PROCEDURE types_fill(program text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY (SELECT E''topic\ttable_types\t4''
		UNION ALL
		(SELECT concat_ws(E''\t'', ''record'', ''table_types'', ''-'', ''-'',
			row_number() OVER (ORDER BY off) %% 70, v)
		FROM types_raw WHERE strpos(v, E''\\'') = 0 AND length(v) < 1000
		ORDER BY off))
		TO PROGRAM %L (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02'')',
		program);
END
$$;
CALL types_fill(:'fill');
CREATE TABLE types_list (n serial, type text);
INSERT INTO types_list (type) VALUES ('bool'), ('int2'), ('int4'), ('int8'),
	('float4'), ('float8'), ('numeric'), ('numeric(10,2)'), ('numeric(3)'),
	('numeric(18,10)'), ('numeric(30,5)'), ('text'), ('varchar'),
	('varchar(10)'), ('char(10)'), ('bpchar'), ('"char"'), ('name'),
	('bytea'), ('date'), ('time'), ('timestamp'), ('timestamp(2)'),
	('timestamptz'), ('timestamptz(0)'), ('interval'), ('uuid'), ('inet'),
	('bit(3)'), ('int4range'), ('json'), ('jsonb'), ('int[]'), ('text[]'),
	('numeric(4,1)[]'), ('mood'), ('pair'), ('pair[]'), ('small'), ('money'),
	('oid'), ('xml'), ('point'), ('tsvector'), ('timetz'),
	('bit varying'), ('macaddr'), ('pg_lsn'), ('regtype'), ('box');
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM types_list LOOP
		EXECUTE format('CREATE FOREIGN TABLE types_table_%s
			(k int OPTIONS (key ''true''), c %s,
			 e text OPTIONS (metadata ''error''),
			 off int8 OPTIONS (metadata ''offset''))
			SERVER table_types OPTIONS (kind ''table'', topic ''table_types'',
			on_error ''set_null'')', t.n, t.type);
		EXECUTE format('CREATE FOREIGN TABLE types_stream_%s
			(k int OPTIONS (key ''true''), c %s,
			 e text OPTIONS (metadata ''error''),
			 off int8 OPTIONS (metadata ''offset''))
			SERVER table_types OPTIONS (topic ''table_types'',
			on_error ''set_null'')', t.n, t.type);
	END LOOP;
END
$$;
CREATE TABLE types_result (type text, rows int8, values int8, errors int8,
	missing int8, surplus int8);
DO $$
DECLARE
	t record;
	last text;
	held text;
BEGIN
	FOR t IN SELECT * FROM types_list ORDER BY n LOOP
		last := format('SELECT DISTINCT ON (k) k, c::text, e, off
			FROM types_stream_%s ORDER BY k, off DESC', t.n);
		held := format('SELECT k, c::text, e, off FROM types_table_%s', t.n);
		EXECUTE format('INSERT INTO types_result
			SELECT %L, count(*), count(c), count(e),
				(SELECT count(*) FROM ((%s) EXCEPT ALL (%s)) AS x),
				(SELECT count(*) FROM ((%s) EXCEPT ALL (%s)) AS x)
			FROM types_table_%s', t.type, last, held, held, last, t.n);
	END LOOP;
END
$$;
-- what is in the topic, and nothing else
SELECT count(*) AS types, min(rows), max(rows), sum(missing) AS missing,
	sum(surplus) AS surplus FROM types_result;
SELECT * FROM types_result WHERE missing + surplus > 0;
-- there was something to compare
SELECT type, values, errors FROM types_result ORDER BY type;
-- values that lie in shared memory, used in place
SELECT count(*), count(DISTINCT c) FROM types_table_7 WHERE c > 1;
SELECT k, c FROM types_table_33 WHERE c @> '{1}' ORDER BY k LIMIT 2;
SELECT max(length(c)) FROM types_table_12;
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM types_list LOOP
		EXECUTE format('DROP FOREIGN TABLE types_table_%s, types_stream_%1$s',
			t.n);
	END LOOP;
END
$$;
ALTER DATABASE regress RESET timezone;
