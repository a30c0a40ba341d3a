-- The page that `make demo` prints: each step with the SQL that made it.
\pset footer off
\pset pager off
SET timezone = 'UTC';
\set server '      OPTIONS (bootstrap_servers ''' :bootstrap ''', compression_codec ''lz4'');'
\set prefix streamsql_demo_
\set stream '  ) SERVER kafka OPTIONS (topic ''' :prefix trades :suffix ''', format ''json'');'
\set users :prefix users :suffix
\set table '  ) SERVER kafka OPTIONS (kind ''table'', topic ''' :users ''');'
\echo
\echo 'streamsql: a Kafka topic is a foreign table'
\echo '==========================================='
\echo
\echo 'The broker has an empty topic of 4 partitions. This makes it a table of JSON trades:'
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
\echo '      ts       timestamptz OPTIONS (metadata ''timestamp''),'
\echo '      key      text        OPTIONS (metadata ''key'')'
\echo :stream
\echo
\echo 'And this fills it, in one transaction of Kafka:'
\echo '  INSERT INTO trades (trade_id, user_id, symbol, side, quantity, amount, city, made_at, ts, key)'
\echo '    SELECT i, user_id, … FROM generate_series(1,' :count') i …;'
\echo
\ir write.sql
SELECT to_char(:seconds, 'FM990.00') AS seconds,
       to_char(:count / :seconds, 'FM999,999,999') AS speed \gset
\echo :seconds s: :speed 'records a second made, encoded, acknowledged and committed'
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
SELECT streamsql.wait_for('users'), streamsql.wait_for('instruments'),
       streamsql.wait_for('limits') \g /dev/null
SELECT count(*) AS warm FROM users WHERE user_id = 'user_00001' \gset
\timing on
SELECT * FROM users WHERE user_id = 'user_00042';
\timing off
\echo
\echo
\echo 'streamsql: the main job: trades enriched by three tables'
\echo '========================================================'
\echo
\echo 'Who trades what, and which trades are above the limit of the tier and sector?'
\echo '  SELECT u.region, i.sector, count(*) AS trades, sum(t.amount) AS amount,'
\echo '         count(*) FILTER (WHERE t.amount > l.max_amount) AS above'
\echo '    FROM trades t'
\echo '    LEFT JOIN users u ON u.user_id = t.user_id'
\echo '    LEFT JOIN instruments i ON i.symbol = t.symbol'
\echo '    LEFT JOIN limits l ON l.tier = u.tier AND l.sector = i.sector'
\echo '    WHERE t.amount > 10000'
\echo '    GROUP BY u.region, i.sector ORDER BY amount DESC LIMIT 5;'
\echo
\set job 'SELECT u.region, i.sector, count(*) AS trades, sum(t.amount) AS amount, count(*) FILTER (WHERE t.amount > l.max_amount) AS above FROM trades t LEFT JOIN users u ON u.user_id = t.user_id LEFT JOIN instruments i ON i.symbol = t.symbol LEFT JOIN limits l ON l.tier = u.tier AND l.sector = i.sector WHERE t.amount > 10000 GROUP BY u.region, i.sector ORDER BY amount DESC LIMIT 5'
SELECT clock_timestamp() AS started \gset
:job;
SELECT extract(epoch FROM clock_timestamp() - :'started') AS seconds \gset
SELECT to_char(:seconds, 'FM990.00') AS seconds,
       to_char(:records / :seconds, 'FM999,999,999') AS speed \gset
\echo :seconds s: :speed 'records a second from Kafka to these totals'
\echo
\echo 'How it ran, from the bytes to the groups in one native plan:'
\echo '  EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF) SELECT …;'
\echo
\pset tuples_only on
\pset format unaligned
EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF) :job;
\pset tuples_only off
\pset format aligned
\echo
\echo 'The same query with native execution forbidden, by PostgreSQL''s executor:'
\echo '  SET streamsql.debug_require_native = forbid;'
\echo
SET streamsql.debug_require_native = forbid;
SELECT clock_timestamp() AS started \gset
:job;
SELECT extract(epoch FROM clock_timestamp() - :'started') AS seconds \gset
RESET streamsql.debug_require_native;
SELECT to_char(:seconds, 'FM990.00') AS seconds,
       to_char(:records / :seconds, 'FM999,999,999') AS speed \gset
\echo :seconds s: :speed 'records a second'
\echo
\echo
\echo 'streamsql: what a transaction writes is there when it commits'
\echo '============================================================='
\echo
\echo '  BEGIN;'
\echo '  INSERT INTO trades (trade_id, user_id, symbol, amount, key)'
\echo '    SELECT -n, ''user_00042'', ''ACME'', 1, ''user_00042'' FROM generate_series(1, 1000) n;'
\echo '  DELETE FROM users;'
\echo '  ROLLBACK;'
\echo '  SELECT count(*) FILTER (WHERE trade_id < 0) AS rolled_back, count(*) FROM trades;'
\echo
BEGIN;
INSERT INTO trades (trade_id, user_id, symbol, amount, key)
  SELECT -n, 'user_00042', 'ACME', 1, 'user_00042' FROM generate_series(1, 1000) n;
DELETE FROM users;
ROLLBACK;
SELECT count(*) FILTER (WHERE trade_id < 0) AS rolled_back, count(*) FROM trades;
\echo 'Both topics in one transaction that commits, seen by the next statement:'
\echo '  BEGIN;'
\echo '  INSERT INTO trades (trade_id, user_id, symbol, amount, key)'
\echo '    VALUES (0, ''user_00007'', ''ACME'', 12.50, ''user_00007'');'
\echo '  UPDATE users SET credit = credit - 12.50 WHERE user_id = ''user_00007'';'
\echo '  COMMIT;'
\echo '  SET streamsql.read_consistency = latest;'
\echo '  SELECT trade_id, user_id, amount, credit FROM trades JOIN users USING (user_id)'
\echo '    WHERE trade_id = 0;'
\echo
BEGIN;
INSERT INTO trades (trade_id, user_id, symbol, amount, key)
  VALUES (0, 'user_00007', 'ACME', 12.50, 'user_00007');
UPDATE users SET credit = credit - 12.50 WHERE user_id = 'user_00007';
COMMIT;
SET streamsql.read_consistency = latest;
SELECT trade_id, user_id, amount, credit FROM trades JOIN users USING (user_id)
  WHERE trade_id = 0;
RESET streamsql.read_consistency;
\echo 'A record arrives from elsewhere: user_00042 moves to tier platinum.'
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
