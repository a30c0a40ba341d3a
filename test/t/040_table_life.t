# Tables and the life of a server: preloading, databases, dumps, workers that
# end, restarts, a standby.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $broker = StreamSQL::Broker->start('mock');
$broker->fill("topic\tusers\t4\nrepeat\t1000\tusers\t-\t-\tu%d\t{\"n\":%d}\n");

my $create = q(CREATE FOREIGN TABLE users (id text OPTIONS (key 'true'), n int)
	SERVER kafka OPTIONS (kind 'table', topic 'users'));
my $sum = 'SELECT count(*), sum(n) FROM users';

# ---- Without preloading ----

{
	my $node = StreamSQL::Instance::start($broker, q(shared_preload_libraries = ''));
	my ($code, $out, $error) = $node->psql('postgres', $create, extra_params => ['-v', 'VERBOSITY=verbose']);
	like($error, qr/55000: .*need streamsql to be loaded when the server starts/, 'no tables without preloading');
	like($error, qr/HINT:  Add streamsql to shared_preload_libraries/, 'with a hint');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM streamsql.tables'), '0', 'the view is empty');
	is($node->safe_psql('postgres', q(CREATE FOREIGN TABLE s (n int) SERVER kafka OPTIONS (topic 'users');
		SELECT count(*) FROM s)), '1000', 'streams need nothing');
	$node->stop;
}

# ---- With it, beside another library ----

my $node = StreamSQL::Instance::start($broker,
	q(shared_preload_libraries = 'pg_stat_statements, streamsql'),
	q(streamsql.snapshot_interval = 1), 'wal_level = replica', 'max_wal_senders = 4',
	'max_worker_processes = 12');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
$node->safe_psql('postgres', $create);
is($node->safe_psql('postgres', $sum), '1000|499500', 'a table is loaded');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%FROM users%')),
	'1', 'pg_stat_statements counts it');
is($node->safe_psql('postgres', q(SELECT string_agg(DISTINCT backend_type, ',' ORDER BY backend_type)
	FROM pg_stat_activity WHERE backend_type LIKE 'streamsql%')),
	'streamsql launcher,streamsql table worker', 'its processes have names');

# ---- Tables that were dropped cost nothing ----

