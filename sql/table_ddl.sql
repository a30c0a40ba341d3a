--
-- The life of tables: transactions, ALTER, DROP, who may do what.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\ttd_a\t2\nrecord\ttd_a\t0\t-\tk1\t{"v":1,"w":"one"}\nrecord\ttd_a\t1\t-\tk2\t{"v":2,"w":"two"}\ntopic\ttd_b\t1\nrecord\ttd_b\t0\t-\tk9\t{"v":9}\n' | "$STREAMSQL_FILL"
CREATE SERVER table_ddl FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
\pset null (null)
SET streamsql.table_wait = '30s';
-- a table is not there before its transaction has committed
BEGIN;
CREATE FOREIGN TABLE a (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
SAVEPOINT s;
SELECT * FROM a;
ROLLBACK TO s;
EXPLAIN (COSTS OFF) SELECT * FROM a;
ROLLBACK;
SELECT count(*) FROM streamsql.tables;
BEGIN;
CREATE FOREIGN TABLE a (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
SAVEPOINT s;
CREATE FOREIGN TABLE b (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_b');
ROLLBACK TO s;
COMMIT;
SELECT * FROM a ORDER BY k;
SELECT "table", state, rows FROM streamsql.tables ORDER BY 1;
-- ALTER that is taken back
BEGIN;
ALTER FOREIGN TABLE a DROP COLUMN v;
SAVEPOINT s;
SELECT * FROM a;
ROLLBACK TO s;
ROLLBACK;
SELECT * FROM a ORDER BY k;
BEGIN;
SAVEPOINT s;
ALTER FOREIGN TABLE a OPTIONS (SET topic 'td_b');
ROLLBACK TO s;
SELECT * FROM a ORDER BY k;
COMMIT;
BEGIN;
DROP FOREIGN TABLE a;
ROLLBACK;
SELECT * FROM a ORDER BY k;
-- views and plans that are there before the change
CREATE VIEW va AS SELECT k, v FROM a WHERE v > 0;
PREPARE pa AS SELECT * FROM va ORDER BY k;
EXECUTE pa;
ALTER FOREIGN TABLE a ADD COLUMN w text;
EXECUTE pa;
SELECT * FROM a ORDER BY k;
ALTER FOREIGN TABLE a RENAME TO a2;
EXECUTE pa;
ALTER FOREIGN TABLE a2 RENAME COLUMN w TO x;
SELECT * FROM a2 ORDER BY k;
ALTER FOREIGN TABLE a2 ALTER x OPTIONS (ADD path '$.w');
SELECT * FROM a2 ORDER BY k;
ALTER FOREIGN TABLE a2 ALTER v TYPE numeric(5,1);
DROP VIEW va;
ALTER FOREIGN TABLE a2 ALTER v TYPE numeric(5,1);
SELECT * FROM a2 ORDER BY k;
ALTER FOREIGN TABLE a2 DROP COLUMN v;
SELECT * FROM a2 ORDER BY k;
ALTER FOREIGN TABLE a2 OPTIONS (SET topic 'td_b');
SELECT * FROM a2 ORDER BY k;
CREATE SCHEMA td;
ALTER FOREIGN TABLE a2 SET SCHEMA td;
SELECT "table" FROM streamsql.tables;
-- what would be no table is refused, and changes nothing
ALTER FOREIGN TABLE td.a2 ALTER k OPTIONS (DROP key);
ALTER FOREIGN TABLE td.a2 DROP COLUMN k;
ALTER FOREIGN TABLE td.a2 OPTIONS (SET kind 'stream');
SELECT * FROM td.a2;
SELECT count(*) FROM streamsql.tables;
ALTER FOREIGN TABLE td.a2 OPTIONS (SET kind 'table');
SELECT * FROM td.a2;
CREATE FOREIGN TABLE pg_temp.t (k text OPTIONS (key 'true'))
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
-- two tables of one topic, and one that is a partition
CREATE FOREIGN TABLE one (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
CREATE TABLE parts (k text, v int) PARTITION BY LIST (v);
CREATE FOREIGN TABLE two (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
ALTER TABLE parts ATTACH PARTITION two FOR VALUES IN (1, 2);
SELECT tableoid::regclass, k, v FROM parts ORDER BY k;
SELECT * FROM one JOIN parts USING (k, v) ORDER BY k;
-- who sees and waits for what
CREATE ROLE regress_td_owner;
CREATE ROLE regress_td_other;
GRANT USAGE ON FOREIGN SERVER table_ddl TO regress_td_owner;
GRANT CREATE ON SCHEMA td TO regress_td_owner;
GRANT USAGE ON SCHEMA td TO regress_td_owner, regress_td_other;
SET ROLE regress_td_owner;
CREATE FUNCTION td.whoami(n int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'called as %', current_user;
END
$$;
CREATE DOMAIN td.checked AS int CHECK (td.whoami(value));
CREATE FOREIGN TABLE td.mine (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
CREATE FOREIGN TABLE td.domain (k text OPTIONS (key 'true'), v td.checked)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
SELECT streamsql.wait_for('td.mine');
SELECT count(*) FROM td.mine;
SELECT * FROM td.domain;
SELECT "table", state, last_error FROM streamsql.tables ORDER BY 1;
SET ROLE regress_td_other;
SELECT count(*) FROM td.mine;
SELECT streamsql.wait_for('td.mine');
SELECT "table" FROM streamsql.tables;
RESET ROLE;
GRANT pg_read_all_stats TO regress_td_other;
SET ROLE regress_td_other;
SELECT count(*) FROM streamsql.tables;
RESET ROLE;
ALTER FOREIGN TABLE td.mine OWNER TO CURRENT_USER;
SELECT count(*) FROM td.mine;
SELECT streamsql.wait_for('pg_class');
SELECT streamsql.wait_for(NULL);
DROP OWNED BY regress_td_owner CASCADE;
SELECT "table" FROM streamsql.tables ORDER BY 1;
-- servers come and go; a table that doesn't load makes readers wait so long
ALTER SERVER table_ddl OPTIONS (SET bootstrap_servers '127.0.0.1:1');
SET streamsql.broker_timeout = '300ms';
\set VERBOSITY sqlstate
SELECT streamsql.wait_for('one', '1s');
\set VERBOSITY default
RESET streamsql.broker_timeout;
SELECT count(*) FROM one;
CREATE FOREIGN TABLE away (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
SET streamsql.table_wait = '100ms';
\set VERBOSITY terse
SELECT count(*) FROM away;
\set VERBOSITY default
RESET streamsql.table_wait;
ALTER SERVER table_ddl OPTIONS (SET bootstrap_servers :'bootstrap');
SELECT count(*) FROM away;
DROP EXTENSION streamsql CASCADE;
CREATE EXTENSION streamsql;
SELECT count(*) FROM streamsql.tables;
CREATE SERVER table_ddl FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE again (k text OPTIONS (key 'true'), v int)
	SERVER table_ddl OPTIONS (kind 'table', topic 'td_a');
SELECT * FROM again ORDER BY k;
DROP SERVER table_ddl CASCADE;
DROP TABLE parts;
DROP SCHEMA td CASCADE;
DROP ROLE regress_td_owner, regress_td_other;
