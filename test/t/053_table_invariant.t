# Readers see whole states while the writer writes as fast as it can: a record
# holds two numbers that sum to zero, and a state holds every key.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run qw(start);
use StreamSQL::Broker;
use PostgreSQL::Test::Utils;
use StreamSQL::Instance;
use Test::More;

my $seconds = $ENV{STREAMSQL_SECONDS} // 20;
my $keys = 3000;
my $broker = StreamSQL::Broker->start('mock');
$broker->fill("topic\tinv\t4\nrepeat\t$keys\tinv\t-\t-\tk%d\t{\"a\":0,\"b\":0,\"g\":\"x\"}\n");
my $node = StreamSQL::Instance::start($broker, 'streamsql.snapshot_interval = 1');
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE inv (k text OPTIONS (key 'true'), a int, b int,
	g text OPTIONS (index 'true')) SERVER kafka OPTIONS (kind 'table', topic 'inv')));
is($node->safe_psql('postgres', 'SELECT count(*) FROM inv'), $keys, 'loaded');

# Each reader loops in one session, in its own way, and raises what is wrong.
my %readers = (
	scan => q(
		SELECT count(*), count(*) FILTER (WHERE a + b <> 0) INTO n, wrong FROM inv;
		IF n <> KEYS OR wrong > 0 THEN RAISE EXCEPTION 'scan: % rows, % wrong', n, wrong; END IF;),
	twice => q(
		SELECT count(*), count(*) FILTER (WHERE x.a <> y.a OR x.b <> y.b OR x.g <> y.g) INTO n, wrong
			FROM inv x JOIN inv y USING (k);
		IF n <> KEYS OR wrong > 0 THEN RAISE EXCEPTION 'twice: % rows, % wrong', n, wrong; END IF;),
	lookup => q(
		SELECT count(t.k), count(*) FILTER (WHERE a + b <> 0) INTO n, wrong
			FROM generate_series(0, KEYS - 1) AS i LEFT JOIN inv t ON t.k = 'k' || i;
		IF n <> KEYS OR wrong > 0 THEN RAISE EXCEPTION 'lookup: % rows, % wrong', n, wrong; END IF;),
	index => q(
		SELECT sum(many) INTO n FROM (SELECT (SELECT count(*) FROM inv t WHERE t.g = s.g) AS many
			FROM unnest(ARRAY['x', 'y', 'z']) AS s(g)) AS q;
		IF n <> KEYS THEN RAISE EXCEPTION 'index: % rows', n; END IF;
		OPEN c FOR SELECT a, b FROM inv;
		n := 0;
		LOOP
			FETCH c INTO r;
			EXIT WHEN NOT FOUND;
			n := n + 1;
			IF r.a + r.b <> 0 THEN RAISE EXCEPTION 'cursor: % and %', r.a, r.b; END IF;
		END LOOP;
		CLOSE c;
		IF n <> KEYS THEN RAISE EXCEPTION 'cursor: % rows', n; END IF;),
);

my @running;
for my $name (sort keys %readers)
{
	my $body = $readers{$name} =~ s/KEYS/$keys/gr;
	my $in = "SET enable_hashjoin = off; SET enable_mergejoin = off;
		CREATE OR REPLACE FUNCTION pg_temp.run() RETURNS int LANGUAGE plpgsql AS \$f\$
		DECLARE n int; wrong int; r record; c refcursor; rounds int := 0;
			ends timestamptz := clock_timestamp() + '$seconds s';
		BEGIN
			WHILE clock_timestamp() < ends LOOP $body rounds := rounds + 1; END LOOP;
			RETURN rounds;
		END \$f\$;
		SELECT pg_temp.run();";
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.sql";
	append_to_file($file, $in);
	my $reader = { name => $name, out => '', error => '' };
	$reader->{run} = start([ 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', '/dev/null', '>', \$reader->{out}, '2>', \$reader->{error});
	push @running, $reader;
}

# The writer: whole rounds over all keys, the values moving between groups.
my $end = time + $seconds;
my $round = 0;
while (time < $end)
{
	$round++;
	my $g = ('x', 'y', 'z')[ $round % 3 ];
	my $pad = 'p' x ($round % 90);
	$broker->fill("repeat\t$keys\tinv\t-\t-\tk%d\t{\"a\":$round,\"b\":-$round,\"g\":\"$g\",\"pad\":\"$pad\"}\n", '-c', 'lz4');
}
cmp_ok($round, '>', 10, "$round rounds over $keys keys were written meanwhile");
for my $reader (@running)
{
	$reader->{run}->finish;
	is($reader->{error}, '', "$reader->{name}: nothing wrong");
	my ($rounds) = $reader->{out} =~ /(\d+)/;
	cmp_ok($rounds // 0, '>', 10, "$reader->{name}: looked " . ($rounds // 0) . ' times');
}
is($node->safe_psql('postgres', "SET streamsql.read_consistency = latest;
	SELECT count(*), min(a), max(a), sum(a + b) FROM inv"), "$keys|$round|$round|0", 'in the end all is there');
StreamSQL::Instance::all_survived($node);
$node->stop;
done_testing();
