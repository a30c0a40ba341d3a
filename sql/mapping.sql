--
-- User mappings: secrets, and what may differ between users; not where a
-- connection goes. Nothing here talks to a broker.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS streamsql;
CREATE ROLE regress_streamsql_app;
CREATE SERVER mapping FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_plaintext');
GRANT USAGE ON FOREIGN SERVER mapping TO regress_streamsql_app;
-- secrets and what belongs to them
CREATE USER MAPPING FOR PUBLIC SERVER mapping OPTIONS (
	sasl_mechanisms 'PLAIN', sasl_username 'everyone', sasl_password 's3cret'
);
CREATE USER MAPPING FOR CURRENT_USER SERVER mapping OPTIONS (
	sasl_mechanism 'OAUTHBEARER',
	sasl_oauthbearer_config 'principal=me',
	ssl_key_password 's3cret',
	ssl_certificate_location '/nonexistent',
	ssl_key_location '/nonexistent'
);
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (DROP ssl_key_password, SET sasl_mechanism 'PLAIN',
			 ADD sasl_username 'me');
-- none at all is a mapping too
DROP USER MAPPING FOR CURRENT_USER SERVER mapping;
CREATE USER MAPPING FOR CURRENT_USER SERVER mapping;
-- refused
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD bootstrap_servers 'elsewhere:1');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD security_protocol 'plaintext');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD ssl_ca_location '/nonexistent');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD enable_ssl_certificate_verification 'false');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_oauthbearer_token_endpoint_url 'http://localhost/');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD plugin_library_paths '/nonexistent.so');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD group_id 'g');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_user 'u');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_password '');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_mechanism 'PLAIN', ADD sasl_mechanisms 'PLAIN');
-- an ordinary user makes a mapping for itself
SET ROLE regress_streamsql_app;
CREATE USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (sasl_username 'app', sasl_password 's3cret');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD ssl_key_location '/nonexistent');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD ssl_keystore_location '/nonexistent');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_kerberos_principal '$(touch /tmp/pwned)');
-- and sees its own secrets only
SELECT usename, umoptions FROM pg_user_mappings
	WHERE srvname = 'mapping' AND usename IN ('public', CURRENT_USER)
	ORDER BY usename COLLATE "C";
RESET ROLE;
DROP USER MAPPING FOR PUBLIC SERVER mapping;
DROP USER MAPPING FOR CURRENT_USER SERVER mapping;
DROP USER MAPPING FOR regress_streamsql_app SERVER mapping;
-- Which mapping counts. Nobody listens there, so with a name and a password a
-- client gets as far as asking (08006), without it is not even made (HV00N).
ALTER SERVER mapping OPTIONS (ADD sasl_mechanisms 'PLAIN');
SET streamsql.broker_timeout = '100ms';
CREATE FOREIGN TABLE t (a int) SERVER mapping OPTIONS (topic 't');
CREATE VIEW v AS SELECT * FROM t;
ALTER VIEW v OWNER TO regress_streamsql_app;
GRANT SELECT ON t TO regress_streamsql_app;
\set VERBOSITY sqlstate
-- none
SELECT * FROM streamsql.topics('mapping');
-- PUBLIC's
CREATE USER MAPPING FOR PUBLIC SERVER mapping
	OPTIONS (sasl_username 'everyone', sasl_password 's3cret');
SELECT * FROM streamsql.topics('mapping');
SELECT * FROM streamsql.partitions('t');
SELECT * FROM t;
-- one's own before PUBLIC's, even if it says nothing
CREATE USER MAPPING FOR CURRENT_USER SERVER mapping;
SELECT * FROM streamsql.topics('mapping');
SELECT * FROM streamsql.partitions('t');
SELECT * FROM t;
-- that of the owner of a view, whoever reads it
SELECT * FROM v;
CREATE USER MAPPING FOR regress_streamsql_app SERVER mapping
	OPTIONS (sasl_username 'app');
SELECT * FROM v;
-- that of the caller
SET ROLE regress_streamsql_app;
SELECT * FROM streamsql.topics('mapping');
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (ADD sasl_password 's3cret');
SELECT * FROM streamsql.topics('mapping');
SELECT * FROM t;
-- options are read anew, also by a plan made before
PREPARE p AS SELECT * FROM t;
EXECUTE p;
ALTER USER MAPPING FOR CURRENT_USER SERVER mapping
	OPTIONS (DROP sasl_password);
EXECUTE p;
RESET ROLE;
\set VERBOSITY default
DROP SERVER mapping CASCADE;
DROP ROLE regress_streamsql_app;
