#!/usr/bin/env python3
"""Measure, print a table, keep JSON lines.

	bench.py [--rows N] [--large N] [--rounds N] [--only PATTERN]
		[--bootstrap HOST:PORT]

What belongs together is measured in turns (raw, ours, heap, raw, ours, heap …)
so that a machine that is slow for a while is slow for all; a ratio is made in
each round and the median of the rounds is told. README.md describes the rows.
"""
import argparse
import json
import os
import platform
import re
import statistics
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bench_env import BUILD, ROOT, Kafka, Postgres, Watcher, run  # noqa: E402
from bench_native import NativeBench  # noqa: E402
from bench_table import TableBench  # noqa: E402
from bench_write import WriteBench  # noqa: E402

RAW = os.path.join(BUILD, 'raw_consumer')
LEAST = os.path.join(BUILD, 'least_fetch')
READER = os.path.join(BUILD, 'reader_work')
WORK_NS = 600

QUERIES = (
    ('count(*)', 3, 'SELECT count(*) FROM {t}'),
    ('filter, sum', 2,
     'SELECT sum(amount), count(*) FROM {t} WHERE quantity > 500'),
    ('filter, group by 500', 2,
     'SELECT count(*), sum(s), sum(n) FROM (SELECT user_id, sum(amount) AS s,'
     ' count(*) AS n FROM {t} WHERE quantity > 100 GROUP BY user_id) g'),
)

TABLE = '''CREATE FOREIGN TABLE {name} (
    trade_id bigint, user_id text, symbol text, side text, quantity int,
    price numeric(18,2), amount numeric(18,2), venue text,
    city text OPTIONS (path '$.address.city'),
    made_at timestamptz OPTIONS (epoch 'ms')
) SERVER kafka OPTIONS (topic '{topic}');'''


