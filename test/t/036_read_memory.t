# What a scan holds does not grow with its topic: the peak of a backend's memory
# while it reads 300 MB, and 1 GB that came compressed, in 1,000 partitions of
# three brokers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;

my $broker = StreamSQL::Broker->start('mock', brokers => 3);
my $node = StreamSQL::Instance::start($broker);
my $value = 'x' x 2000;
my $large = 'x' x 200_000;

$broker->fill("topic\tsmall\t1\nrepeat\t1000\tsmall\t0\t-\tk\t%d\n"
	  . "topic\twide\t1000\nrepeat\t150000\twide\t-\t-\tk%d\t$value\n");
# an answer of a few kB is large here
$broker->fill("topic\tpacked\t1000\nproducer\tp\tcompression.codec=zstd\tbatch.num.messages=1\n"
	  . "repeat\t5000\tpacked\t-\t-\tk%d\t$large\n");

# A server in a schema of its name, with the three topics.
sub make_server
{
	my ($name, $options) = @_;
	$node->safe_psql('postgres', sprintf(q(CREATE SCHEMA %1$s;
		CREATE SERVER %1$s FOREIGN DATA WRAPPER streamsql
		OPTIONS (bootstrap_servers '%2$s', %3$s);), $name, $broker->bootstrap, $options)
		. join '', map { "CREATE FOREIGN TABLE $name.$_ (val bytea)
			SERVER $name OPTIONS (topic '$_', format 'raw');" } qw(small wide packed));
	return;
}

# By how many MB the peak of a new backend grows from its first query to this.
sub growth
{
	my ($name, $query, $expected) = @_;
	my $session = $node->background_psql('postgres');
	my $pid = $session->query("SET search_path = $name; SELECT pg_backend_pid()");
	$session->query('SELECT count(*), sum(length(val)) FROM small');
	my $before = StreamSQL::Instance::usage($pid)->{peak};
	is($session->query($query), $expected, "$name: $query");
	my $after = StreamSQL::Instance::usage($pid)->{peak};
	$session->quit;
	my $grown = ($after - $before) / 1024;
	diag sprintf 'memory: %s, %s: %.1f MB', $name, $query, $grown;
	return $grown;
}

my @wide = (['SELECT count(*) FROM wide', '150000'],
	['SELECT count(*), sum(length(val)) FROM wide', '150000|300000000']);
my @packed = (['SELECT count(*) FROM packed', '5000'],
	['SELECT count(*), sum(length(val)) FROM packed', '5000|1000000000']);

# Of each broker an answer of 2 MB and the next one; besides, a batch of rows.
make_server('wire', q(reader 'wire'));
for my $query (@wide, @packed)
{
	cmp_ok(growth('wire', @$query), '<', 24, '... in less than 24 MB');
}

# That it can be seen at all: who lets answers be larger needs more.
make_server('greedy', q(reader 'wire', fetch_max_bytes '50000000'));
cmp_ok(growth('greedy', @{ $packed[0] }), '>', 24, '... in more, by larger answers');

# queued_max_messages_kbytes is 32 MB; what it decompresses is not bounded.
make_server('librdkafka', q(reader 'librdkafka'));
for my $query (@wide)
{
	cmp_ok(growth('librdkafka', @$query), '<', 128, '... in less than 128 MB');
}

$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
