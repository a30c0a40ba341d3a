# What only a real Kafka has: transactions, retention, times, compaction.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(time sleep);

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $broker = StreamSQL::Broker->start('kafka');
my $node = StreamSQL::Instance::start($broker);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub table
{
	my ($topic, $columns, $options) = @_;
	sql("CREATE FOREIGN TABLE $topic ($columns, "
		  . "part int OPTIONS (metadata 'partition'), "
		  . "off bigint OPTIONS (metadata 'offset'), "
		  . "ts timestamptz OPTIONS (metadata 'timestamp')) "
		  . "SERVER kafka OPTIONS (topic '$topic'"
		  . ($options ? ", $options" : '') . ')');
	return;
}

# ---- transactions ----
$broker->fill("topic\ttx\t2\n");
$broker->records('tx', 0, map { [ 'k', "{\"n\":$_}" ] } 1 .. 3);
$broker->fill("begin\nrecord\ttx\t0\t-\tk\t{\"n\":10}\ncommit\n"
	  . "begin\nrecord\ttx\t0\t-\tk\t{\"n\":666}\nrecord\ttx\t1\t-\tk\t{\"n\":667}\nabort\n"
	  . "begin\nrecord\ttx\t0\t-\tk\t{\"n\":20}\nrecord\ttx\t1\t-\tk\t{\"n\":21}\ncommit\n");
table('tx', 'n int');
# a commit is answered before its markers are written
$node->poll_query_until('postgres', 'SELECT count(*) >= 6 FROM tx');
is(sql('SELECT string_agg(n::text, $$,$$ ORDER BY part, off) FROM tx'),
	'1,2,3,10,20,21', 'aborted records do not show, control records neither');
is(sql('SELECT count(*) FROM tx'), '6', '... nor are they counted');
is(sql('SELECT off FROM tx WHERE n = 20'), '7', 'offsets have their gaps');
is(sql('SELECT n FROM tx WHERE part = 0 AND off BETWEEN 4 AND 6'), '',
	'a range of control and aborted records is empty, and ends');
is(sql('SELECT n FROM tx WHERE off IN (3, 5, 7) AND part = 0 ORDER BY n'),
	"10\n20", 'seeks into gaps');

# a trailing aborted transaction neither hangs nor slows the end
sub median_ms
{
	my ($query) = @_;
	my $times = $node->safe_psql('postgres',
		"\\timing on\n" . "$query;\n" x 15);
	my @ms = sort { $a <=> $b } $times =~ /Time: ([\d.]+) ms/g;
	return $ms[ @ms / 2 ];
}
my $without = median_ms('SELECT count(*) FROM tx');
$broker->fill("begin\n" . "record\ttx\t0\t-\tk\t{\"n\":666}\n" x 5 . "abort\n");
is(sql('SELECT count(*) FROM tx'), '6', 'a trailing aborted transaction');
my $with = median_ms('SELECT count(*) FROM tx');
diag(sprintf 'end of scan: %.1f ms, after an aborted transaction %.1f ms',
	$without, $with);

# an open transaction: only what is before it
$broker->fill("topic\topen\t1\nrecord\topen\t0\t-\tk\t{\"n\":1}\n");
$broker->fill("begin\nrecord\topen\t0\t-\tk\t{\"n\":2}\nflush\n");
$broker->records('open', 0, [ 'k', '{"n":3}' ]);
table('open', 'n int');
is(sql('SELECT string_agg(n::text, $$,$$) FROM open'), '1',
	'read_committed ends before an open transaction');
is(sql(q(SELECT low, high FROM streamsql.partitions('open'))), '0|1',
	'... and partitions() says so');
sql(sprintf q(CREATE SERVER dirty FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '%s', isolation_level 'read_uncommitted');
	CREATE FOREIGN TABLE open_dirty (n int) SERVER dirty OPTIONS (topic 'open');
	CREATE FOREIGN TABLE tx_dirty (n int) SERVER dirty OPTIONS (topic 'tx')),
	$broker->bootstrap);
is(sql('SELECT string_agg(n::text, $$,$$) FROM open_dirty'), '1,2,3',
	'read_uncommitted reads on');
is(sql('SELECT count(*) FROM tx_dirty'), '13', '... and what was aborted');

# ---- native aggregates: PostgreSQL's answer, and that of a heap copy ----
$broker->fill("topic\tnat\t16\n"
	  . "record\tnat\t5\t-\tk1\t{\"n\":1}\nrecord\tnat\t5\t-\tk1\t\\N\n"
	  . "record\tnat\t5\t-\t\\N\t{\"n\":null}\nrecord\tnat\t5\t-\tk2\t{\"n\":3}\n");