class Bench:
    def __init__(self, options):
        self.options = options
        self.results = []
        self.load = os.getloadavg()[0]  # of others: nothing runs yet
        self.kafka = Kafka(options.bootstrap)
        try:
            self.postgres = Postgres()
        except BaseException:
            self.kafka.stop()
            raise
        self.session = self.postgres.session()
        self.tables = TableBench(self)
        self.session.ask(
            'CREATE EXTENSION streamsql; CREATE SERVER kafka FOREIGN DATA '
            'WRAPPER streamsql OPTIONS (bootstrap_servers '
            f"'{self.kafka.bootstrap}', reader 'auto');")

    def close(self):
        self.session.close()
        self.postgres.stop()
        self.kafka.stop()

    # ---- topics ----

    def stream(self, name, partitions, codec='none'):
        """A topic of trades and a foreign table of its name over it."""
        topic = f'bench_{name}_{self.options.rows}'
        self.kafka.fill(topic, [f'topic\t{topic}\t{partitions}',
                                f'trades\t{topic}\t{self.options.rows}'],
                        codec)
        self.session.ask(f'DROP FOREIGN TABLE IF EXISTS {name};')
        self.session.ask(TABLE.format(name=name, topic=topic))
        return topic

    def heap(self, name):
        """The same rows in a heap table, <name>_heap."""
        self.session.ask(f'DROP TABLE IF EXISTS {name}_heap; '
                         f'CREATE TABLE {name}_heap AS SELECT * FROM {name}; '
                         f'VACUUM ANALYZE {name}_heap; CHECKPOINT;')

    # ---- measuring ----

    def program(self, path, topic, *args):
        text = run(path, '-b', self.kafka.bootstrap, '-t', topic, *args)
        values = dict(pair.split('=') for pair in text.split())
        return {name: float(value) for name, value in values.items()}

    def read_by(self, reader):
        """Who reads topics from now on: auto, wire or librdkafka."""
        self.session.ask(f"ALTER SERVER kafka OPTIONS (SET reader '{reader}');")

    def workers(self, count):
        """How many processes may help the session from now on."""
        self.session.ask(f'SET max_parallel_workers_per_gather = {count};')

    def query(self, sql):
        cpu = self.session.cpu()
        text, ms = self.session.ask(sql + ';')
        return text, ms, self.session.cpu() - cpu

    def add(self, what, ours, other, ratio, target, met, unit='M/s', **more):
        """One line of the table. ours and other are shown in their unit."""
        self.results.append(dict(what=what, ours=ours, other=other,
                                 ratio=ratio, target=target, met=met,
                                 unit=unit, **more))
        print_line(self.results[-1])

    def wanted(self, name):
        return re.search(self.options.only, name)

    # ---- rows of the table ----

    def scans(self):
        for codec in ('none', 'lz4'):
            suffix = '' if codec == 'none' else ', ' + codec
            ways = [(what + suffix + more, target, sql, workers)
                    for what, target, sql in QUERIES
                    for more, workers in (('', 0), (', 1 worker', 1))]
            ways = [way for way in ways if self.wanted(way[0])]
            if not ways:
                continue
            name = 'trades' if codec == 'none' else 'trades_' + codec
            topic = self.stream(name, 4, codec)
            self.heap(name)
            for what, target, sql, workers in ways:
                self.workers(workers)
                self.scan(what, target, sql, name, topic, codec)
            self.workers(0)

    def least(self, topic, codec):
        """What the minimal fetch program reads, uncompressed, alone."""
        if codec != 'none' or self.options.bootstrap:
            return None
        return self.program(LEAST, topic)['rate']

    def scan(self, what, target, sql, name, topic, codec):
        rows = self.options.rows
        found = {way: [] for way in ('raw', 'ours', 'lib', 'heap', 'least')}
        cpu = []
        self.query(sql.format(t=name))
        self.program(RAW, topic)
        for _ in range(self.options.rounds):
            result = self.program(RAW, topic)
            if result['records'] != rows:
                raise SystemExit(f'bench: raw read {result["records"]}')
            found['raw'].append(result['rate'])
            texts = set()
            for way, table in (('ours', name), ('lib', name),
                               ('heap', name + '_heap')):
                self.read_by('librdkafka' if way == 'lib' else 'auto')
                text, ms, seconds = self.query(sql.format(t=table))
                found[way].append(rows / ms * 1000)
                texts.add(text)
                if way == 'ours':
                    cpu.append(seconds)
            if len(texts) != 1:
                raise SystemExit(f'bench: {what}: {texts}')
            found['least'].append(self.least(topic, codec))
        ratio = middle_ratio(found['ours'], found['raw'])
        least = found['least'][0] is not None
        self.add(what, mega(found['ours']), mega(found['raw']), ratio,
                 f'>= {target:.2f}', ratio >= target,
                 heap=mega(found['heap']), lib=mega(found['lib']),
                 least=mega(found['least']) if least else None,
                 backend_cpu_s=statistics.median(cpu),
                 rounds_ours=found['ours'], rounds_raw=found['raw'],
                 rounds_lib=found['lib'])
        if least and what == 'count(*)':
            ratio = middle_ratio(found['ours'], found['least'])
            self.add('… against the least', mega(found['ours']),
                     mega(found['least']), ratio, '>= 0.60', ratio >= 0.6)

    def slow_consumer(self):
        if not self.wanted('600 ns'):
            return
        topic = self.stream('trades', 4)
        ours, work = [], []
        for _ in range(self.options.rounds):
            result = self.program(READER, topic, '-w', str(WORK_NS))
            ours.append(result['rate'])
            work.append(result['work_rate'])
        ratio = statistics.median(a / b for a, b in zip(ours, work))
        self.add(f'{WORK_NS} ns of work a record', mega(ours), mega(work),
                 ratio, '>= 0.75', ratio >= 0.75, rounds_ours=ours)
        rate = mega(ours)
        self.add(f'{WORK_NS} ns, records a second', rate, None, None,
                 '>= 1.2 M/s', rate >= 1.2)

    def start_up(self):
        if not self.wanted('LIMIT 1'):
            return
        self.stream('trades', 4)
        times = {}
        for reader in ('librdkafka', 'auto'):
            self.read_by(reader)
            times[reader] = [self.query('SELECT * FROM trades LIMIT 1')[1]
                             for _ in range(220)][20:]
        ms = statistics.median(times['auto'])
        self.add('LIMIT 1, warm', ms, None, None, '< 5 ms', ms < 5,
                 unit='ms', lib=statistics.median(times['librdkafka']),
                 p95=statistics.quantiles(times['auto'], n=20)[-1])

    def partitions(self):
        if not self.wanted('16 partitions'):
            return
        self.stream('trades1', 1)
        self.stream('trades16', 16)
        one, many = [], []
        for name in ('trades1', 'trades16'):
            self.query(f'SELECT count(*) FROM {name}')
        for _ in range(self.options.rounds):
            for name, rates in (('trades1', one), ('trades16', many)):
                ms = self.query(f'SELECT count(*) FROM {name}')[1]
                rates.append(self.options.rows / ms * 1000)
        ratio = statistics.median(a / b for a, b in zip(many, one))
        self.add('16 partitions vs 1', mega(many), mega(one), ratio,
                 '>= 1.00', ratio >= 1.0)

    def aborted_tail(self):
        if not self.wanted('aborted'):
            return
        for name, tail in (('whole', []), ('tail', ['begin'] + [
                'repeat\t100\tbench_tail\t0\t-\t\\N\t{"trade_id":%d}',
                'abort'])):
            topic = 'bench_' + name
            self.kafka.fill(topic, [
                f'topic\t{topic}\t1', 'begin',
                f'repeat\t1000\t{topic}\t0\t-\t\\N\t{{"trade_id":%d}}',
                'commit'] + tail)
            self.session.ask(TABLE.format(name='end_' + name, topic=topic))
        whole, tail = [], []
        for _ in range(10 * self.options.rounds):
            whole.append(self.query('SELECT count(*) FROM end_whole')[1])
            tail.append(self.query('SELECT count(*) FROM end_tail')[1])
        more = statistics.median(tail) - statistics.median(whole)
        self.add('end after aborted records', statistics.median(tail),
                 statistics.median(whole), None, '< 30 ms more', more < 30,
                 unit='ms')

    def memory(self):
        if not self.wanted('memory'):
            return
        self.stream('trades', 4)
        old, self.session = self.session, self.postgres.session()
        idle = self.session.memory()
        watcher = Watcher(self.session)
        for _, _, sql in QUERIES:
            self.query(sql.format(t='trades'))
        more = (watcher.stop() - idle) / 1e6
        self.session.close()
        self.session = old
        self.add('memory over idle', more, idle / 1e6, None, '< 100 MB',
                 more < 100, unit='MB')

    def all(self):
        if self.load > 0.5:
            print(f'The machine is busy (load {self.load:.1f}): these figures '
                  'say little.')
        print_head()
        for row in (self.scans, self.slow_consumer, self.start_up,
                    self.partitions, self.aborted_tail, self.memory):
            row()
        NativeBench(self).all()
        self.tables.all()
        WriteBench(self).all()


