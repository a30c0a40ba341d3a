-- What the demo's page shows being made.
SET client_min_messages = warning;
CREATE EXTENSION streamsql;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamsql
    OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE trades (
    trade_id bigint, user_id text, symbol text, side text,
    quantity int, amount numeric(18,2),
    city     text        OPTIONS (path '$.address.city'),
    made_at  timestamptz OPTIONS (epoch 'ms'),
    part     int         OPTIONS (metadata 'partition'),
    off      bigint      OPTIONS (metadata 'offset'),
    ts       timestamptz OPTIONS (metadata 'timestamp')
) SERVER kafka OPTIONS (topic :'topic', format 'json');
ALTER DATABASE postgres SET timezone = 'UTC';
