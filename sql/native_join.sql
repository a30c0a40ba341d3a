--
-- Joins that run natively, by hand: what equals what, what becomes of rows
-- without a match, and when errors are raised.
--
SET client_min_messages = warning;
\getenv bootstrap STREAMSQL_BOOTSTRAP
\! printf 'topic\tnj_trades\t2\ntopic\tnj_users\t1\ntopic\tnj_limits\t1\ntopic\tnj_prices\t1\n' | "$STREAMSQL_FILL"
\! printf 'record\tnj_trades\t%s\t-\t-\t{"id":%s,"usr":%s,"amount":%s,"sym":"%s","n":%s}\n' 0 1 '"u1"' 100 A 1 1 2 '"u2"' 20000 A 0 0 3 '"u9"' 15000.5 B 1 1 4 null 12000 B 2 0 5 '"u1"' 10000.01 C 3 | "$STREAMSQL_FILL"
\! printf 'record\tnj_users\t0\t-\t%s\t{"name":"%s","tier":%s,"credit":%s}\n' u1 ann '"gold"' 12.5 u2 bob null 12.50 u3 carl '"silver"' null | "$STREAMSQL_FILL"
\! printf 'record\tnj_limits\t0\t-\t-\t{"tier":"%s","sym":%s,"amount":%s}\n' gold '"A"' 500 gold '"C"' 20000 silver '"A"' 1 gold null 7 | "$STREAMSQL_FILL"
\! printf 'record\tnj_prices\t0\t-\t-\t{"sym":%s,"price":%s,"code":"%s"}\n' '"A"' 1.10 1 '"A"' 1.20 2 '"A"' 12.5 12.5 '"B"' 2.00 1 '"D"' 9.99 x null 5.00 y | "$STREAMSQL_FILL"
CREATE SERVER native_join FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers :'bootstrap');
CREATE FOREIGN TABLE nj_trades (id int, usr text, amount numeric(18,2),
	sym text, n int) SERVER native_join OPTIONS (topic 'nj_trades');
CREATE FOREIGN TABLE nj_users (usr text OPTIONS (key 'true'), name text,
	tier text OPTIONS (index 'true'), credit numeric(18,2))
	SERVER native_join OPTIONS (kind 'table', topic 'nj_users', key_format 'raw');
CREATE FOREIGN TABLE nj_limits (tier text, sym text, amount numeric(18,2))
	SERVER native_join OPTIONS (topic 'nj_limits');
CREATE FOREIGN TABLE nj_prices (sym text, price numeric(10,2), code text)
	SERVER native_join OPTIONS (topic 'nj_prices');
SELECT count(*) FROM nj_users;
-- one kind of join after the other; prices are found by a hash table
EXPLAIN (COSTS OFF) SELECT t.id, p.price FROM nj_trades t JOIN nj_prices p ON t.sym = p.sym;
SELECT t.id, t.sym, p.sym, p.price FROM nj_trades t JOIN nj_prices p ON t.sym = p.sym ORDER BY 1, 4;
SELECT t.id, t.sym, p.sym, p.price FROM nj_trades t LEFT JOIN nj_prices p ON t.sym = p.sym ORDER BY 1, 4;
SELECT t.id, t.sym, p.sym, p.price FROM nj_trades t RIGHT JOIN nj_prices p ON t.sym = p.sym ORDER BY 1, 4;
SELECT t.id, t.sym, p.sym, p.price FROM nj_trades t FULL JOIN nj_prices p ON t.sym = p.sym ORDER BY 1, 4;
SELECT t.id FROM nj_trades t WHERE EXISTS (SELECT 1 FROM nj_prices p WHERE p.sym = t.sym) ORDER BY 1;
SELECT t.id FROM nj_trades t WHERE NOT EXISTS (SELECT 1 FROM nj_prices p WHERE p.sym = t.sym) ORDER BY 1;
SELECT t.id FROM nj_trades t WHERE t.sym IN (SELECT sym FROM nj_prices WHERE price > 1.99) ORDER BY 1;
-- NOT IN is never true beside a NULL
SELECT t.id FROM nj_trades t WHERE t.sym NOT IN (SELECT sym FROM nj_prices) ORDER BY 1;
SELECT t.id FROM nj_trades t WHERE t.sym NOT IN (SELECT sym FROM nj_prices WHERE sym IS NOT NULL) ORDER BY 1;
-- NULL equals nothing, itself neither: trade 4 has no user
EXPLAIN (COSTS OFF) SELECT t.id, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr;
SELECT t.id, t.usr, u.usr, u.name FROM nj_trades t JOIN nj_users u ON u.usr = t.usr ORDER BY 1;
SELECT t.id, t.usr, u.usr, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr ORDER BY 1;
SELECT t.id, u.usr, u.name FROM nj_trades t RIGHT JOIN nj_users u ON u.usr = t.usr ORDER BY 1, 2;
SELECT t.id, u.usr, u.name FROM nj_trades t FULL JOIN nj_users u ON u.usr = t.usr ORDER BY 1, 2;
SELECT a.id, b.id FROM nj_trades a JOIN nj_trades b ON a.usr = b.usr ORDER BY 1, 2;
-- an indexed column finds many; both tables have a column tier
SELECT l.*, u.* FROM nj_limits l JOIN nj_users u ON u.tier = l.tier ORDER BY l.amount;
-- conditions of the match and conditions on the joined row are not the same
SELECT t.id, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr AND u.tier = 'gold' ORDER BY 1;
SELECT t.id, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr WHERE u.tier = 'gold' ORDER BY 1;
SELECT t.id, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr WHERE u.usr IS NULL ORDER BY 1;
SELECT t.id, u.name FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr AND t.amount > 10000 ORDER BY 1;
SELECT t.id, l.amount FROM nj_trades t JOIN nj_limits l ON l.sym = t.sym AND t.amount > l.amount ORDER BY 1, 2;
SELECT t.id, l.amount FROM nj_trades t LEFT JOIN nj_limits l ON l.sym = t.sym AND t.amount < l.amount ORDER BY 1, 2;
-- two keys; no key at all
SELECT u.name, l.sym, l.amount FROM nj_users u JOIN nj_limits l ON l.tier = u.tier AND l.sym = upper(left(u.name, 1)) ORDER BY 1;
SELECT t.id, l.amount FROM nj_trades t JOIN nj_limits l ON t.amount < l.amount ORDER BY 1, 2;
SELECT count(*) FROM nj_trades, nj_prices;
-- 12.5 is 12.50, '1' is not 1
SELECT u.usr, p.price, u.credit FROM nj_users u JOIN nj_prices p ON p.price = u.credit ORDER BY 1;
SELECT t.id, p.code FROM nj_trades t JOIN nj_prices p ON t.n::text = p.code ORDER BY 1, 2;
SELECT t.id FROM nj_trades t JOIN nj_prices p ON t.n = p.code;
-- the main job: enriched rows, and totals of them
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT u.tier, count(*), sum(t.amount), avg(p.price)
	FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr
	LEFT JOIN nj_limits l ON l.tier = u.tier AND l.sym = t.sym
	LEFT JOIN nj_prices p ON p.sym = t.sym
	WHERE t.amount > 10000 GROUP BY u.tier;
