# Memory of tables: bounded, used again, and held for readers as long as they
# read.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(sleep);

my $broker = StreamSQL::Broker->start('mock');
my $pad = 'x' x 100;
$broker->fill("topic\tbig\t4\nrepeat\t60000\tbig\t-\t-\tk%d\t{\"n\":%d,\"pad\":\"$pad\"}\n"
	  . "topic\tfirst\t1\nrepeat\t20000\tfirst\t-\t-\tk%d\t{\"n\":%d,\"pad\":\"$pad\"}\n"
	  . "topic\tup\t2\nrepeat\t10000\tup\t-\t-\tk%d\t{\"n\":0,\"pad\":\"$pad\"}\n");
my $node = StreamSQL::Instance::start($broker, q(streamsql.table_memory = '12MB'));

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub create { return sql("CREATE FOREIGN TABLE $_[0] (k text OPTIONS (key 'true'), n int, pad text)
	SERVER kafka OPTIONS (kind 'table', topic '$_[0]')") }
sub column { return sql("SELECT $_[1] FROM streamsql.tables WHERE \"table\" = '$_[0]'::regclass") }
sub latest { return sql("SET streamsql.read_consistency = latest; $_[0]") }

# ---- Full, and the way back ----

create('first');
is(sql('SELECT count(*) FROM first'), '20000', 'a table that fits');
create('big');
ok($node->poll_query_until('postgres', q(SELECT state = 'full' FROM streamsql.tables WHERE "table" = 'big'::regclass)),
	'one that does not is full');
my ($code, $out, $error) = $node->psql('postgres', 'SELECT count(*) FROM big', extra_params => ['-v', 'VERBOSITY=verbose']);
like($error, qr/53400: .*memory for tables is full/, 'readers are told');
like($error, qr/HINT:  .*streamsql.table_memory/, 'and what to do');
is(sql('SELECT count(*) FROM first'), '20000', 'the other is read as before');
cmp_ok(sql('SELECT sum(memory_bytes) FROM streamsql.tables'), '<=', 12 * 1024 * 1024, 'no more than the setting is used');
like(column('big', 'last_error'), qr/memory for tables is full/, 'the view says why');
my $had = column('big', 'rows');
cmp_ok($had, '<', 60000, "it has $had rows");
sql('DROP FOREIGN TABLE first');
# the worker frees its memory a moment after the statement
ok($node->poll_query_until('postgres', q(SELECT state <> 'full' FROM streamsql.tables WHERE "table" = 'big'::regclass)),
	'a table that was full sees that there is room');
is(latest('SELECT count(*), sum(n), count(DISTINCT k), min(length(pad)) FROM big'), '60000|1799970000|60000|100',
	'with room it goes on by itself, and nothing is lost');
is(column('big', 'state || coalesce(last_error, $$$$)'), 'ready', 'and is ready');
sql('DROP FOREIGN TABLE big');

# ---- Updates use freed memory again ----

create('up');
is(sql('SELECT count(*) FROM up'), '10000', 'a table to be updated');
my $after;
for my $round (1 .. 100)
{
	my $size = 'y' x ($round % 50);
	$broker->fill("repeat\t10000\tup\t-\t-\tk%d\t{\"n\":$round,\"pad\":\"$size$pad\"}\n", '-c', 'lz4');
	next if $round % 10;
	is(latest('SELECT count(*), min(n), max(n) FROM up'), "10000|$round|$round", "updated $round times");
	$after //= column('up', 'memory_bytes');
}
cmp_ok(column('up', 'memory_bytes'), '<=', $after * 1.5, 'memory does not grow with updates');

# ---- A cursor over many updates ----

# The rows of the table as one value.
my $digest = q(md5(string_agg(k || n || pad, ',' ORDER BY k)));

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $seen = $session->query("SELECT $digest FROM up");
my $cursor = $node->background_psql('postgres', on_error_stop => 0);
$cursor->query('BEGIN; DECLARE c CURSOR FOR SELECT k, n FROM up');
my $first = $cursor->query('FETCH 100 FROM c');
is(scalar(grep { /\|100$/ } split /\n/, $first), 100, 'a cursor begins');
for my $round (101 .. 110)
{
	$broker->fill("repeat\t10000\tup\t-\t-\tk%d\t{\"n\":$round,\"pad\":\"$pad\"}\n", '-c', 'lz4');
}
is(latest('SELECT min(n), max(n) FROM up'), '110|110', 'others see 100,000 updates');
my $rest = $cursor->query('FETCH ALL FROM c');
is(scalar(grep { /\|100$/ } split /\n/, $rest), 9900, 'the cursor sees none of them');
is($session->query("SELECT $digest FROM up"), $seen, 'nor does a REPEATABLE READ transaction');
cmp_ok(column('up', 'memory_bytes'), '<', 3 * $after, 'two versions of each row are kept, not all');
my $held = column('up', 'memory_bytes');
$cursor->query('COMMIT');
my $pid = $session->query('SELECT pg_backend_pid()');
is(sql("SELECT pg_terminate_backend($pid, 10000)"), 't', 'the other reader is terminated');
# what they held is used again: ten more rounds need no more
for my $round (111 .. 120)
{
	$broker->fill("repeat\t10000\tup\t-\t-\tk%d\t{\"n\":$round,\"pad\":\"$pad\"}\n", '-c', 'lz4');
}
is(latest('SELECT min(n), max(n) FROM up'), '120|120', 'updates go on');
ok($node->poll_query_until('postgres', qq(SELECT memory_bytes <= $after * 1.5 FROM streamsql.tables WHERE "table" = 'up'::regclass)),
	'claims of the dead are cleared: memory is given back');
$cursor->quit;
eval { $session->quit };

# ---- Everything deleted ----

$broker->fill("repeat\t10000\tup\t-\t-\tk%d\t\\N\n");
is(latest('SELECT count(*) FROM up'), '0', 'every row is deleted');
ok($node->poll_query_until('postgres', q(SELECT memory_bytes < 1000000 FROM streamsql.tables WHERE "table" = 'up'::regclass)),
	'and the memory of rows is given back');
sql('DROP FOREIGN TABLE up');
create('big');
is(latest('SELECT count(*) FROM big'), '60000', 'to other tables too');
StreamSQL::Instance::all_survived($node);
$node->stop;
done_testing();