table('nat', 'n int');
for my $from ([ 'tx', 6 ], [ 'open', 1 ], [ 'nat', 4 ])
{
	my ($topic, $rows) = @$from;
	my $query = 'SELECT part, count(*), count(n), sum(n), avg(n), min(off), '
	  . 'max(off), count(ts) FROM %s GROUP BY part ORDER BY part';
	my $native = sql(sprintf $query, $topic);
	sql("CREATE TABLE heap_$topic AS SELECT * FROM $topic");
	is(sql("SELECT count(*) FROM heap_$topic"), $rows, "$topic: records");
	like(sql('EXPLAIN ' . sprintf $query, $topic), qr/Native Plan/,
		"$topic: native");
	is($native, sql('SET streamsql.debug_require_native = forbid; '
			  . sprintf $query, $topic), '... as PostgreSQL does it');
	is($native, sql(sprintf $query, "heap_$topic"), '... and on a heap copy');
}

# joins: what was aborted or is open on either side is not there
for my $kind ('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN')
{
	my $query = "SELECT count(*), count(a.n), count(b.n), sum(a.off), sum(b.off) "
	  . "FROM %1\$stx a $kind %1\$snat b ON a.n = b.n";
	my $native = sql('SET streamsql.debug_require_native = require; '
		  . sprintf $query, '');
	is($native, sql('SET streamsql.debug_require_native = forbid; '
			  . sprintf $query, ''), "$kind: as PostgreSQL does it");
	is($native, sql(sprintf $query, 'heap_'), '... and on heap copies');
}

# ---- retention ----
$broker->fill("topic\told\t2\n");
$broker->records('old', 0, map { [ 'k', "{\"n\":$_}" ] } 0 .. 9);
$broker->fill("truncate\told\t0\t6\n");
table('old', 'n int');
is(sql('SELECT string_agg(n::text, $$,$$ ORDER BY off) FROM old'), '6,7,8,9',
	'deleted records are gone');
is(sql('SELECT string_agg(n::text, $$,$$ ORDER BY off) FROM old WHERE off >= 2'),
	'6,7,8,9', 'a deleted start offset reads from what is there');
is(sql('SELECT n FROM old WHERE off = 3'), '', 'a deleted record is no row');
is(sql(q(SELECT low, high FROM streamsql.partitions('old') WHERE partition = 0)),
	'6|10', 'partitions() tells the low watermark');
my $cursor = $node->background_psql('postgres', on_error_stop => 0);
$cursor->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($cursor->query('SELECT count(*) FROM old'), '4', 'a transaction has begun');
$broker->fill("truncate\told\t0\t8\n");
$cursor->query('SELECT count(*) FROM old');
like($cursor->{stderr}, qr/are no longer there/,
	'records that are deleted after the end offsets were taken are an error');
$cursor->{stderr} = '';
$cursor->query('ROLLBACK');
is($cursor->query('SELECT count(*) FROM old'), '2', 'the next statement is well');

# ---- one state of a topic ----
$broker->fill("topic\tgrow\t2\nrepeat\t1000\tgrow\t-\t-\tk%d\t{\"n\":%d}\n");
table('grow', 'n int');
$cursor->query('BEGIN');
$cursor->query('DECLARE c CURSOR FOR SELECT n FROM grow');
$cursor->query('MOVE 10 FROM c');
$broker->fill("repeat\t500\tgrow\t-\t-\tk%d\t{\"n\":%d}\n");
$cursor->query('CREATE TEMP TABLE seen AS SELECT count(*) FROM grow');
is($cursor->query('MOVE FORWARD ALL FROM c; SELECT * FROM seen'), '1500',
	'a new statement sees what came meanwhile');
$cursor->query('COMMIT');
$cursor->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($cursor->query('SELECT count(*) FROM grow'), '1500', 'a snapshot is taken');
$broker->fill("repeat\t500\tgrow\t-\t-\tk%d\t{\"n\":%d}\n");
is($cursor->query('SELECT count(*) FROM grow'), '1500', '... and stays');
$cursor->query('COMMIT');
is($cursor->query('SELECT count(*) FROM grow'), '2000', '... until it ends');

# ---- times ----
$broker->fill("topic\ttimes\t3\n" . join '',
	map { sprintf "record\ttimes\t%d\t%d\tk\t{\"n\":%d}\n", $_ % 2,
		1767225600000 + $_ * 1000, $_ } 0 .. 199);
table('times', 'n int');
is(sql(q(SELECT count(*), min(n) FROM times
	WHERE ts >= '2026-01-01 00:02:00+00')), '80|120', 'a lower bound in time');
like(sql(q(EXPLAIN (ANALYZE) SELECT * FROM times
	WHERE ts >= '2026-01-01 00:02:00+00')), qr/Messages: 80\b/,
	'... is a seek');
is(sql(q(SELECT count(*) FROM times WHERE ts > '2027-01-01')), '0',
	'nothing that new');
