# Failing and cancelled queries leave no thread, descriptor or memory behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(sleep);

my $broker = StreamSQL::Broker->start('mock');
my $node = StreamSQL::Instance::start($broker);
$broker->fill("topic\tt\t4\nrepeat\t20000\tt\t-\t-\tk%d\t{\"n\":%d,\"s\":\"x\"}\n"
	  . "topic\tw\t4\ntopic\tbad\t1\nrepeat\t3000\tbad\t0\t-\tk\t{\"n\":%d}\nrecord\tbad\t0\t-\tk\tno\n");
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (n int, s text) SERVER kafka OPTIONS (topic 't');
	CREATE FOREIGN TABLE bad (n int) SERVER kafka OPTIONS (topic 'bad');
	CREATE FOREIGN TABLE none (n int) SERVER kafka OPTIONS (topic 'none');
	CREATE SERVER away FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '127.0.0.1:1');
	CREATE FOREIGN TABLE away (n int) SERVER away OPTIONS (topic 't');
	CREATE FUNCTION fail(query text, times int) RETURNS int
	LANGUAGE plpgsql AS $$
	DECLARE
		failed int = 0;
	BEGIN
		FOR i IN 1..times LOOP
			BEGIN
				EXECUTE query;
			EXCEPTION WHEN OTHERS OR query_canceled THEN
				failed := failed + 1;
			END;
		END LOOP;
		RETURN failed;
	END
	$$;));

my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query('SELECT pg_backend_pid()');

# Threads end a little after the query that abandoned them.
sub settled
{
	my ($threads) = @_;
	my $usage;
	for (1 .. 100)
	{
		$usage = StreamSQL::Instance::usage($pid);
		last if $usage->{threads} <= $threads;
		sleep 0.1;
	}
	return $usage;
}

# A query 100 times, cancelled after up to so many milliseconds.
sub cancelled
{
	my ($query, $limit) = @_;
	return join ' ', map {
		sprintf q(SET statement_timeout = '%dms'; %s; SET statement_timeout = 0;),
		  $_ % $limit + 1, $query
	} 1 .. 100;
}

# Run something once to warm up, then often, and compare.
sub check
{
	my ($name, $once, $often, $expected) = @_;
	$session->query($once);
	$session->{stderr} = '';
	sleep 0.5;
	my $before = StreamSQL::Instance::usage($pid);
	is($session->query($often), $expected, "$name: each failed")
	  if defined $expected;
	$session->query($often) unless defined $expected;
	my $after = settled($before->{threads});
	$session->{stderr} = '';
	cmp_ok($after->{threads}, '<=', $before->{threads}, "$name: no thread is left");
	cmp_ok($after->{fds}, '<=', $before->{fds} + 1, "$name: no descriptor is left");
	cmp_ok($after->{rss}, '<', $before->{rss} + 30_000, "$name: no memory is left");
	return;
}

check('bad records', q(SELECT fail('SELECT sum(n) FROM bad', 3)),
	q(SELECT fail('SELECT sum(n) FROM bad', 100)), 100);
check('an error beside the scan', q(SELECT fail('SELECT 1 / (n - n) FROM t', 3)),
	q(SELECT fail('SELECT 1 / (n - n) FROM t', 100)), 100);
check('a missing topic', q(SELECT fail('SELECT * FROM none', 3)),
	q(SELECT fail('SELECT * FROM none', 100)), 100);
$session->query(q(SET streamsql.broker_timeout = '20ms'));
check('a broker that is away', q(SELECT fail('SELECT * FROM away', 3)),
	q(SELECT fail('SELECT * FROM away', 100)), 100);
$session->query(q(RESET streamsql.broker_timeout));

# cancelled by the clock, at any moment of a query that needs two clients
my $join = 'SELECT count(*), sum(n), max(s) FROM t AS a JOIN t AS b USING (n, s)';
my $cancel = join ' ', map {
	sprintf q(SET statement_timeout = '%dms'; %s; SET statement_timeout = 0;),
	  $_ % 25 + 1, $join
} 1 .. 100;
check('cancelled queries', $join, $cancel, undef);

# native aggregates: at fault, at fault when groups are in files, cancelled
my $native = 'SELECT n, count(*), sum(100 / (n - 15000)) FROM t GROUP BY n';
$session->query(q(SET work_mem = '64kB'));
like($session->query("EXPLAIN $native"), qr/Native Plan/, 'an aggregate is native');
like(
	$session->query(
		"EXPLAIN (ANALYZE) SELECT n, count(*) FROM t GROUP BY n"),
	qr/Hash Aggregate.*files=\d/, '... and its groups go to files');
check('native errors', q(SELECT fail('SELECT sum(1 / (n - n)) FROM t', 3)),
	q(SELECT fail('SELECT sum(1 / (n - n)) FROM t', 100)), 100);
check('native errors with files', "SELECT fail('$native', 3)",
	"SELECT fail('$native', 100)", 100);
