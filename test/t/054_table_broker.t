# Tables while brokers fail, and what failing costs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(sleep time);

my $broker = StreamSQL::Broker->start('mock');
$broker->fill("topic\tt\t2\nrepeat\t1000\tt\t-\t-\tk%d\t{\"n\":%d}\n");
my $node = StreamSQL::Instance::start($broker, 'streamsql.broker_timeout = 2s',
	'streamsql.table_workers = 1');

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub fails { my ($code, $out, $error) = $node->psql('postgres', $_[0], extra_params => ['-v', 'VERBOSITY=verbose']); return $error }
sub create { return sql("CREATE FOREIGN TABLE $_[0] (k text OPTIONS (key 'true'), n int)
	SERVER kafka OPTIONS (kind 'table', topic '$_[1]')") }

create('t', 't');
is(sql('SELECT count(*), sum(n) FROM t'), '1000|499500', 'loaded');

# ---- A broker that is down while a table follows ----

$broker->control('down 1');
is(sql('SELECT count(*), sum(n) FROM t'), '1000|499500', 'eventual readers read on');
like(fails('SET streamsql.read_consistency = latest; SELECT count(*) FROM t'), qr/08006/, 'latest ones are told');
ok($node->poll_query_until('postgres', q(SELECT last_error IS NOT NULL AND state = 'ready' FROM streamsql.tables)),
	'the view says what is wrong, and that the table is ready');
create('late', 't');
like(fails(q(SET streamsql.table_wait = '500ms'; SELECT count(*) FROM late)), qr/55000: .*table "late" is still being loaded/,
	'a table that was created meanwhile is loading');
$broker->control('up 1');
is(sql('SELECT count(*), sum(n) FROM late'), '1000|499500', 'and is loaded when it is up');
$broker->fill("record\tt\t-\t-\tk0\t{\"n\":5}\n");
is(sql('SET streamsql.read_consistency = latest; SELECT sum(n) FROM t'), '499505', 'the first goes on');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 2 AND count(last_error) = 0 FROM streamsql.tables'), 'and all is well again');

# ---- One that stops answering; cancel ----

$broker->stall;
is(sql('SELECT sum(n) FROM t'), '499505', 'a silent broker does not stop readers');
my $began = time;
like(fails(q(SET statement_timeout = '300ms'; SET streamsql.read_consistency = latest; SELECT count(*) FROM t)),
	qr/57014: .*statement timeout/, 'statement_timeout ends waiting');
cmp_ok(time - $began, '<', 5, 'at once');
$broker->resume;
create('none', 'none');
like(fails('SELECT * FROM none'), qr/55000: .*could not be kept up to date.*\n.*topic "none" does not exist/s, 'a missing topic is named');
sql("CREATE SERVER away FOREIGN DATA WRAPPER streamsql OPTIONS (bootstrap_servers '127.0.0.1:1');
	CREATE FOREIGN TABLE away (k text OPTIONS (key 'true')) SERVER away OPTIONS (kind 'table', topic 't')");
$began = time;
like(fails(q(SET statement_timeout = '300ms'; SELECT count(*) FROM away)), qr/57014/, 'waiting for a load can be cancelled');
cmp_ok(time - $began, '<', 5, 'at once');
sql('DROP FOREIGN TABLE away; DROP SERVER away');


# ---- What failures leave behind ----

sub pid_of { return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = '$_[0]' ORDER BY pid LIMIT 1") }
my $session = $node->background_psql('postgres', on_error_stop => 0);
my %pids = (backend => scalar($session->query('SELECT pg_backend_pid()')), launcher => pid_of('streamsql launcher'));
my @workers = split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamsql table worker' ORDER BY pid");
@pids{ map { "worker$_" } 0 .. $#workers } = @workers;
$session->query(q(CREATE FUNCTION fail(query text, times int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE failed int = 0;
	BEGIN
		FOR i IN 1..times LOOP
			BEGIN EXECUTE query; EXCEPTION WHEN OTHERS OR query_canceled THEN failed := failed + 1; END;
		END LOOP;
		RETURN failed;
	END $$));

sub rounds
{
	my ($times) = @_;
	$session->query("SELECT fail('SELECT * FROM none', $times)");
	$session->query("SET streamsql.table_wait = '1ms'; SELECT fail('SELECT count(*) FROM t WHERE k = (1 / (n - n))::text', $times)");
	$session->query("SELECT fail('SELECT sum(1 / (n - n)) FROM t', $times)");
	for (1 .. $times)
	{
		sql("CREATE FOREIGN TABLE c (k text OPTIONS (key 'true'), n int)
			SERVER kafka OPTIONS (kind 'table', topic 't')");
		sql('SELECT count(*) FROM c') if $_ % 5 == 0;
		sql('DROP FOREIGN TABLE c');
	}
	return;
}

sub usage_of_all
{
	my %usage;
	for my $who (sort keys %pids)
	{
		note("$who is $pids{$who}");
		$usage{$who} = StreamSQL::Instance::usage($pids{$who});
	}
	return \%usage;
}
rounds(30);
sleep 1;
my $before = usage_of_all();
rounds(100);
my $after;
for (1 .. 100)
{
	$after = usage_of_all();
	last unless grep { $after->{$_}{threads} > $before->{$_}{threads} + 4 } keys %pids;
	sleep 0.1;
}
for my $who (sort keys %pids)
{
	# a table that is just being loaded has a client's threads and descriptors
	cmp_ok($after->{$who}{threads}, '<=', $before->{$who}{threads} + 4, "$who: threads");
	cmp_ok($after->{$who}{fds}, '<=', $before->{$who}{fds} + 12, "$who: descriptors");
	cmp_ok($after->{$who}{rss}, '<=', $before->{$who}{rss} + 8 * 1024, "$who: memory");
}
ok($node->poll_query_until('postgres', q(SELECT sum(memory_bytes) < 2000000 FROM streamsql.tables)), 'memory of tables is given back');
$session->quit;
StreamSQL::Instance::all_survived($node);
$node->stop;
done_testing();
