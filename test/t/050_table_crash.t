# kill -9 of any process at any moment: a table is what its topic says, always.
#
# A model of the topic is kept here; records are produced while processes are
# killed. Prints its seed; STREAMSQL_SEED repeats a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run qw(start);
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(sleep);

my $seed = $ENV{STREAMSQL_SEED} // time;
srand($seed);
note("STREAMSQL_SEED=$seed");

my $keys = 2000;
my $rounds = 20;
my $broker = StreamSQL::Broker->start('mock');
$broker->fill("topic\tmodel\t4\n");
my $node = StreamSQL::Instance::start($broker, 'streamsql.snapshot_interval = 1',
	'restart_after_crash = on');
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE model (k text OPTIONS (key 'true'),
	v int, pad text, g int OPTIONS (index 'true')) SERVER kafka OPTIONS (kind 'table', topic 'model')));

my %model;
my $serial = 0;

# Some random upserts and deletes, in the model and in the topic.
sub change
{
	my ($count) = @_;
	my $lines = '';
	for (1 .. $count)
	{
		my $key = 'k' . int(rand($keys));
		if (rand() < 0.2)
		{
			delete $model{$key};
			$lines .= "record\tmodel\t-\t-\t$key\t\\N\n";
			next;
		}
		my $pad = 'x' x int(rand(200));
		$serial++;
		$model{$key} = [ $serial, $pad, $serial % 7 ];
		$lines .= "record\tmodel\t-\t-\t$key\t{\"v\":$serial,\"pad\":\"$pad\",\"g\":" . $serial % 7 . "}\n";
	}
	$broker->fill($lines);
	return;
}

# Try until the server answers again.
sub query
{
	my ($sql) = @_;
	for (1 .. 300)
	{
		my ($out, $error);
		my $code = $node->psql('postgres', $sql, stdout => \$out, stderr => \$error);
		return $out if $code == 0;
		$error =~ /the database system is|connection to server|terminating connection|server closed|not being loaded yet/
		  or die "$error\n";
		sleep 0.1;
	}
	die "the server does not come back\n";
}

sub compare
{
	my ($name) = @_;
	my $held = query("SET streamsql.read_consistency = latest;
		SELECT k, v, pad, g FROM model");
	my %rows = map { my ($k, @row) = split /\|/, $_, -1; ($k => "@row") } split /\n/, $held;
	my @wrong = grep { ($rows{$_} // 'no row') ne (exists $model{$_} ? "@{ $model{$_} }" : 'no row') }
	  sort keys %{ { %rows, %model } };
	is(scalar(@wrong), 0, "$name: " . keys(%model) . ' rows are those of the model')
	  or diag(join "\n", map { "$_: " . ($rows{$_} // 'no row') . ', not ' . ($model{$_} ? "@{ $model{$_} }" : 'no row') }
		  @wrong[ 0 .. ($#wrong > 5 ? 5 : $#wrong) ]);
	# what the index says is what the rows say
	is(query('SELECT string_agg(n::text, $$,$$ ORDER BY g) FROM (SELECT g, count(*) n FROM model GROUP BY g) x'),
		query('SELECT string_agg((SELECT count(*) FROM model WHERE g = i)::text, $$,$$ ORDER BY i) FROM generate_series(0, 6) i
			WHERE EXISTS (SELECT FROM model WHERE g = i)'), "$name: and so is the index");
	return;
}

sub pids
{
	my ($type) = @_;
	return split /\n/, query("SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

change(3000);
compare('at first');

for my $round (1 .. $rounds)
{
	my $victim = ('streamsql table worker', 'streamsql launcher', 'reader', 'postmaster')[ $round % 4 ];
	my $reader;
	change(200);
	# writing and reading go on while it happens
	if (rand() < 0.5)
	{
		change(100);
	}
	else
	{
		compare("round $round before");
	}
	if ($victim eq 'reader')
	{
		my ($in, $out, $error) = ("SELECT pg_backend_pid();\nBEGIN; DECLARE c CURSOR FOR SELECT * FROM model; FETCH 10 FROM c;\nSELECT count(*) FROM model a, model b;\n", '', '');
		$reader = start([ 'psql', '-X', '-A', '-t', '-d', $node->connstr('postgres') ], \$in, \$out, \$error);
		for (1 .. 200) { $reader->pump_nb; last if $out =~ /^\d+\n/; sleep 0.01 }
		my ($pid) = $out =~ /^(\d+)\n/;
		sleep rand(0.2);
		kill 'KILL', $pid;
	}
	elsif ($victim eq 'postmaster')
	{
		my @all = map { /(\d+)/ } split /\n/, query('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
		sleep rand(0.3);
		$node->kill9;
		# its children notice by themselves
		for (1 .. 200) { last unless grep { kill 0, $_ } @all; sleep 0.05 }
		change(50);
		$node->start;
	}
	else
	{
		my @pids = pids($victim);
		sleep rand(0.3);
		kill 'KILL', @pids;
	}
	change(100);
	if ($reader)
	{
		eval { $reader->kill_kill };
	}
	compare("round $round, $victim");
}
$node->stop;
is(scalar(grep { /streamsql/ } glob($node->data_dir . '/streamsql/*.tmp')), 0, 'nothing half written is left');
done_testing();