like(sql(q(EXPLAIN (ANALYZE) SELECT * FROM times WHERE ts > '2027-01-01')),
	qr/Messages: 0\b/, '... reads nothing');
is(sql(q(SELECT count(*) FROM times WHERE ts < '2026-01-01 00:00:10+00')), '10',
	'an upper bound is a filter');
is(sql(q(SELECT n FROM times WHERE ts = '2026-01-01 00:00:42+00')), '42',
	'a moment');
$broker->fill("topic\tappend\t1\tmessage.timestamp.type=LogAppendTime\n"
	  . "record\tappend\t0\t1000\tk\t{\"n\":1}\n");
sql(q(CREATE FOREIGN TABLE append (n int,
	ts timestamptz OPTIONS (metadata 'timestamp'),
	kind text OPTIONS (metadata 'timestamp_type'))
	SERVER kafka OPTIONS (topic 'append')));
is(sql(q(SELECT kind, ts > now() - interval '1 hour' FROM append)),
	'LogAppendTime|t', 'the broker\'s own time');

# ---- compaction leaves gaps ----
$broker->fill("topic\tcompact\t1\tcleanup.policy=compact\tsegment.ms=100"
	  . "\tmin.cleanable.dirty.ratio=0.01\tdelete.retention.ms=0"
	  . "\tmin.compaction.lag.ms=0\n"
	  . "repeat\t200\tcompact\t0\t-\tsame\t{\"n\":%d}\n");
sleep 0.3;
$broker->fill("record\tcompact\t0\t-\tother\t{\"n\":1000}\n");
table('compact', 'n int');
ok($node->poll_query_until('postgres', 'SELECT count(*) < 100 FROM compact'),
	'a compacted topic is read over its gaps');
is(sql('SELECT max(n), count(*) = count(DISTINCT n) FROM compact'), '1000|t',
	'... whole');

# ---- restart and silence ----
my $before = $cursor->query('SELECT count(*) FROM grow');
$broker->stop;
$broker->start_again;
is($cursor->query('SELECT count(*) FROM grow'), $before,
	'a broker that was restarted between queries');
$broker->stall;
my $start = time;
$cursor->query(q(SET statement_timeout = '300ms'));
$cursor->query('SELECT count(*) FROM grow');
like($cursor->{stderr}, qr/statement timeout/, 'a silent Kafka, and a timeout');
cmp_ok(time - $start, '<', 1.3, '... that acts at once');
$cursor->{stderr} = '';
$broker->resume;
$cursor->query('RESET statement_timeout');
is($cursor->query('SELECT count(*) FROM grow'), $before, 'and on it goes');

# ---- much data in little memory ----
$broker->fill("topic\ttrades\t4\ntrades\ttrades\t700000\n");
sql(q(CREATE FOREIGN TABLE trades (user_id text, quantity int,
	amount numeric(18,2), part int OPTIONS (metadata 'partition'))
	SERVER kafka OPTIONS (topic 'trades')));
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query(q(SELECT count(*) FROM old));
my $idle = StreamSQL::Instance::usage($pid);
is($session->query('SELECT count(*) FROM trades'), '700000', 'all trades');
$session->query('SELECT count(*), sum(amount), max(user_id) FROM trades');
my $after = StreamSQL::Instance::usage($pid);
diag(sprintf 'peak memory over idle: %d MB', ($after->{peak} - $idle->{rss}) / 1024);
cmp_ok($after->{peak} - $idle->{rss}, '<', 100 * 1024,
	'130 MB of records are read in less than 100 MB');
# silence in mid scan, certainly: the client can't hold the rest
$session->query(q(SET streamsql.broker_timeout = '1s'));
$session->query('BEGIN');
$session->query('DECLARE c CURSOR FOR SELECT quantity FROM trades');
$session->query('MOVE 1 FROM c');
$broker->stall;
$session->{stdin} .= "MOVE FORWARD ALL FROM c;\n\\echo done\n";
$session->{run}->pump until $session->{stdout} =~ /done/;
like($session->{stderr}, qr/no answer from Kafka while reading topic "trades"/,
	'silence in the middle of a scan is an error');
$broker->resume;
is(sql('SELECT count(*) FROM trades'), '700000', 'nothing was lost');
# deleted in mid scan; of which librdkafka makes silence
$session->query('ROLLBACK');
$session->query('BEGIN');
$session->query('DECLARE c CURSOR FOR SELECT quantity FROM trades');
$session->query('MOVE 1 FROM c');
$broker->fill("drop\ttrades\n");
$session->{stderr} = '';
$session->query('MOVE FORWARD ALL FROM c');
like($session->{stderr}, ($ENV{STREAMSQL_READER} // '') eq 'librdkafka'
	? qr/no answer from Kafka/ : qr/topic "trades" does not exist/,
	'a topic that is deleted in the middle of a scan');

$cursor->quit;
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
