# What transactions write to a real Kafka, as a consumer of librdkafka that
# reads committed records sees it: all of it, once, or nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no Java or Maven for a real Kafka' unless StreamSQL::Broker::has_kafka();

my $broker = StreamSQL::Broker->start('kafka',
	'transaction.abort.timed.out.transaction.cleanup.interval.ms' => 500);
my $node = StreamSQL::Instance::start($broker, 'restart_after_crash = on');
$broker->fill(join '', map { "topic\t$_\t4\n" } qw(t u once busy slots heavy));
$node->safe_psql('postgres', q(
	ALTER SERVER kafka OPTIONS (ADD transaction_timeout_ms '5000');
	CREATE FOREIGN TABLE t (a int, b text, key text OPTIONS (metadata 'key'))
	SERVER kafka OPTIONS (topic 't');
	CREATE FOREIGN TABLE u (a int, b text) SERVER kafka OPTIONS (topic 'u');
	CREATE SERVER everything FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers 'BOOTSTRAP', isolation_level 'read_uncommitted');
	CREATE FOREIGN TABLE all_u (a int) SERVER everything OPTIONS (topic 'u');
	CREATE FOREIGN TABLE once (a int) SERVER kafka OPTIONS (topic 'once', delivery 'statement');
	CREATE FOREIGN TABLE busy (a int, b text) SERVER kafka OPTIONS (topic 'busy');
	CREATE FOREIGN TABLE heavy (a int, n int, b text) SERVER kafka OPTIONS (topic 'heavy');
	CREATE FOREIGN TABLE slots (a int) SERVER kafka OPTIONS (topic 'slots');
	CREATE TABLE kept (a int, b text);
	CREATE SEQUENCE numbers;) =~ s/BOOTSTRAP/$broker->bootstrap/er);

# The numbers "a" of a topic's records, sorted.
sub numbers
{
	my ($topic, @properties) = @_;
	return sort { $a <=> $b } map { /"a":(-?\d+)/ ? $1 : 'none' } $broker->drain($topic, @properties);
}

sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }

# How far topic u was written, committed or not.
sub written { return query(q(SELECT sum(high) FROM streamsql.partitions('all_u'))) }

# psql of one statement list that is to fail; its errors, with SQLSTATEs.
sub failure
{
	my ($sql) = @_;
	my ($status, $out, $errors) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	return $errors;
}

# A statement in a session of its own, and its process; returned when it writes.
sub writing
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()');
	my $before = written();
	$session->{stdin} .= "$sql\n";
	$session->{run}->pump_nb;
	for (1 .. 100)
	{
		last if written() > $before;
		sleep 0.1;
	}
	return ($session, $pid);
}

# ---- commit ----

