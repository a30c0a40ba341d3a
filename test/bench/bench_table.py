"""Rows of the bench about tables: loading, finding, scanning, memory, restart.

Keys are numbers as texts, 1000000000 and more, since pgbench can make those;
records are customers of about 120 bytes. README.md describes the rows.
"""
import glob
import os
import re
import statistics
import subprocess
import time

from bench_env import BUILD, cpu_of, run

RAW = os.path.join(BUILD, 'raw_consumer')
LOOKUP = os.path.join(BUILD, 'table_lookup')
PRODUCE = os.path.join(BUILD, 'produce_each')

FIRST_KEY = 10 ** 9
PART = 250000  # records for one run of the filler
SMALL = 50000
RESTART = 1000000
LOOKUPS = 300000
ARRIVALS = 200
PGBENCH_SECONDS = 4

REGIONS = ('africa', 'america', 'antarctica', 'arctic', 'asia', 'australia',
           'europe', 'islands', 'oceania', 'other')

TABLE = '''CREATE FOREIGN TABLE {name} (
    user_id text OPTIONS (key 'true'), name text, tier text, region text,
    credit numeric(18,2), visits int
) SERVER kafka OPTIONS (kind 'table', topic '{topic}');'''

# All but a nested loop that looks up each key.
OTHER_WAYS = ('enable_hashjoin', 'enable_mergejoin', 'enable_memoize')

# Until the table is ready, looking every few milliseconds.
READY = '''DO $$ DECLARE t record; BEGIN LOOP
    SELECT state, last_error INTO t FROM streamsql.tables
        WHERE "table" = '{name}'::regclass;
    EXIT WHEN t.state = 'ready';
    IF t.state IN ('full', 'error') THEN
        RAISE '{name} is %: %', t.state, t.last_error;
    END IF;
    PERFORM pg_sleep(0.005);
END LOOP; END $$;'''

# When a row has the value that is awaited, in microseconds since 1970.
SEEN = '''DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM arrivals
                      WHERE user_id = '{key}' AND visits = {visits}) LOOP
        PERFORM pg_sleep(0.0001);
    END LOOP;
    PERFORM set_config('bench.seen', (extract(epoch FROM clock_timestamp())
        * 1000000)::int8::text, false);
END $$; SELECT current_setting('bench.seen');'''

BY_KEY = 'WHERE key = $1'
BYTES = 'table: bytes a row'
SCANS = (
    ('table: count(*)', 'SELECT count(*) FROM {t}'),
    ('table: sum of a numeric', 'SELECT sum(credit) FROM {t}'),
    ('table: group by 10', 'SELECT region, count(*), sum(visits) FROM {t} '
     'GROUP BY region ORDER BY region'),
)


def customers(topic, count):
    """The records, in parts that a run of the filler takes."""
    for first in range(0, count, PART):
        yield ''.join(
            f'record\t{topic}\t-\t-\t{FIRST_KEY + i}\t'
            f'{{"name":"Customer number {i}","tier":"silver",'
            f'"region":"{REGIONS[i % 10]}","credit":{i * 7 % 1000000}.'
            f'{i % 90 + 10},"visits":{i % 1000}}}\n'
            for i in range(first, min(first + PART, count)))


def short(count):
    """2000000 as 2M."""
    for size, letter in ((10 ** 6, 'M'), (10 ** 3, 'k')):
        if count % size == 0 and count:
            return f'{count // size}{letter}'
    return str(count)


