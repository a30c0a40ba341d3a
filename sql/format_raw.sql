--
-- Values taken as they are. Uses the topics of format_csv.
--
SET client_min_messages = warning;
\pset null (null)
CREATE FOREIGN TABLE raw_text (v text, off bigint OPTIONS (metadata 'offset'))
	SERVER formats OPTIONS (topic 'raw', format 'raw');
SELECT off, v, length(v) FROM raw_text ORDER BY off;
CREATE FOREIGN TABLE raw_int (v int, off bigint OPTIONS (metadata 'offset'))
	SERVER formats OPTIONS (topic 'raw', format 'raw');
SELECT v FROM raw_int WHERE off = 3;
SELECT v FROM raw_int;
-- bytes are bytes, whatever they look like
CREATE FOREIGN TABLE raw_bytes (v bytea, off bigint OPTIONS (metadata 'offset'))
	SERVER formats OPTIONS (topic 'raw_bytes', format 'raw');
SELECT v, encode(v, 'escape') FROM raw_bytes ORDER BY off;
CREATE FOREIGN TABLE raw_bad (v text) SERVER formats
	OPTIONS (topic 'raw_bytes', format 'raw');
SELECT * FROM raw_bad;
