-- The page that `make demo` prints: each step with the SQL that made it.
\pset footer off
\pset pager off
SET timezone = 'UTC';
\set server '      OPTIONS (bootstrap_servers ''' :bootstrap ''');'
\set prefix streamsql_demo_
\set stream '  ) SERVER kafka OPTIONS (topic ''' :prefix trades :suffix ''', format ''json'');'
\set users :prefix users :suffix
\set table '  ) SERVER kafka OPTIONS (kind ''table'', topic ''' :users ''');'
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
\echo :stream
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
\pset tuples_only off
\pset format aligned
\echo
\echo
\echo 'streamsql: a keyed topic is a table in shared memory'
\echo '===================================================='
\echo
\echo 'The last value per key, kept by background workers from CREATE on:'
\echo
\echo '  CREATE FOREIGN TABLE users ('
\echo '      user_id text OPTIONS (key ''true''),'
\echo '      name text, tier text, region text OPTIONS (index ''true''),'
\echo '      credit numeric(18,2)'
\echo :table
\echo
\echo 'Likewise instruments (symbol, sector, lot) and limits (tier, sector, max_amount),'
\echo 'whose key has two columns.'
\echo
\echo 'A row by its key:'
\echo '  SELECT * FROM users WHERE user_id = ''user_00042'';'
\echo
SELECT count(*) AS warm FROM users WHERE user_id = 'user_00001' \gset
\timing on
SELECT * FROM users WHERE user_id = 'user_00042';
\timing off
\echo
\echo 'Trades above the limit of their user''s tier in the instrument''s sector:'
\echo '  SELECT u.region, i.sector, count(*), sum(t.amount) AS amount'
\echo '    FROM trades t JOIN users u USING (user_id) JOIN instruments i USING (symbol)'
\echo '    JOIN limits l USING (tier, sector)'
\echo '    WHERE t.amount > l.max_amount'
\echo '    GROUP BY 1, 2 ORDER BY amount DESC LIMIT 5;'
\echo
\timing on
SELECT u.region, i.sector, count(*), sum(t.amount) AS amount
  FROM trades t JOIN users u USING (user_id) JOIN instruments i USING (symbol)
  JOIN limits l USING (tier, sector)
  WHERE t.amount > l.max_amount
  GROUP BY 1, 2 ORDER BY amount DESC LIMIT 5;
\timing off
\echo
\echo 'A record arrives: user_00042 moves to tier platinum.'
\echo
\setenv TOPIC :users
\set ms `test/demo/arrive.sh "$TOPIC" user_00042 '{"name":"Cleo Ebert","tier":"platinum","region":"EMEA","credit":9000}' "user_id = 'user_00042' AND tier = 'platinum'"`
SELECT to_char(:ms, 'FM9990.0') AS ms \gset
SELECT * FROM users WHERE user_id = 'user_00042';
\echo The row was there :ms ms after the producer had its acknowledgement.
\echo
\echo 'What the tables are doing:'
\echo '  SELECT "table", state, rows, memory_bytes, caught_up, lag, applied, last_applied_at'
\echo '    FROM streamsql.tables ORDER BY rows DESC;'
\echo
SELECT "table", state, rows, memory_bytes, caught_up, lag, applied, last_applied_at
  FROM streamsql.tables ORDER BY rows DESC;
\echo
\echo 'make psql opens psql on the same tables. Everything started here is stopped now.'
