"""Rows of the bench about writing: whole tables and single rows into topics,
against a raw producer of the same payloads. README.md describes the rows.
"""
import os
import statistics

from bench_env import BUILD

RAW = os.path.join(BUILD, 'raw_producer')

COLUMNS = '''trade_id bigint, user_id text, symbol text, side text, quantity int,
    price numeric(18,2), amount numeric(18,2), venue text,
    made_at timestamptz OPTIONS (epoch 'ms'),
    key text OPTIONS (metadata 'key')'''

HEAP = '''DROP TABLE IF EXISTS written_heap; CREATE TABLE written_heap AS
    SELECT i::bigint AS trade_id, 'user_' || lpad((i % 500)::text, 5, '0')
    AS user_id, 'SYM' || i % 100 AS symbol, CASE i % 2 WHEN 0 THEN 'BUY' ELSE
    'SELL' END AS side, i % 1000 + 1 AS quantity, (i % 40000 / 100.0)
    ::numeric(18,2) AS price, (i % 1000 * (i % 40000) / 100.0)::numeric(18,2)
    AS amount, 'XNAS' AS venue, '2026-01-01'::timestamptz + i * '1 ms'
    ::interval AS made_at, 'user_' || lpad((i % 500)::text, 5, '0') AS key
    FROM generate_series(1, {n}) i; VACUUM ANALYZE written_heap;'''

COMMITS = 400


class WriteBench:
    def __init__(self, bench):
        self.bench = bench
        self.rows = min(bench.options.rows, 1000000)
        self.topics = 0

    def ask(self, sql):
        return self.bench.session.ask(sql)

    def fresh(self, delivery):
        """A foreign table over a new topic; the topic's name."""
        if self.topics:
            self.bench.kafka.drop(f'bench_write_{self.topics}')
        self.topics += 1
        topic = f'bench_write_{self.topics}'
        self.bench.kafka.drop(topic)
        self.bench.kafka.produce(f'topic\t{topic}\t4\n')
        self.ask(f'DROP FOREIGN TABLE IF EXISTS written; CREATE FOREIGN TABLE '
                 f'written ({COLUMNS}) SERVER kafka OPTIONS (topic '
                 f"'{topic}', delivery '{delivery}');")
        return topic

    def raw(self, source, transactional):
        """Records a second of the raw producer into a topic of its own."""
        topic = 'bench_write_raw'
        self.bench.kafka.drop(topic)
        self.bench.kafka.produce(f'topic\t{topic}\t4\n')
        args = ['-f', source, '-n', str(self.rows)]
        if transactional:
            args += ['-i', 'bench_write_raw']
        result = self.bench.program(RAW, topic, *args)
        self.bench.kafka.drop(topic)
        return result['rate']

    def write(self, sql, delivery):
        """Records a second of a statement, CPU seconds, and the topic."""
        topic = self.fresh(delivery)
        self.ask("INSERT INTO written (symbol) SELECT 'x' WHERE false;")
        _, ms, cpu = self.bench.query(sql)
        written = self.ask('SELECT count(*) FROM written;')[0].strip()
        if written != str(self.rows):
            raise SystemExit(f'bench: {written} records were written')
        return self.rows / ms * 1000, cpu, topic

    def loads(self):
        rows = (('INSERT … SELECT', 'transaction', True,
                 'INSERT INTO written SELECT * FROM written_heap'),
                ('the same, statement', 'statement', False,
                 'INSERT INTO written SELECT * FROM written_heap'))
        rows = [row for row in rows if self.bench.wanted('write: ' + row[0])]
        copies = self.bench.wanted('write: COPY FROM')
        if rows or copies:
            self.ask(HEAP.format(n=self.rows))
        for what, delivery, transactional, sql in rows:
            self.load('write: ' + what, delivery, transactional, sql)

        if copies:
            self.copy('write: COPY FROM')

    def copy(self, what):
        """A file into a topic, and into a heap table."""
        path = f'{self.bench.postgres.data}/written'
        self.ask(f"COPY written_heap TO '{path}';")
        ours, heap = [], []
        for _ in range(self.bench.options.rounds):
            ours.append(self.write(f"COPY written FROM '{path}'",
                                   'transaction')[0])
            self.ask('DROP TABLE IF EXISTS copied_heap; CREATE TABLE '
                     'copied_heap (LIKE written_heap);')
            ms = self.bench.query(f"COPY copied_heap FROM '{path}'")[1]
            heap.append(self.rows / ms * 1000)
        self.bench.add(what, statistics.median(ours) / 1e6, None,
                       statistics.median(a / b for a, b in zip(ours, heap)),
                       '', None, heap=statistics.median(heap) / 1e6,
                       rounds_ours=ours, rounds_heap=heap)

    def load(self, what, delivery, transactional, sql):
        ours, raw, cpus = [], [], []
        for _ in range(self.bench.options.rounds):
            rate, cpu, topic = self.write(sql, delivery)
            ours.append(rate)
            cpus.append(cpu)
            raw.append(self.raw(topic, transactional))
        ratio = statistics.median(a / b for a, b in zip(ours, raw))
        self.bench.add(what, statistics.median(ours) / 1e6,
                       statistics.median(raw) / 1e6, ratio, '>= 0.80',
                       ratio >= 0.8, backend_cpu_s=statistics.median(cpus),
                       rounds_ours=ours, rounds_raw=raw)

    def commits(self):
        for delivery in ('transaction', 'statement'):
            what = f'write: 1 row, {delivery}'
            if not self.bench.wanted(what):
                continue
            self.fresh(delivery)
            times = [self.ask('INSERT INTO written (trade_id, key) VALUES '
                              f"({i}, 'k{i}');")[1]
                     for i in range(COMMITS + 20)][20:]
            cuts = statistics.quantiles(times, n=100)
            self.bench.add(what + ', p50', cuts[49], None, None, '', None,
                           unit='ms', per_second=1000 / statistics.mean(times))
            self.bench.add(what + ', p99', cuts[98], None, None, '', None,
                           unit='ms')
            self.bench.add(what + ', a second', 1000 / statistics.mean(times),
                           None, None, '', None, unit='/s')

    def all(self):
        self.loads()
        self.commits()
        if self.topics:
            self.bench.kafka.drop(f'bench_write_{self.topics}')
