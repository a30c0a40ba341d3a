--
-- Options of servers: librdkafka's properties with each dot written as
-- underscore. Nothing here talks to a broker.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS streamsql;
CREATE ROLE regress_streamsql_owner;
CREATE ROLE regress_streamsql_reader;
GRANT pg_read_server_files TO regress_streamsql_reader;
GRANT USAGE ON FOREIGN DATA WRAPPER streamsql
	TO regress_streamsql_owner, regress_streamsql_reader;
-- what is right
CREATE SERVER good FOREIGN DATA WRAPPER streamsql OPTIONS (
	bootstrap_servers 'localhost:9092,localhost:9093',
	security_protocol 'sasl_ssl',
	sasl_mechanisms 'SCRAM-SHA-512',
	isolation_level 'read_uncommitted',
	fetch_max_bytes '1048576',
	socket_timeout_ms '5000',
	client_id 'regress',
	-- one of a producer: a server serves both
	compression_type 'lz4'
);
CREATE SERVER good_alias FOREIGN DATA WRAPPER streamsql
	OPTIONS (metadata_broker_list 'localhost:9092');
-- brokers are required
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql;
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql OPTIONS (client_id 'x');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', metadata_broker_list 'other:1');
-- names
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_server 'localhost:1');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', "bootstrap.servers" 'x:1');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', topic 't');
-- values: librdkafka's own opinion
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'tls');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', socket_timeout_ms 'soon');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', socket_timeout_ms '1');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', client_id '');
-- what the extension owns
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', group_id 'g');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', enable_auto_commit 'true');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', auto_offset_reset 'earliest');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', enable_partition_eof 'false');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', transactional_id 'x');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', partitioner 'random');
-- secrets belong into user mappings
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', sasl_username 'u');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', sasl_password 'p');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', ssl_key_password 'p');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', ssl_key_pem 'p');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', ssl_keystore_password 'p');
CREATE SERVER bad FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', sasl_oauthbearer_client_secret 'p');
-- files and code: the rights are asked before librdkafka sees the value
SET ROLE regress_streamsql_owner;
CREATE SERVER owned FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1');
ALTER SERVER owned OPTIONS (ADD ssl_ca_location '/nonexistent');
ALTER SERVER owned OPTIONS (ADD ssl_crl_location '/nonexistent');
ALTER SERVER owned OPTIONS (ADD offset_store_path '/nonexistent');
ALTER SERVER owned OPTIONS (ADD plugin_library_paths '/nonexistent.so');
ALTER SERVER owned OPTIONS (ADD ssl_engine_location '/nonexistent.so');
ALTER SERVER owned OPTIONS (ADD sasl_kerberos_kinit_cmd 'touch /tmp/pwned');
-- librdkafka puts these into kinit's command line for the shell
ALTER SERVER owned OPTIONS (ADD sasl_kerberos_principal '`touch /tmp/pwned`');
ALTER SERVER owned OPTIONS (ADD sasl_kerberos_keytab '"; touch /tmp/pwned');
SET ROLE regress_streamsql_reader;
CREATE SERVER reader FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', ssl_ca_location '/nonexistent');
ALTER SERVER reader OPTIONS (ADD plugin_library_paths '/nonexistent.so');
RESET ROLE;
-- a superuser may, and librdkafka looks for the library at once
ALTER SERVER owned OPTIONS (ADD plugin_library_paths '/nonexistent.so');
-- who may not set an option may not redirect what it is used for either
ALTER SERVER owned OPTIONS (ADD ssl_ca_location '/nonexistent');
SET ROLE regress_streamsql_owner;
ALTER SERVER owned OPTIONS (SET bootstrap_servers 'elsewhere:1');
ALTER SERVER owned OPTIONS (SET bootstrap_servers 'elsewhere:1', DROP ssl_ca_location);
RESET ROLE;
-- ALTER changes nothing when it is refused
ALTER SERVER good OPTIONS (SET security_protocol 'tls');
ALTER SERVER good OPTIONS (DROP bootstrap_servers);
ALTER SERVER good OPTIONS (DROP bootstrap_servers, ADD sasl_password 'p');
ALTER SERVER good OPTIONS (DROP compression_type, DROP socket_timeout_ms,
	SET client_id 'other');
SELECT unnest(srvoptions) AS option
	FROM pg_foreign_server WHERE srvname = 'good';
DROP SERVER good, good_alias, owned, reader;
REVOKE ALL ON FOREIGN DATA WRAPPER streamsql
	FROM regress_streamsql_owner, regress_streamsql_reader;
DROP ROLE regress_streamsql_owner, regress_streamsql_reader;