my $groups = 'SELECT count(c) FROM (SELECT n, count(*) AS c FROM t GROUP BY n) x';
check('cancelled native queries', $groups, cancelled($groups, 25), undef);
# aggregates whose states PostgreSQL keeps: in memory, sorted, in files
my $states = 'SELECT n % 7, array_agg(s), count(DISTINCT n), '
  . 'string_agg(100 / (n - 15000) || s, s ORDER BY n) FROM t GROUP BY n % 7';
like($session->query("EXPLAIN $states"), qr/Native Plan/,
	'aggregates with states of PostgreSQL are native');
check('native aggregates by PostgreSQL', "SELECT fail(\$q\$$states\$q\$, 3)",
	"SELECT fail(\$q\$$states\$q\$, 100)", 100);
my $sorted = 'SELECT count(DISTINCT n), count(DISTINCT s) FROM t';
check('cancelled native aggregates', $sorted, cancelled($sorted, 25), undef);
# native joins: at fault, at fault when both sides are in files, cancelled
$join = 'SELECT count(*), sum(100 / (a.n - 15000)) FROM t a JOIN t b USING (n)';
like(
	$session->query("EXPLAIN (ANALYZE) SELECT a.n FROM t a JOIN t b USING (n)"),
	qr/Hash Join.*files=\d/, 'a join is native and goes to files');
check('native joins with files', "SELECT fail('$join', 3)",
	"SELECT fail('$join', 100)", 100);
my $joined = 'SELECT count(*) FROM t a JOIN t b USING (n)';
check('cancelled native joins', $joined, cancelled($joined, 40), undef);
$session->query(q(RESET work_mem));
check('native joins', "SELECT fail('$join', 3)", "SELECT fail('$join', 100)", 100);

# by several processes: in a worker or beside it
$session->query(q(SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET cpu_tuple_cost = 1;
	SET max_parallel_workers_per_gather = 2));
my $shared = 'SELECT count(*), sum(100 / (n - 15000)) FROM t';
like($session->query("EXPLAIN $shared"), qr/Parallel Foreign Scan.*\n *Native Plan/,
	'groups are shared among processes');
check('errors in workers', "SELECT fail('$shared', 3)", "SELECT fail('$shared', 30)", 30);
my $parts = 'SELECT count(*), max(s) FROM t';
check('cancelled workers', $parts, cancelled($parts, 40), undef);
$session->query(q(RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET cpu_tuple_cost;
	RESET max_parallel_workers_per_gather));

# left by LIMIT, and by cursors
my $limit = 'SELECT n FROM t LIMIT 1;' x 100;
check('LIMIT', 'SELECT n FROM t LIMIT 1', $limit, undef);
my $cursor = q(BEGIN; DECLARE c CURSOR FOR SELECT n FROM t; FETCH 1 FROM c;
	ROLLBACK;) x 100;
check('cursors', 'SELECT 1', $cursor, undef);

# writing: rows at fault, errors beside them, topics and brokers that are away,
# cancelled before, while and after records are sent
$session->query(q(CREATE FOREIGN TABLE w (n int, s text, part int OPTIONS (metadata 'partition'))
	SERVER kafka OPTIONS (topic 'w');
	CREATE FOREIGN TABLE ws (n int, s text) SERVER kafka OPTIONS (topic 'w', delivery 'statement')));
check('rows that cannot be written', q(SELECT fail('INSERT INTO w VALUES (1, NULL, -1)', 3)),
	q(SELECT fail('INSERT INTO w VALUES (1, NULL, -1)', 100)), 100);
my $divided = q('INSERT INTO w SELECT 100 / (9000 - n), repeat(s, 100) FROM t');
# the pools fill up before anything is counted
check('an error beside an INSERT', "SELECT fail($divided, 30), fail($divided, 30)", "SELECT fail($divided, 30)", 30);
check('a missing topic to write to', q(SELECT fail('INSERT INTO none VALUES (1)', 3)),
	q(SELECT fail('INSERT INTO none VALUES (1)', 100)), 100);
$session->query(q(SET streamsql.broker_timeout = '20ms'));
check('a broker to write to that is away', q(SELECT fail('INSERT INTO away VALUES (1)', 3)),
	q(SELECT fail('INSERT INTO away VALUES (1)', 100)), 100);
$session->query(q(RESET streamsql.broker_timeout));
my $written = 'INSERT INTO w SELECT n, repeat(s, 100) FROM t';
check('cancelled INSERTs', cancelled($written, 60) x 2, cancelled($written, 60), undef);
my $statement = 'INSERT INTO ws SELECT n, repeat(s, 100) FROM t';
check('cancelled INSERTs of delivery statement', cancelled($statement, 60) x 2, cancelled($statement, 60), undef);
my $back = 'BEGIN; INSERT INTO w SELECT n, repeat(s, 100) FROM t; ROLLBACK;';
check('INSERTs that are rolled back', $back, $back x 30, undef);

is($session->query('SELECT count(*) FROM t'), '20000', 'the session is well');
$session->quit;
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
