"""Rows of the bench about joins and groups: the main job of the demo on more
trades. Natively, by PostgreSQL's executor over the same topics (forbid), and
over heap copies, in turns. README.md describes the rows.
"""
import os
import statistics

from bench_env import BUILD

RAW = os.path.join(BUILD, 'raw_consumer')

FORBID = 'SET streamsql.debug_require_native = {};'

TABLES = (
    ('users', 500, '''user_id text OPTIONS (key 'true'), name text, tier text,
     region text, credit numeric(18,2)''', 'raw',
     lambda i: (f'user_{i:05d}',
                f'{{"name":"N{i}","tier":"{"basic silver gold".split()[i % 3]}"'
                f',"region":"{"EMEA AMER APAC".split()[i % 3]}",'
                f'"credit":{1000 + i * 137 % 9000}.50}}')),
    ('instruments', 10, '''symbol text OPTIONS (key 'true'), sector text,
     lot int''', 'raw',
     lambda i: ('ACME BOLT CRUX DYNE ECHO FLUX GRIT HALO IRIS JOLT'.split()[i],
                f'{{"sector":"{"tech energy health finance".split()[i % 4]}",'
                f'"lot":{i + 1}}}')),
    ('limits', 12, '''tier text OPTIONS (key 'true'),
     sector text OPTIONS (key 'true'), max_amount numeric(18,2)''', 'json',
     lambda i: (f'{{"tier":"{"basic silver gold".split()[i % 3]}","sector":'
                f'"{"tech energy health finance".split()[i // 3]}"}}',
                f'{{"max_amount":{200000 + i * 10000}}}')),
)

JOINS = '''FROM {t} t LEFT JOIN users{h} u ON u.user_id = t.user_id
    LEFT JOIN instruments{h} i ON i.symbol = t.symbol
    LEFT JOIN limits{h} l ON l.tier = u.tier AND l.sector = i.sector
    WHERE t.amount > 10000'''
ENRICH = ('SELECT u.region, i.sector, count(*), sum(t.amount), '
          'avg(l.max_amount) ' + JOINS + ' GROUP BY 1, 2 ORDER BY 1, 2')
ROWS = ('SELECT count(*), count(name), count(max_amount) FROM (SELECT '
        't.trade_id, t.amount, u.name, u.tier, i.sector, l.max_amount '
        + JOINS + ' OFFSET 0) x')
GROUPS = ('SELECT count(*), sum(n), sum(s) FROM (SELECT {k}, count(*) AS n, '
          'sum(quantity) AS s FROM {t} GROUP BY 1) g')
TABLE_JOIN = ('SELECT p.lot, count(*), sum(c.credit) FROM customers{h} c '
              'JOIN parts{h} p ON p.part = c.visits '
              'WHERE c.credit > 1000 GROUP BY p.lot ORDER BY p.lot')


class NativeBench:
    def __init__(self, bench):
        self.bench = bench
        self.rows = bench.options.rows
        self.rounds = bench.options.rounds
        self.topic = None

    def ask(self, sql):
        return self.bench.session.ask(sql)

    # ---- topics ----

    def table(self, name, count, columns, key_format, record):
        topic = f'bench_{name}_{count}'
        self.bench.kafka.fill(topic, [f'topic\t{topic}\t1'] + [
            'record\t%s\t-\t-\t%s\t%s' % ((topic,) + record(i))
            for i in range(count)])
        self.ask(f'DROP FOREIGN TABLE IF EXISTS {name}; '
                 f'DROP TABLE IF EXISTS {name}_heap; CREATE FOREIGN TABLE '
                 f'{name} ({columns}) SERVER kafka OPTIONS (kind \'table\', '
                 f'topic \'{topic}\', key_format \'{key_format}\');')
        self.ask(f"SELECT streamsql.wait_for('{name}'); CREATE TABLE "
                 f'{name}_heap AS SELECT * FROM {name}; '
                 f'VACUUM ANALYZE {name}_heap;')

    def set_up(self):
        if self.topic is None:
            self.topic = self.bench.stream('trades', 4)
            self.bench.heap('trades')
            for table in TABLES:
                self.table(*table)

    # ---- measuring ----

    def rates(self, sql, raw):
        """Records a second in each round: raw, native, with librdkafka as
        reader (lib), forbid, heap."""
        native = sql.format(t='trades', h='')
        queries = {'native': native,
                   'heap': sql.format(t='trades_heap', h='_heap'),
                   'lib': native, 'forbid': native}
        found = {name: [] for name in ('raw', *queries)}
        self.bench.query(queries['native'])
        for _ in range(self.rounds):
            texts = set()
            if raw:
                found['raw'].append(
                    self.bench.program(RAW, self.topic)['rate'])
            for way, query in queries.items():
                self.ask(FORBID.format('forbid' if way == 'forbid'
                                       else 'allow'))
                self.bench.read_by('librdkafka' if way == 'lib' else 'auto')
                text, ms, _ = self.bench.query(query)
                found[way].append(self.rows / ms * 1000)
                texts.add(text)
            self.ask(FORBID.format('allow'))
            if len(texts) != 1:
                raise SystemExit(f'bench: {sql}: {texts}')
        return found

    def add(self, what, found, other, target):
        ratio = statistics.median(
            a / b for a, b in zip(found['native'], found[other]))
        self.bench.add(what, mega(found['native']), mega(found[other]), ratio,
                       f'>= {target:.2f}' if target else '',
                       ratio >= target if target else None,
                       heap=mega(found['heap']), forbid=mega(found['forbid']),
                       lib=mega(found['lib']) if other != 'heap' else None,
                       rounds_ours=found['native'])

    # ---- rows of the table ----

    def enrichment(self):
        if not self.bench.wanted('enriched'):
            return
        self.set_up()
        found = self.rates(ENRICH, True)
        self.add('enriched by 3, groups', found, 'raw', 1.2)
        self.add('… against heap copies', found, 'heap', 1.5)
        self.add('… against forbid', found, 'forbid', 5)
        self.bench.workers(1)
        found = self.rates(ENRICH, True)
        self.bench.workers(0)
        self.add('enriched by 3, groups, 1 worker', found, 'raw', 1.2)
        self.add('… against heap copies', found, 'heap', 1.5)
        found = self.rates(ROWS, True)
        self.add('enriched by 3, rows', found, 'raw', None)
        self.add('… against forbid', found, 'forbid', None)

    def groups(self):
        for name, key in (('500', 'user_id'), ('50k', 'trade_id % 50000'),
                          ('1M', 'trade_id % 1000000')):
            if not self.bench.wanted(f'groups: {name}'):
                continue
            self.set_up()
            found = self.rates(GROUPS.replace('{k}', key), True)
            self.add(f'groups: {name}', found, 'raw', None)

    def tables(self):
        if not self.bench.wanted('tables: join'):
            return
        self.set_up()
        self.table('parts', 1000, "part int OPTIONS (key 'true'), lot int",
                   'raw', lambda i: (str(i), f'{{"lot":{i % 20}}}'))
        self.bench.tables.load('customers', self.rows)
        self.ask('DROP TABLE IF EXISTS customers_heap; CREATE TABLE '
                 'customers_heap AS SELECT * FROM customers; '
                 'VACUUM ANALYZE customers_heap;')
        found = self.rates(TABLE_JOIN, False)
        self.add('tables: join, groups', found, 'heap', 5)
        self.ask('DROP FOREIGN TABLE customers; DROP TABLE customers_heap;')

    def all(self):
        self.enrichment()
        self.groups()
        self.tables()


def mega(rates):
    return statistics.median(rates) / 1e6