class TableBench:
    def __init__(self, bench):
        self.bench = bench
        self.rows = bench.options.rows
        self.rounds = bench.options.rounds

    def ask(self, sql):
        return self.bench.session.ask(sql)

    # ---- tables ----

    def topic(self, count):
        topic = f'bench_customers_{count}'
        self.bench.kafka.fill(topic, [f'topic\t{topic}\t4',
                                      f'# {count} customers'],
                              parts=customers(topic, count))
        return topic

    def load(self, name, count, topic=None):
        """Make a table; milliseconds until it was ready, and the CPU seconds
        of the workers."""
        topic = topic or self.topic(count)
        self.ask(f'DROP FOREIGN TABLE IF EXISTS {name};')
        before = self.worker_cpu()
        ms = sum(self.ask(sql.format(name=name, topic=topic))[1]
                 for sql in (TABLE, READY))
        cpu = sum(seconds - before.get(pid, 0)
                  for pid, seconds in self.worker_cpu().items())
        rows = int(self.state(name, 'rows'))
        if rows != count:
            raise SystemExit(f'bench: {name} has {rows} rows, not {count}')
        return ms, cpu

    def drop(self, *names):
        for name in names:
            self.ask(f'DROP FOREIGN TABLE IF EXISTS {name};'
                     f'DROP TABLE IF EXISTS {name}_heap;')

    def state(self, name, column):
        return self.ask(f'SELECT {column} FROM streamsql.tables '
                        f"WHERE \"table\" = '{name}'::regclass;")[0].strip()

    def worker_cpu(self):
        """CPU seconds by process: after a DROP a worker leaves, the next table
        has another one."""
        pids = self.ask('SELECT pid FROM pg_stat_activity WHERE backend_type '
                        "= 'streamsql table worker';")[0].split()
        seconds = {}
        for pid in pids:
            try:
                seconds[pid] = cpu_of(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass  # has left since
        return seconds

    def copy(self, name):
        """The same rows in a heap table with a primary key, <name>_heap."""
        self.ask(f'CREATE TABLE {name}_heap AS SELECT * FROM {name}; '
                 f'ALTER TABLE {name}_heap ADD PRIMARY KEY (user_id); '
                 f'VACUUM ANALYZE {name}_heap; ANALYZE {name}; CHECKPOINT;')

    # ---- rows of the table ----

    def loading(self):
        what = f'load, {short(self.rows)} keys'
        if not self.bench.wanted(what):
            return
        topic = self.topic(self.rows)
        self.bench.program(RAW, topic)
        self.load('customers', self.rows)
        raw, ours, lib, cpu = [], [], [], []
        for _ in range(self.rounds):
            self.drop('customers')
            raw.append(self.bench.program(RAW, topic)['rate'])
            ms, seconds = self.load('customers', self.rows)
            ours.append(self.rows / ms * 1000)
            cpu.append(seconds)
            self.drop('customers')
            self.bench.read_by('librdkafka')
            lib.append(self.rows / self.load('customers', self.rows)[0] * 1000)
            self.bench.read_by('auto')
        ratio = statistics.median(a / b for a, b in zip(ours, raw))
        self.bench.add(what, middle(ours) / 1e6, middle(raw) / 1e6, ratio,
                       '>= 1.20', ratio >= 1.2, lib=middle(lib) / 1e6,
                       worker_cpu_s=middle(cpu),
                       rounds_ours=ours, rounds_raw=raw)
        self.drop('customers')

    def reading(self):
        names = [BY_KEY, BYTES] + [what for what, _ in SCANS]
        if not any(self.bench.wanted(name) for name in names):
            return
        self.load('customers', self.rows)
        self.copy('customers')
        self.by_key()
        for what, sql in SCANS:
            if self.bench.wanted(what):
                self.scan(what, sql)
        self.memory()
        self.drop('customers')

    def by_key(self):
        if not self.bench.wanted(BY_KEY):
            return
        script = (f'\\set k random({FIRST_KEY}, {FIRST_KEY + self.rows - 1})\n'
                  'SELECT * FROM {t} WHERE user_id = :k;\n')
        ours, heap = [], []
        for _ in range(self.rounds):
            for name, rates in (('customers', ours), ('customers_heap', heap)):
                rates.append(self.bench.postgres.pgbench(
                    script.replace('{t}', name), PGBENCH_SECONDS))
        ratio = statistics.median(a / b for a, b in zip(ours, heap))
        self.bench.add(BY_KEY, middle(ours) / 1e3, None, ratio,
                       '>= 1.00', ratio >= 1.0, unit='k/s',
                       heap=middle(heap) / 1e3, rounds_ours=ours,
                       rounds_heap=heap)

    def scan(self, what, sql):
        ours, heap = [], []
        for _ in range(self.rounds + 1):
            text, ms, _ = self.bench.query(sql.format(t='customers'))
            ours.append(self.rows / ms * 1000)
            copy, ms, _ = self.bench.query(sql.format(t='customers_heap'))
            heap.append(self.rows / ms * 1000)
            if text != copy:
                raise SystemExit(f'bench: {what}: {text} is not {copy}')
        del ours[0], heap[0]  # caches were cold
        ratio = statistics.median(a / b for a, b in zip(ours, heap))
        self.bench.add(what, middle(ours) / 1e6, None, ratio, '', None,
                       heap=middle(heap) / 1e6, rounds_ours=ours,
                       rounds_heap=heap)

    def memory(self):
        if not self.bench.wanted(BYTES):
            return
        ours = int(self.state('customers', 'memory_bytes')) / self.rows
        heap = int(self.ask("SELECT pg_total_relation_size('customers_heap');"
                            )[0]) / self.rows
        self.bench.add(BYTES, ours, None, ours / heap, '', None,
                       unit='B', heap=heap)

    def inside(self):
        """Room table by itself, one core, and the same from SQL."""
        sizes = [(SMALL, 20), (self.bench.options.large, 10)]
        for count, target in sizes:
            if count == 0:
                continue
            what = f'lookups in {short(count)} rows'
            if self.bench.wanted(what):
                self.found_inside(what, count, target)
            if self.bench.wanted(what + ', SQL'):
                self.found_by_sql(what + ', SQL', count)

    def found_inside(self, what, count, target):
        lines = run(LOOKUP, str(count)).split('\n')
        values = {name.rsplit('_', 1)[0]: float(value) for name, value in
                  (line.split() for line in lines if line)}
        rate = values['find_many'] / 1e6
        self.bench.add(what, rate, None, None, f'>= {target} M/s',
                       rate >= target, one_by_one=values['find'] / 1e6,
                       missing=values['find_many_10%_missing'] / 1e6,
                       bytes_a_row=values['bytes_a_row'],
                       inserts=values['insert'] / 1e6)

    def found_by_sql(self, what, count):
        """A nested loop: keys from a heap table, in no order."""
        self.load('found', count)
        self.copy('found')
        self.ask('DROP TABLE IF EXISTS wanted; SELECT setseed(0.5); '
                 'CREATE TABLE wanted AS SELECT '
                 f'({FIRST_KEY} + floor(random() * {count}))::int8::text '
                 f'AS user_id FROM generate_series(1, {LOOKUPS}); '
                 'VACUUM ANALYZE wanted;'
                 + ''.join(f'SET {way} = off;' for way in OTHER_WAYS))
        sql = ('SELECT count(*), sum(visits) FROM wanted '
               'JOIN {t} USING (user_id)')
        plan = self.ask(f'EXPLAIN {sql.format(t="found")};')[0]
        if 'Key Lookup: user_id' not in plan:
            raise SystemExit(f'bench: {what} is no lookup:\n{plan}')
        ours, heap = [], []
        for _ in range(self.rounds):
            text, ms, _ = self.bench.query(sql.format(t='found'))
            ours.append(LOOKUPS / ms / 1000)
            copy, ms, _ = self.bench.query(sql.format(t='found_heap'))
            heap.append(LOOKUPS / ms / 1000)
            if text != copy:
                raise SystemExit(f'bench: {what}: {text} is not {copy}')
        self.ask(''.join(f'RESET {way};' for way in OTHER_WAYS))
        ratio = statistics.median(a / b for a, b in zip(ours, heap))
        self.bench.add(what, middle(ours), None, ratio, '', None,
                       heap=middle(heap), rounds_ours=ours, rounds_heap=heap)
        self.drop('found')

    def restart(self):
        """From the start of the server to the first answer, the table having
        been written to its file."""
        count = min(RESTART, self.rows)
        what = f'start to answer, {short(count)} keys'
        if not self.bench.wanted(what):
            return
        postgres = self.bench.postgres
        self.load('customers', count)
        self.set_snapshots('1s')
        self.wait_for_file()
        server, ours = [], []
        for _ in range(self.rounds):
            self.bench.session.close()
            postgres.shut_down()
            begin = time.monotonic()
            postgres.start('-W')
            while postgres.answer('SELECT 1') is None:
                time.sleep(0.01)
            server.append(time.monotonic() - begin)
            rows = postgres.answer('SELECT count(*) FROM customers')
            ours.append(time.monotonic() - begin)
            self.bench.session = postgres.session()
            if rows != str(count):
                raise SystemExit(f'bench: {what}: the answer was {rows}')
            if self.state('customers', 'applied') != '0':
                raise SystemExit(f'bench: {what}: the file was not used')
        seconds = middle(ours)
        self.bench.add(what, seconds, middle(server), None, '< 2 s',
                       seconds < 2, unit='s', rounds_ours=ours)
        self.set_snapshots('0')
        self.drop('customers')

    def set_snapshots(self, interval):
        self.ask('ALTER SYSTEM SET streamsql.snapshot_interval = '
                 f"'{interval}';")
        self.ask('SELECT pg_reload_conf();')

    def wait_for_file(self):
        """Files get their name when they are whole."""
        pattern = os.path.join(self.bench.postgres.data, 'streamsql',
                               '*.table')
        for _ in range(600):
            if glob.glob(pattern):
                return
            time.sleep(0.1)
        raise SystemExit('bench: no snapshot file was written')

    def arrival(self):
        """One record, produced until a session that looks for it sees it."""
        what = 'record to row'
        if not self.bench.wanted(what):
            return
        topic = 'bench_arrivals'
        key = str(FIRST_KEY)
        self.bench.kafka.drop(topic)
        self.bench.kafka.produce(f'topic\t{topic}\t1\n' +
                                 next(customers(topic, 1000)))
        self.load('arrivals', 1000, topic)
        produced, acked = [], []
        producer = subprocess.Popen(
            [PRODUCE, '-b', self.bench.kafka.bootstrap, '-t', topic],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for i in range(ARRIVALS + 20):
            self.bench.session.send(SEEN.format(key=key, visits=1000 + i))
            time.sleep(0.02 + 0.001 * (i * 7 % 13))
            producer.stdin.write(f'{key}\t{{"visits":{1000 + i}}}\n'.encode())
            producer.stdin.flush()
            times = producer.stdout.readline().split()
            seen = int(self.bench.session.receive()[0])
            produced.append((seen - int(times[0])) / 1000)
            acked.append((seen - int(times[1])) / 1000)
        producer.stdin.close()
        producer.wait()
        produced, acked = produced[20:], acked[20:]
        for name, part in (('p50', 50), ('p99', 99)):
            self.bench.add(f'{what}, {name}', percentile(produced, part), None,
                           None, '', None, unit='ms',
                           after_acknowledgement=percentile(acked, part))
        self.drop('arrivals')
        self.bench.kafka.drop(topic)

    def all(self):
        for row in (self.loading, self.reading, self.inside, self.restart,
                    self.arrival):
            row()


middle = statistics.median


def percentile(values, part):
    return statistics.quantiles(values, n=100)[part - 1]
