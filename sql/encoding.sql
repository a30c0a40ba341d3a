--
-- A database that is not UTF8: text is converted, or refused cleanly. Uses the
-- topics of parallel.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' TEMPLATE template0
	LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_latin1
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION streamsql;
CREATE SERVER latin FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE l (t text, key text OPTIONS (metadata 'key'),
	off bigint OPTIONS (metadata 'offset'),
	error text OPTIONS (metadata 'error'))
	SERVER latin OPTIONS (topic 'encoding');
SELECT t, length(t), octet_length(t), key FROM l WHERE off < 2;
SELECT t FROM l;
ALTER FOREIGN TABLE l OPTIONS (ADD on_error 'set_null');
SELECT t, error FROM l;
ALTER FOREIGN TABLE l OPTIONS (SET on_error 'ignore');
SELECT t FROM l;
-- what is written is UTF-8
CREATE FOREIGN TABLE w (t text, "ü" jsonb, a text[], key text OPTIONS (metadata 'key'), h text OPTIONS (header 'hä'))
	SERVER latin OPTIONS (topic 'write_latin');
INSERT INTO w VALUES ('grün', '{"ß": "ö"}', '{ä,b}', 'kÄ', 'é');
SELECT * FROM w;
CREATE FOREIGN TABLE wb (key bytea OPTIONS (metadata 'key'), value bytea OPTIONS (metadata 'value'),
	headers streamsql.header[] OPTIONS (metadata 'headers')) SERVER latin OPTIONS (topic 'write_latin');
SELECT convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value, octet_length(value), headers FROM wb;
\c regress
DROP DATABASE regress_latin1;
