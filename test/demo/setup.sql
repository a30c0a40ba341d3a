-- What the demo's page shows being made.
SET client_min_messages = warning;
\set trades streamsql_demo_trades :suffix
\set users streamsql_demo_users :suffix
\set instruments streamsql_demo_instruments :suffix
\set limits streamsql_demo_limits :suffix
CREATE EXTENSION streamsql;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamsql
    OPTIONS (bootstrap_servers :'bootstrap', compression_codec 'lz4');
CREATE FOREIGN TABLE trades (
    trade_id bigint, user_id text, symbol text, side text,
    quantity int, amount numeric(18,2),
    city     text        OPTIONS (path '$.address.city'),
    made_at  timestamptz OPTIONS (epoch 'ms'),
    part     int         OPTIONS (metadata 'partition'),
    off      bigint      OPTIONS (metadata 'offset'),
    ts       timestamptz OPTIONS (metadata 'timestamp'),
    key      text        OPTIONS (metadata 'key')
) SERVER kafka OPTIONS (topic :'trades', format 'json');
CREATE FOREIGN TABLE users (
    user_id text OPTIONS (key 'true'),
    name text, tier text, region text OPTIONS (index 'true'),
    credit numeric(18,2)
) SERVER kafka OPTIONS (kind 'table', topic :'users');
CREATE FOREIGN TABLE instruments (
    symbol text OPTIONS (key 'true'), sector text OPTIONS (index 'true'), lot int
) SERVER kafka OPTIONS (kind 'table', topic :'instruments');
CREATE FOREIGN TABLE limits (
    tier text OPTIONS (key 'true'), sector text OPTIONS (key 'true', index 'true'),
    max_amount numeric(18,2)
) SERVER kafka OPTIONS (kind 'table', topic :'limits', key_format 'json');
ALTER DATABASE postgres SET timezone = 'UTC';
