-- The page that `make demo` prints: each step with the SQL that made it.
\pset footer off
\pset pager off
SET timezone = 'UTC';
\set server '      OPTIONS (bootstrap_servers ''' :bootstrap ''');'
\set table '  ) SERVER kafka OPTIONS (topic ''' :topic ''', format ''json'');'
\echo
\echo 'streamsql: a Kafka topic is a foreign table'
\echo '==========================================='
\echo
\echo 'The broker has a topic of JSON trades in 4 partitions. This makes it a table:'
\echo
\echo '  CREATE EXTENSION streamsql;'
\echo '  CREATE SERVER kafka FOREIGN DATA WRAPPER streamsql'
\echo :server
\echo '  CREATE FOREIGN TABLE trades ('
\echo '      trade_id bigint, user_id text, symbol text, side text,'
\echo '      quantity int, amount numeric(18,2),'
\echo '      city     text        OPTIONS (path ''$.address.city''),'
\echo '      made_at  timestamptz OPTIONS (epoch ''ms''),'
\echo '      part     int         OPTIONS (metadata ''partition''),'
\echo '      off      bigint      OPTIONS (metadata ''offset''),'
\echo '      ts       timestamptz OPTIONS (metadata ''timestamp'')'
\echo :table
\echo
\echo 'How many trades, and what are they worth, to the cent?'
\echo '  SELECT count(*), sum(amount) FROM trades;'
\echo
SELECT clock_timestamp() AS started \gset
SELECT count(*), sum(amount) FROM trades;
SELECT extract(epoch FROM clock_timestamp() - :'started') AS seconds \gset
SELECT sum(high - low) AS records FROM streamsql.partitions('trades') \gset
SELECT to_char(:seconds, 'FM990.00') AS seconds,
       to_char(:records / :seconds, 'FM999,999,999') AS speed \gset
\echo :seconds s: :speed 'records a second fetched, decoded and summed by one backend'
\echo
\echo 'By symbol, for one city:'
\echo '  SELECT symbol, count(*), sum(quantity) AS quantity, sum(amount) AS amount'
\echo '    FROM trades WHERE city = ''Zurich'' GROUP BY symbol ORDER BY amount DESC LIMIT 5;'
\echo
SELECT symbol, count(*), sum(quantity) AS quantity, sum(amount) AS amount
  FROM trades WHERE city = 'Zurich' GROUP BY symbol ORDER BY amount DESC LIMIT 5;
\echo 'The newest five records, and where they are:'
\echo '  SELECT part, off, ts, trade_id, user_id, symbol, side, amount'
\echo '    FROM trades ORDER BY ts DESC LIMIT 5;'
\echo
SELECT part, off, ts, trade_id, user_id, symbol, side, amount
  FROM trades ORDER BY ts DESC LIMIT 5;
\echo 'A condition on partition, offset or timestamp is a seek: only that is read.'
\echo '  EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM trades'
\echo '    WHERE part = 2 AND off BETWEEN 1000 AND 1099;'
\echo
\pset tuples_only on
\pset format unaligned
EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM trades
  WHERE part = 2 AND off BETWEEN 1000 AND 1099;
\echo
\echo 'make psql opens psql on the same table. Everything started here is stopped now.'
