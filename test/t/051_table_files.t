# Snapshot files: when they are written, and when they are not believed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use StreamSQL::Broker;
use StreamSQL::Instance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $broker = StreamSQL::Broker->start('mock');
$broker->fill("topic\tt\t2\nrepeat\t3000\tt\t-\t-\tk%d\t{\"n\":%d}\ntopic\tother\t2\nrepeat\t10\tother\t-\t-\tk%d\t{\"n\":5}\n");
my $node = StreamSQL::Instance::start($broker, 'streamsql.snapshot_interval = 1');
my $folder = $node->data_dir . '/streamsql';

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub state_of { return sql("SET streamsql.read_consistency = latest; SELECT count(*), sum(n) FROM $_[0]") }
sub applied { return sql("SELECT applied FROM streamsql.tables WHERE \"table\" = '$_[0]'::regclass") }

sql(qq(CREATE FOREIGN TABLE t (k text OPTIONS (key 'true'), n int) SERVER kafka OPTIONS (kind 'table', topic 't');
	CREATE FOREIGN TABLE other (k text OPTIONS (key 'true'), n int) SERVER kafka OPTIONS (kind 'table', topic 'other')));
my $right = '3000|4498500';
is(state_of('t'), $right, 'loaded');
is(state_of('other'), '10|50', 'and the other');
my ($file, $other) = map { "$folder/" . sql("SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '_' || '$_'::regclass::oid || '.table'") } 't', 'other';

sub wait_for_file
{
	for (1 .. 200) { return 1 if -s $_[0]; sleep 0.05 }
	return 0;
}
ok(wait_for_file($_), 'a file is written') for $file, $other;

# ---- Only when something changed ----

my $written = (stat $file)[9];
my $inode = (stat $file)[1];
sleep 3;
is((stat $file)[1], $inode, 'it is not written again while nothing changes');
$broker->fill("record\tt\t-\t-\tk0\t{\"n\":0}\n");
is(state_of('t'), $right, 'a change');
for (1 .. 200) { last if (stat $file)[1] != $inode; sleep 0.05 }
isnt((stat $file)[1], $inode, 'and then it is');
$node->stop;
copy($file, "$folder/good");
copy($other, "$folder/good_other");

# ---- Files that are used, and those that are not ----

# Start with this file in place; was it believed?
sub start_with
{
	my ($name, $believed, $make) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$make->();
	my $from = -s $node->logfile;
	$node->start;
	is(state_of('t'), $right, "$name: the right contents");
	if ($believed) { cmp_ok(applied('t'), '<', 100, "$name: from the file") }
	else { cmp_ok(applied('t'), '>=', 3000, "$name: from the topic") }
	my $log = slurp_file($node->logfile, $from);
	if ($believed) { unlike($log, qr/is not used/, "$name: nothing to say") }
	else { like($log, qr/snapshot file of table \d+ of database \d+ is not used/, "$name: the log says so") }
	$node->stop;
	return;
}

sub change_byte
{
	my ($at) = @_;
	copy("$folder/good", $file);
	open my $f, '+<', $file or die $!;
	seek $f, $at, 0;
	read $f, my $byte, 1;
	seek $f, $at, 0;
	print $f chr(ord($byte) ^ 0x41);
	close $f;
	return;
}
my $size = -s "$folder/good";
start_with('a good file', 1, sub { copy("$folder/good", $file) });
start_with("byte $_ changed", 0, do { my $at = $_; sub { change_byte($at) } }) for 3, 60, int($size / 2), $size - 5;
start_with('truncated', 0, sub { copy("$folder/good", $file); truncate $file, int($size * 0.7) });
start_with('empty', 0, sub { open my $f, '>', $file or die $!; close $f });
start_with("another table's", 0, sub { copy("$folder/good_other", $file) });
start_with('garbage', 0, sub { open my $f, '>', $file or die $!; print $f 'x' x 100000; close $f });
unlink $file;
$node->start;
is(state_of('t'), $right, 'no file: the right contents');

# ---- An older file, and one of an earlier definition ----

$broker->fill("repeat\t10\tt\t-\t-\tk%d\t{\"n\":1000}\nrecord\tt\t-\t-\tk20\t\\N\n");
$right = '2999|' . (4498500 - 45 - 20 + 10000);
is(state_of('t'), $right, 'more records');
$node->stop;
start_with('an older file', 1, sub { copy("$folder/good", $file) });
$node->start;
sql('ALTER FOREIGN TABLE t ADD COLUMN extra text');
is(state_of('t'), $right, 'altered');
ok(wait_for_file($file), 'a file of the new definition');
$node->stop;
start_with('a file of an earlier definition', 0, sub { copy("$folder/good", $file) });

# ---- A folder that can't be written ----

{
	$node->start;
	chmod 0500, $folder;
	$broker->fill("record\tt\t-\t-\tk1\t{\"n\":1000}\n");
	is(state_of('t'), $right, 'without a place for files tables are kept');
	for (1 .. 100) { last if slurp_file($node->logfile) =~ /could not write the snapshot file/; sleep 0.1 }
	like(slurp_file($node->logfile), qr/could not write the snapshot file .*Permission denied/, 'and the log says why there are none');
	chmod 0700, $folder;
}

# ---- DROP ----

sql('DROP FOREIGN TABLE t');
for (1 .. 100) { last unless -e $file; sleep 0.05 }
ok(!-e $file, 'DROP removes the file');
$node->stop;
done_testing();