def middle_ratio(ours, other):
    return statistics.median(a / b for a, b in zip(ours, other))


def mega(rates):
    return statistics.median(rates) / 1e6


# ---- telling ----

def print_head():
    print(f'{"what":<28}{"ours":>11}{"raw/other":>12}{"ratio":>8}'
          f'{"heap":>11}{"lib":>11}  {"target":<14}verdict')


def number(value, unit):
    if value is None:
        return ''
    return f'{value:.2f} {unit}'


def print_line(row):
    verdict = {True: 'met', False: 'MISSED', None: ''}[row['met']]
    print(f'{row["what"]:<28}{number(row["ours"], row["unit"]):>11}'
          f'{number(row["other"], row["unit"]):>12}'
          f'{number(row["ratio"], "").strip():>8}'
          f'{number(row.get("heap"), row["unit"]):>11}'
          f'{number(row.get("lib"), row["unit"]):>11}  '
          f'{row["target"]:<14}{verdict}'.rstrip(), flush=True)


def machine():
    with open('/proc/cpuinfo') as file:
        model = re.search(r'model name\s*: (.*)', file.read())
    return {'cpu': model[1] if model else platform.machine(),
            'cores': len(os.sched_getaffinity(0)),
            'kernel': platform.release()}


def versions(bench):
    jars = os.path.join(ROOT, 'build', 'kafka', 'libs')
    names = ' '.join(os.listdir(jars)) if os.path.isdir(jars) else ''
    kafka = re.search(r'kafka-clients-([\d.]+)\.jar', names)
    commit = run('git', '-c', 'safe.directory=*', '-C', ROOT, 'describe',
                 '--always', '--dirty')
    return {'postgresql': bench.session.ask('SHOW server_version;')[0].strip(),
            'librdkafka': run('pkg-config', '--modversion',
                              'rdkafka').strip(),
            'kafka': kafka[1] if kafka and bench.kafka.folder else 'own',
            'commit': commit.strip()}


def keep(bench):
    """Append what was measured to this month's file."""
    folder = os.path.join(ROOT, 'test', 'bench', 'results')
    os.makedirs(folder, exist_ok=True)
    head = dict(date=time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
                machine=machine(), versions=versions(bench),
                rows=bench.options.rows, rounds=bench.options.rounds,
                load=bench.load)
    path = os.path.join(folder, time.strftime('%Y-%m.jsonl', time.gmtime()))
    with open(path, 'a') as file:
        for row in bench.results:
            file.write(json.dumps(dict(head, **row)) + '\n')
    print(f'{len(bench.results)} lines in {os.path.relpath(path, ROOT)}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rows', type=int, default=2000000)
    parser.add_argument('--large', type=int, default=5000000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', default='')
    parser.add_argument('--bootstrap')
    bench = Bench(parser.parse_args())
    try:
        bench.all()
        keep(bench)
    finally:
        bench.close()


if __name__ == '__main__':
    main()