is(query('INSERT INTO t SELECT n, repeat(md5(n::text), 3), n % 1000 FROM generate_series(1, 100000) n;
	  SELECT count(*), min(a), max(a) FROM t'), '100000|1|100000', 'the next statement sees what was committed');
is_deeply([ numbers('t') ], [ 1 .. 100_000 ], 'all is there, once');
is(query(join '', map { "INSERT INTO u VALUES ($_); SELECT count(*) = $_ FROM u;" } 1 .. 50),
	join("\n", ('t') x 50), 'so it is after each of 50 commits');

# ---- not committed ----

my $large = q(SELECT n, repeat(md5(n::text), 3) FROM generate_series(1000, 60000) n);
query("BEGIN; INSERT INTO u VALUES (-1); ROLLBACK; BEGIN; INSERT INTO u $large; ROLLBACK");
like(failure('INSERT INTO u SELECT 1 / (50000 - a), b FROM (' . $large =~ s/SELECT n,/SELECT n AS a,/r . ' OFFSET 0) x (a, b)'),
	qr/22012/, 'an error in mid statement');
my $start = time;
my $endless = "INSERT INTO u SELECT n, repeat('x', 100) FROM generate_series(1000, 100000000) n
	WHERE n % 1000 < 999 OR pg_sleep(0.01) IS NOT NULL;";
like(failure("SET statement_timeout = 800; $endless"),
	qr/57014/, 'statement_timeout in mid statement');
cmp_ok(time - $start, '<', 2.5, '… acts at once');
my ($session, $pid) = writing($endless);
query("SELECT pg_cancel_backend($pid)");
is($session->query('SELECT 1'), 1, 'a session goes on after a cancel');
is($session->query("INSERT INTO u VALUES (51); SELECT count(*) FROM u"), 51, '… and writes');
$session->quit;
($session, $pid) = writing($endless);
query("SELECT pg_terminate_backend($pid)");
eval { $session->quit };
($session, $pid) = writing($endless);
kill 'KILL', $pid;
eval { $session->quit };
$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
query('INSERT INTO u VALUES (52)');
my @committed;
for (1 .. 150)
{
	@committed = numbers('u');
	last if @committed == 52;
	sleep 0.1;
}
is_deeply(\@committed, [ 1 .. 52 ],
	'nothing of what was rolled back, failed, timed out, cancelled, terminated or killed');
cmp_ok(written(), '>', 60_000, '… though it had been sent');

# ---- what PostgreSQL refuses at commit ----

query('CREATE TABLE deferred (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO deferred VALUES (1)');
like(failure('BEGIN; INSERT INTO deferred VALUES (1); INSERT INTO t VALUES (-2); COMMIT'), qr/23505/,
	'a deferred constraint fails');
query('CREATE TABLE doubt (a int); INSERT INTO doubt VALUES (1)');
my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
$_->query('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(a) FROM doubt; INSERT INTO doubt VALUES (2);'
	  . 'INSERT INTO t VALUES (-3)') for @sessions;
$_->query('COMMIT') for @sessions;
like(join('', map { $_->{stderr} } @sessions), qr/could not serialize access/, 'a serialisation failure');
$_->quit for @sessions;
is_deeply([ grep { $_ < 0 } numbers('t') ], [-3], 'only what was committed is published');

# ---- statement delivery ----

query('BEGIN; INSERT INTO once VALUES (1), (2); ROLLBACK');
is_deeply([ numbers('once') ], [ 1, 2 ], 'delivery statement is not rolled back');

# ---- several sessions ----

my $scripts = $node->basedir;
open my $file, '>', "$scripts/commit.sql" or die $!;
print $file q(BEGIN;
	SELECT nextval('numbers') AS n \gset
	INSERT INTO kept VALUES (:n); INSERT INTO busy VALUES (:n, 'kept');
	SAVEPOINT s; INSERT INTO busy VALUES (-:n, 'taken back'); ROLLBACK TO s;
	COMMIT;
	BEGIN; INSERT INTO busy SELECT -n, 'rolled back' FROM generate_series(1, 10) n; ROLLBACK;
);
close $file;
$node->command_ok([ 'pgbench', '-n', '-c', 2, '-j', 1, '-T', 20, '-f', "$scripts/commit.sql",
		'-h', $node->host, '-p', $node->port, 'postgres' ], 'two sessions write for 20 seconds');
my @kept = split /\n/, query('SELECT a FROM kept ORDER BY a');
cmp_ok(scalar(@kept), '>', 100, '… many transactions');
is_deeply([ numbers('busy') ], \@kept, '… of which nothing is lost, doubled or fenced');

# ---- one producer for many transactions ----

$session = $node->background_psql('postgres', on_error_stop => 0);
$pid = $session->query('SELECT pg_backend_pid()');
$session->query('INSERT INTO slots VALUES (0)') for 1 .. 3;
my $before = StreamSQL::Instance::usage($pid);
$session->query('INSERT INTO slots VALUES (1);' x 100);
$session->query('BEGIN; INSERT INTO slots SELECT -1 FROM generate_series(1, 20000); ROLLBACK;' x 20);
$session->query('INSERT INTO slots SELECT 1 / (1000 - n) FROM generate_series(1, 2000) n;' x 100);
$session->{stderr} = '';
sleep 1;
my $after = StreamSQL::Instance::usage($pid);
cmp_ok($after->{threads}, '<=', $before->{threads}, 'no thread is left');
cmp_ok($after->{fds}, '<=', $before->{fds} + 1, 'no descriptor is left');
cmp_ok($after->{rss}, '<', $before->{rss} + 60_000, 'no memory is left');
$session->quit;
is(scalar(grep { $_ == 1 } numbers('slots')), 100, 'and every commit was one');

# ---- a broker that goes and comes ----

query('TRUNCATE kept');
my %outcome;

# Transactions of 5,000 rows, one after the other, for so long; the outcome of
# each is a line of the file.
sub load
{
	my ($seconds, $path) = @_;
	my $end = time + $seconds;
	open my $lines, '>', $path or die $!;
	for (my $n = 1; time < $end; $n++)
	{
		my ($status, $out, $errors) = $node->psql('postgres', "\\set VERBOSITY verbose
			SET streamsql.broker_timeout = '1500ms'; BEGIN; INSERT INTO kept VALUES ($n);
			INSERT INTO heavy SELECT $n, i, repeat('x', 100) FROM generate_series(1, 5000) i; COMMIT",
			on_error_stop => 1);
		my $outcome = $status == 0 ? 'committed' : $errors =~ /ERROR:  08007/ ? 'unknown' : 'failed';
		print $lines "$n $outcome ", $errors =~ s/\n/ /gr, "\n";
	}
	close $lines;
	return;
}
my $child = fork // die $!;
if ($child == 0)
{
	load(24, "$scripts/outcomes");
	require POSIX;
	POSIX::_exit(0);
}
sleep 4.3;
$broker->stop;
sleep 3;
$broker->start_again;
sleep 4;
$broker->stop;
$broker->start_again;
waitpid $child, 0;
is($?, 0, 'the load came to its end');
open my $outcomes, '<', "$scripts/outcomes" or die $!;
while (<$outcomes>)
{
	$outcome{$1} = $2 if /^(\d+) (\w+)/;
	note $_ if /unknown|failed/;
}
close $outcomes;
my %rows;
$rows{$_}++ for numbers('heavy');
my %in_heap = map { $_ => 1 } split /\n/, query('SELECT a FROM kept');
my %count = (committed => 0, failed => 0, unknown => 0);
$count{$_}++ for values %outcome;
note join ', ', map { "$count{$_} $_" } sort keys %count;
cmp_ok($count{committed}, '>', 5, 'transactions were committed');
cmp_ok($count{failed} + $count{unknown}, '>', 0, 'and some were not, while the broker was away');
is_deeply([ grep { ($rows{$_} // 0) != 5000 } grep { $outcome{$_} eq 'committed' } sort keys %outcome ],
	[], 'every committed one is there whole');
is_deeply([ grep { $rows{$_} } grep { $outcome{$_} eq 'failed' } sort keys %outcome ],
	[], 'every failed one is not there');
is_deeply([ grep { ($rows{$_} // 5000) != 5000 } grep { $outcome{$_} eq 'unknown' } sort keys %outcome ],
	[], 'one whose outcome is unknown is there whole or not at all');
is_deeply([ sort { $a <=> $b } keys %in_heap ],
	[ sort { $a <=> $b } grep { $outcome{$_} eq 'committed' } keys %outcome ], 'the heap has what was committed');
done_testing();
