# Tables over a real Kafka: transactions, compaction, retention, topics that are
# made again, partitions that are added.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $broker = StreamSQL::Broker->start('kafka');
my $node = StreamSQL::Instance::start($broker, 'streamsql.snapshot_interval = 1');

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub latest { return sql("SET streamsql.read_consistency = latest; $_[0]") }
sub create { return sql("CREATE FOREIGN TABLE $_[0] (k text OPTIONS (key 'true'), n int)
	SERVER kafka OPTIONS (kind 'table', topic '$_[0]')") }
my $rows = q(SELECT string_agg(k || '=' || n, ' ' ORDER BY k) FROM );

# A commit is answered before its markers are written: it comes to this, soon.
sub comes_to
{
	my ($query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->poll_query_until('postgres', "SELECT ($query) IS NOT DISTINCT FROM \$x\$$expected\$x\$");
	is(latest($query), $expected, $name);
	return;
}

# ---- Transactions ----

$broker->fill("topic\ttx\t2\n"
	  . "begin\nrecord\ttx\t0\t-\ta\t{\"n\":1}\nrecord\ttx\t1\t-\tb\t{\"n\":1}\ncommit\n"
	  . "begin\nrecord\ttx\t0\t-\ta\t{\"n\":666}\nrecord\ttx\t1\t-\tc\t{\"n\":666}\nabort\n");
create('tx');
comes_to("$rows tx", 'a=1 b=1', 'aborted records are not applied, and what is behind them does not hang');
$broker->fill("begin\nrecord\ttx\t0\t-\ta\t{\"n\":2}\nrecord\ttx\t1\t-\tb\t\\N\ncommit\n");
comes_to("$rows tx", 'a=2', 'committed ones are');
$broker->fill("begin\nrecord\ttx\t0\t-\ta\t{\"n\":3}\nabort\n") for 1 .. 3;
is(latest("$rows tx"), 'a=2', 'after aborted transactions alone latest does not wait for anything');
comes_to(q(SELECT concat_ws('|', state, lag, caught_up) FROM streamsql.tables), 'ready|0|1', 'nothing is missing');
$broker->fill("begin\nrecord\ttx\t0\t-\ta\t{\"n\":4}\n");
is(latest("$rows tx"), 'a=2', 'an open transaction is not seen, and not waited for');

# ---- Compaction ----

$broker->fill("topic\tcomp\t1\tcleanup.policy=compact\tsegment.ms=200\tmin.cleanable.dirty.ratio=0.01\tmin.compaction.lag.ms=0\tdelete.retention.ms=0\n"
	  . "repeat\t100\tcomp\t0\t-\tx\t{\"n\":%d}\nrecord\tcomp\t0\t-\ty\t{\"n\":5}\nrecord\tcomp\t0\t-\tgone\t{\"n\":5}\nrecord\tcomp\t0\t-\tgone\t\\N\n");
create('comp');
is(latest("$rows comp"), 'x=99 y=5', 'a topic that is to be compacted');
sleep 1;
$broker->fill("record\tcomp\t0\t-\ty\t{\"n\":6}\n");
sub file_of { return $node->data_dir . '/streamsql/' . sql("SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '_' || '$_[0]'::regclass::oid || '.table'") }
my $file = file_of('comp');
is(latest("$rows comp"), 'x=99 y=6', 'and goes on');
for (1 .. 100) { last if -s $file; sleep 0.1 }
$node->restart('immediate');
is(latest("$rows comp"), 'x=99 y=6', 'after a restart too, whatever the mark was');

# ---- A topic that is made again ----

sub again
{
	my ($name, $count, $value) = @_;
	$broker->fill("drop\tredo\n");
	sleep 1;
	$broker->fill("topic\tredo\t1\nrepeat\t$count\tredo\t0\t-\tn%d\t{\"n\":$value}\n");
	return;
}
$broker->fill("topic\tredo\t1\nrepeat\t50\tredo\t0\t-\tk%d\t{\"n\":1}\n");
create('redo');
is(latest('SELECT count(*), min(k) FROM redo'), '50|k0', 'a topic');
$file = file_of('redo');
for (1 .. 100) { last if -s $file; sleep 0.1 }
for my $case ([ 'with fewer records', 20, 2 ], [ 'with as many', 50, 3 ], [ 'with more', 90, 4 ])
{
	my ($name, $count, $value) = @$case;
	$node->stop;
	again($name, $count, $value);
	$node->start;
	is(latest('SELECT count(*), min(k), min(n), max(n) FROM redo'), "$count|n0|$value|$value", "made again $name while the server was down");
	for (1 .. 100) { last if -s $file && slurp_file($node->logfile) !~ /x{9}/ && (stat $file)[9] >= time - 2; sleep 0.1 }
	sleep 1.5;
}
like(slurp_file($node->logfile), qr/is loaded again: /, 'the log says so');
$broker->fill("drop\tredo\n");
ok($node->poll_query_until('postgres', q(SELECT state = 'error' AND last_error LIKE '%does not exist%' FROM streamsql.tables
	WHERE "table" = 'redo'::regclass)), 'a topic that is deleted is an error that can be seen');
$broker->fill("topic\tredo\t1\nrepeat\t7\tredo\t0\t-\tz%d\t{\"n\":9}\n");
ok($node->poll_query_until('postgres', q(SELECT state = 'ready' AND rows = 7 FROM streamsql.tables
	WHERE "table" = 'redo'::regclass)), 'made again it is loaded');
is(latest('SELECT count(*), min(k) FROM redo'), '7|z0', 'with its new contents');

# ---- Retention ----

$broker->fill("topic\tret\t1\nrepeat\t100\tret\t0\t-\tk%d\t{\"n\":1}\n");
create('ret');
is(latest('SELECT count(*) FROM ret'), '100', 'a topic that loses its beginning');
$broker->fill("truncate\tret\t0\t60\n");
$broker->fill("record\tret\t0\t-\tk0\t{\"n\":2}\n");
is(latest('SELECT count(*), sum(n) FROM ret'), '100|101', 'what was applied stays');
$file = file_of('ret');
for (1 .. 100) { last if -s $file; sleep 0.1 }
sleep 2;
$node->stop;
$broker->fill("repeat\t50\tret\t0\t-\tnew%d\t{\"n\":3}\ntruncate\tret\t0\t120\n");
$node->start;
is(latest('SELECT count(*), min(k), max(n) FROM ret'), '31|new19|3', 'what was deleted unread: the table is what the topic still has');

# ---- Partitions ----

$broker->fill("topic\tgrow\t1\nrecord\tgrow\t0\t-\ta\t{\"n\":1}\n");
create('grow');
is(latest("$rows grow"), 'a=1', 'a topic of one partition');
$broker->fill("partitions\tgrow\t3\n");
sleep 1;
$broker->fill("record\tgrow\t2\t-\tb\t{\"n\":2}\n");
ok($node->poll_query_until('postgres', q(SELECT count(*) = 2 FROM grow)), 'partitions that are added are read');
StreamSQL::Instance::all_survived($node);
$node->stop;
done_testing();
