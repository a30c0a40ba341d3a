--
-- Values that are lines of CSV, read as COPY reads them.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! "$STREAMSQL_FILL" test/data/formats.fill
CREATE SERVER formats FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE c (
	id int, name text, amount numeric(10,2),
	off bigint OPTIONS (metadata 'offset'), -- not a field of the line
	day date
) SERVER formats OPTIONS (topic 'csv', format 'csv');
\pset null (null)
SELECT * FROM c ORDER BY off;
SELECT day FROM c WHERE id = 6;
-- other signs
CREATE FOREIGN TABLE other (id int, a text, b text) SERVER formats
	OPTIONS (topic 'csv_other', format 'csv', delimiter '|', quote '''',
			 escape '''', null 'NULL');
SELECT * FROM other;
-- what COPY refuses
CREATE FOREIGN TABLE bad (id int, name text, amount numeric(10,2), day date)
	SERVER formats OPTIONS (topic 'csv_extra', format 'csv');
SELECT * FROM bad;
SELECT count(*) FROM bad;
ALTER FOREIGN TABLE bad OPTIONS (SET topic 'csv_quote');
SELECT * FROM bad;
ALTER FOREIGN TABLE bad OPTIONS (SET topic 'csv_utf8');
SELECT * FROM bad;
ALTER FOREIGN TABLE bad OPTIONS (SET topic 'csv_kind');
SELECT * FROM bad;
ALTER FOREIGN TABLE bad OPTIONS (SET topic 'csv_line');
SELECT * FROM bad;