RESET enable_sort;
SELECT t.id, u.name, l.amount AS limit, p.price
	FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr
	LEFT JOIN nj_limits l ON l.tier = u.tier AND l.sym = t.sym
	LEFT JOIN nj_prices p ON p.sym = t.sym
	WHERE t.amount > 10000 ORDER BY t.id, p.price;
SELECT u.tier, count(*), sum(t.amount), avg(p.price)
	FROM nj_trades t LEFT JOIN nj_users u ON u.usr = t.usr
	LEFT JOIN nj_limits l ON l.tier = u.tier AND l.sym = t.sym
	LEFT JOIN nj_prices p ON p.sym = t.sym
	WHERE t.amount > 10000 GROUP BY u.tier ORDER BY u.tier;
SELECT u.name, count(DISTINCT t.sym), string_agg(t.sym, ',' ORDER BY t.sym)
	FROM nj_trades t JOIN nj_users u ON u.usr = t.usr GROUP BY u.name ORDER BY 1;
SELECT u.usr FROM nj_users u LEFT JOIN nj_trades t ON t.usr = u.usr
	GROUP BY u.usr HAVING count(t.id) = 0;
-- errors: of pairs that match and of no others
SELECT sum(t.amount / t.n) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
SELECT count(*) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr AND 10 / t.n > 1;
SELECT round(sum(t.amount / t.n), 2) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr AND u.tier = 'gold';
SELECT t.id + 2147483647 FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
SELECT sum(t.id + 2147483647) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
SELECT t.id, (SELECT p.price FROM nj_prices p WHERE p.sym = t.sym) FROM nj_trades t;
-- LIKE with an escape; text that a table has and a stream asks for
SELECT t.id FROM nj_trades t JOIN nj_prices p ON p.sym = t.sym AND p.code LIKE '12!.%' ESCAPE '!' ORDER BY 1;
SELECT max(u.name), min(p.code) FROM nj_users u JOIN nj_trades t USING (usr) JOIN nj_prices p USING (sym);
-- subqueries that are pulled up, or not; lateral; set operations
SELECT x.usr, x.n, u.name FROM (SELECT usr, count(*) AS n FROM nj_trades GROUP BY usr) x
	LEFT JOIN nj_users u ON u.usr = x.usr ORDER BY 1;
SELECT u.name, x.n FROM nj_users u CROSS JOIN LATERAL
	(SELECT count(*) AS n FROM nj_trades t JOIN nj_prices p ON p.sym = t.sym WHERE t.usr = u.usr) x ORDER BY 1;
-- a table changes between two statements, not within one
\! printf 'record\tnj_users\t0\t-\tu9\t{"name":"nina","tier":"gold"}\n' | "$STREAMSQL_FILL"
SELECT streamsql.wait_for('nj_users');
SELECT t.id, u.name FROM nj_trades t JOIN nj_users u ON u.usr = t.usr ORDER BY 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
\! printf 'record\tnj_users\t0\t-\tu9\t\\N\n' | "$STREAMSQL_FILL"
SELECT streamsql.wait_for('nj_users');
SELECT count(*) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
COMMIT;
SELECT count(*) FROM nj_trades t JOIN nj_users u ON u.usr = t.usr;
-- row locks and changes of other tables are PostgreSQL's
CREATE TABLE nj_heap AS SELECT id FROM nj_trades;
EXPLAIN (COSTS OFF) UPDATE nj_heap h SET id = -h.id FROM nj_trades t JOIN nj_users u ON u.usr = t.usr WHERE t.id = h.id;
UPDATE nj_heap h SET id = -h.id FROM nj_trades t JOIN nj_users u ON u.usr = t.usr WHERE t.id = h.id;
SELECT * FROM nj_heap ORDER BY id;
-- forbidden
SET streamsql.enable_native_join = off;
EXPLAIN (COSTS OFF) SELECT t.id, u.name FROM nj_trades t JOIN nj_prices p ON t.sym = p.sym JOIN nj_users u ON u.usr = t.usr;
RESET streamsql.enable_native_join;
DROP TABLE nj_heap;
DROP SERVER native_join CASCADE;