# CPU seconds of the processes whose table worker's name this is, by now.
sub cpu_of_workers
{
	my $seconds = 0;
	for my $pid (split /\n/, $node->safe_psql('postgres',
			q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamsql table worker')))
	{
		my @fields = split / /, slurp_file("/proc/$pid/stat") =~ s/.*\) //r;
		$seconds += ($fields[11] + $fields[12]) / 100;
	}
	return $seconds;
}
$node->safe_psql('postgres', join '', map {
	$create =~ s/TABLE users/TABLE gone$_/r . ';'
} 1 .. 4);
is($node->safe_psql('postgres', "SELECT count(*) FROM gone$_"), '1000', "table $_ of four more")
  for 1 .. 4;
$node->safe_psql('postgres', join '', map { "DROP FOREIGN TABLE gone$_;" } 1 .. 4);
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM streamsql.tables');
sleep 1;
my $before = cpu_of_workers();
sleep 2;
cmp_ok(cpu_of_workers() - $before, '<', 0.6, 'workers of dropped tables do not spin');

sub update
{
	my ($value) = @_;
	$broker->fill("record\tusers\t-\t-\tu0\t{\"n\":$value}\n");
	return;
}

# The table has this value now, asked with read_consistency latest.
sub holds
{
	my ($server, $database, $value, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($server->safe_psql($database, "SET streamsql.read_consistency = latest;
		SELECT n FROM users WHERE id = 'u0'; SELECT count(*) FROM users"),
		"$value\n1000", $name);
	return;
}

# ---- Workers that end ----

for my $type ('streamsql table worker', 'streamsql launcher')
{
	my $pids = "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE backend_type = '$type'";
	my $before = $node->safe_psql('postgres', $pids);
	is($node->safe_psql('postgres', "SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE backend_type = '$type'"), 't', "$type is terminated");
	is($node->safe_psql('postgres', $sum), '1000|499500', 'readers read on');
	ok($node->poll_query_until('postgres', "SELECT ($pids) IS NOT NULL AND ($pids) <> '$before'"), 'another one comes');
	update(-1);
	holds($node, 'postgres', -1, 'updates arrive');
	update(0);
	holds($node, 'postgres', 0, 'and more of them');
}
my ($done) = $node->safe_psql('postgres', 'SELECT applied FROM streamsql.tables');
ok($done < 2000, "the table was not loaded again: $done records applied");

# ---- Databases ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', "CREATE EXTENSION streamsql;
	CREATE SERVER kafka FOREIGN DATA WRAPPER streamsql OPTIONS (bootstrap_servers '" . $broker->bootstrap . "')");
$node->safe_psql('other', $create);
is($node->safe_psql('other', $sum), '1000|499500', 'another database has its own');
is($node->safe_psql('other', 'SELECT count(*) FROM streamsql.tables'), '1', 'and sees its own alone');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
update(7);
holds($node, $_, 7, "$_ keeps its table") for 'postgres', 'other', 'copy';
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
update(8);
holds($node, 'renamed', 8, 'a renamed database keeps its table');
$node->safe_psql('postgres', 'ALTER DATABASE renamed ALLOW_CONNECTIONS false');
$node->safe_psql('postgres', 'ALTER DATABASE renamed ALLOW_CONNECTIONS true');
holds($node, 'renamed', 8, 'and after connections were forbidden');
$node->safe_psql('postgres', 'DROP DATABASE renamed');
$node->safe_psql('postgres', 'DROP DATABASE other WITH (FORCE)');
my $files = $node->data_dir . '/streamsql';
my $oid = $node->safe_psql('postgres', q(SELECT oid FROM pg_database WHERE datname = 'postgres'));
for (1 .. 100)
{
	last unless grep { !/^${oid}_/ } map { s{.*/}{}r } glob("$files/*");
	sleep 0.1;
}
is_deeply([ grep { !/^${oid}_/ } map { s{.*/}{}r } glob("$files/*") ], [], 'files of dropped databases are gone');
holds($node, 'postgres', 8, 'the others are as they were');
# their memory too: more tables than fit at once, one after the other
for my $round (1 .. 30)
{
	$node->safe_psql('postgres', "CREATE DATABASE d TEMPLATE template0");
	$node->safe_psql('postgres', 'DROP DATABASE d');
}
pass('databases come and go');

# ---- Dumps ----

$node->command_ok(['pg_dump', '-f', "$PostgreSQL::Test::Utils::tmp_check/dump.sql", '-d', $node->connstr('postgres')], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'),
	'-f', "$PostgreSQL::Test::Utils::tmp_check/dump.sql"], 'restore');
holds($node, 'restored', 8, 'a restored table is loaded');
$node->safe_psql('postgres', 'DROP DATABASE restored');

# ---- Restarts ----

ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_ls_dir('streamsql') AS f WHERE f LIKE '%.table'"),
	'a snapshot file is written');
update(9);
holds($node, 'postgres', 9, 'one more update');
for my $mode ('fast', 'immediate')
{
	$node->stop($mode);
	update(10);
	$node->start;
	holds($node, 'postgres', 10, "after a $mode shutdown the table is there");
	my $applied = $node->safe_psql('postgres', 'SELECT applied FROM streamsql.tables');
	ok($applied < 100, "most of it from its file: $applied records applied");
}

# ---- A standby ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
holds($standby, 'postgres', 10, 'a standby loads tables');
update(11);
holds($standby, 'postgres', 11, 'and follows');
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE more (id text OPTIONS (key 'true'), n int)
	SERVER kafka OPTIONS (kind 'table', topic 'users')));
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM more'), '1000', 'a table that came later');
$standby->promote;
update(12);
holds($standby, 'postgres', 12, 'and after promotion');
$standby->safe_psql('postgres', 'DROP FOREIGN TABLE more');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM streamsql.tables'), '1', 'where tables can be dropped');
StreamSQL::Instance::all_survived($standby);
$standby->stop;

# ---- No free worker ----

$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->restart;
my ($code, $out, $error) = $node->psql('postgres', "SET streamsql.table_wait = '300ms'; $sum");
like($error, qr/table "users" is not being loaded yet/, 'without a worker readers are told');
like(slurp_file($node->logfile), qr/no background worker is free/, 'and so is the log');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;
holds($node, 'postgres', 12, 'with one all is well');
$node->stop;
done_testing();
