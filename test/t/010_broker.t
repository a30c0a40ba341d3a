# Brokers that are down, slow, silent or restarted; cancel and timeouts.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(time sleep);

my $broker = StreamSQL::Broker->start('mock');
my $node = StreamSQL::Instance::start($broker,
	q(shared_preload_libraries = 'streamsql'));
$broker->fill("topic\tt\t2\nrepeat\t50000\tt\t-\t-\tk%d\t{\"n\":%d}\n");
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (n int, part int OPTIONS (metadata 'partition'))
	SERVER kafka OPTIONS (topic 't')));

# What a query prints, its error, and how long it took.
sub timed
{
	my ($sql) = @_;
	my $start = time;
	my ($code, $out, $error) = $node->psql('postgres', $sql);
	return ($out, $error, time - $start);
}

my ($out, $error, $took) = timed('SELECT count(*), sum(n) FROM t');
is($out, '50000|1249975000', 'all is read while the broker is well');

# A session that is warm stays usable through everything that follows.
my $session = $node->background_psql('postgres', on_error_stop => 0);
is($session->query('SELECT count(*) FROM t'), '50000', 'a warm session reads');

# down
$broker->control('down 1');
($out, $error, $took) =
  timed(q(SET streamsql.broker_timeout = '700ms'; SELECT * FROM t));
like($error, qr/could not reach Kafka at/, 'a broker that is down is an error');
cmp_ok($took, '<', 3, '... within the broker timeout');
$session->query(q(SET streamsql.broker_timeout = '700ms'));
$session->query('SELECT count(*) FROM t');
like($session->{stderr}, qr/could not reach Kafka/, '... on a warm session too');
$session->{stderr} = '';
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is up');

# and back
$broker->control('up 1');
is($session->query('SELECT count(*) FROM t'), '50000',
	'the session reads when the broker is back');
is((timed('SELECT count(*) FROM t'))[0], '50000', '... and so does a new one');

# restarted between two queries of one session
$broker->control('down 1');
$broker->control('up 1');
is($session->query('SELECT count(*) FROM t'), '50000',
	'a restart between queries goes unnoticed');

# slow: every answer takes longer than a slice of waiting
$broker->control('rtt 1 600');
($out, $error, $took) = timed('SELECT count(*) FROM t');
is($out, '50000', 'a slow broker loses no rows');
$broker->control('rtt 1 0');

# silent from the start
$broker->stall;
($out, $error, $took) =
  timed(q(SET statement_timeout = '300ms'; SELECT * FROM t));
like($error, qr/canceling statement due to statement timeout/,
	'statement_timeout ends a query on a silent broker');
cmp_ok($took, '<', 1.3, '... at once');
($out, $error, $took) =
  timed(q(SET streamsql.broker_timeout = '500ms'; SELECT * FROM t));
like($error, qr/could not reach Kafka/, 'silence is an error');
cmp_ok($took, '<', 2, '... within the broker timeout');
($out, $error, $took) = timed(
	q(SET statement_timeout = '300ms'; SELECT * FROM streamsql.topics('kafka')));
like($error, qr/statement timeout/, 'topics() is cancelled as well');
$broker->resume;
is($session->query('SELECT count(*) FROM t'), '50000', 'the session goes on');

# silent in the middle of a scan
$session->query(q(SET streamsql.broker_timeout = '800ms'));
$session->query('BEGIN');
$session->query('DECLARE c CURSOR FOR SELECT n FROM t');
is($session->query('FETCH 1 FROM c') =~ /^\d+$/, 1, 'a cursor has begun');
$broker->stall;
my $begin = time;
$session->query('MOVE FORWARD ALL FROM c');
like($session->{stderr},
	qr/no answer from Kafka while reading topic "t" for 800 ms|^$/,
	'silence within a scan is an error, unless all was fetched already');
cmp_ok(time - $begin, '<', 3, '... in time');
$session->{stderr} = '';
$session->query('ROLLBACK');
$broker->resume;
is($session->query('SELECT count(*) FROM t'), '50000', 'the session goes on');

# cancel while waiting
$broker->stall;
my $pid = $node->safe_psql('postgres',
	q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'
	  AND pid <> pg_backend_pid() LIMIT 1));
$session->query(q(SET streamsql.broker_timeout = '60s'));
$session->{stdin} .= "SELECT count(*) FROM t;\n\\echo done\n";
$session->{run}->pump_nb;
ok($node->poll_query_until('postgres',
		"SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $pid"),
	'a query waits for the broker');
$begin = time;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$session->{run}->pump until $session->{stdout} =~ /done/;
cmp_ok(time - $begin, '<', 1, 'cancel acts at once');
like($session->{stderr}, qr/canceling statement due to user request/,
	'... and is what is reported');
$session->{stdout} = $session->{stderr} = '';
$broker->resume;
is($session->query('SELECT count(*) FROM t'), '50000', 'the session goes on');

# errors in answers are retried
$broker->control('error 1 6 5');	# Fetch: not leader
is($session->query('SELECT count(*) FROM t'), '50000',
	'a leader that moves costs no row');
$broker->control('error 2 6 2');	# ListOffsets
is($session->query('SELECT count(*) FROM t'), '50000',
	'... nor while offsets are asked');
$broker->control('topic_error t 29');
($out, $error) = timed('SELECT count(*) FROM t');
like($error, qr/permission denied for topic "t"/, 'a forbidden topic');
$broker->control('topic_error t 0');
is($session->query('SELECT count(*) FROM t'), '50000', 'the session goes on');
$session->quit;
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
