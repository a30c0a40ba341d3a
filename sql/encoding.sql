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
\c regress
DROP DATABASE regress_latin1;
