# What goes wrong while records are read, with both readers: leaders that move,
# brokers that go, stall or answer errors, cancels, and what is left behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use Test::More;
use Time::HiRes qw(time sleep);

my $records = 20_000;
my $sum = $records * ($records - 1) / 2;
my @readers = qw(wire librdkafka);

my $broker = StreamSQL::Broker->start('mock', brokers => 3);
my $node = StreamSQL::Instance::start($broker, 'streamsql.broker_timeout = 5s',
	'restart_after_crash = on');

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Small batches and small answers: there is much between begin and end.
$broker->fill("topic\tt\t4\ntopic\tmany\t1000\ntopic\tone\t1\n"
	  . "topic\tled\t1\ntopic\tgone\t1\ntopic\tshort\t1\n"
	  . "producer\tp\tbatch.num.messages=100\n"
	  . "repeat\t$records\tt\t-\t-\tk%d\t{\"n\":%d}\n"
	  . "repeat\t$records\tone\t0\t-\tk%d\t{\"n\":%d}\n"
	  . "repeat\t$records\tmany\t-\t-\tk%d\t{\"n\":%d}\n"
	  . "repeat\t$records\tled\t0\t-\tk%d\t{\"n\":%d}\n"
	  . "repeat\t$records\tgone\t0\t-\tk%d\t{\"n\":%d}\n"
	  . "producer\tbig\tbatch.num.messages=1\n"
	  . "repeat\t5000\tshort\t0\t-\tk\t{\"n\":%d,\"s\":\"" . 'x' x 900 . "\"}\n");
for my $reader (@readers)
{
	sql(sprintf q(CREATE SERVER %1$s FOREIGN DATA WRAPPER streamsql OPTIONS
		(bootstrap_servers '%2$s', reader '%1$s', fetch_message_max_bytes '20000',
		client_rack 'here')), $reader, $broker->bootstrap);
	sql("CREATE FOREIGN TABLE ${_}_$reader (n int, part int OPTIONS (metadata 'partition'),
		off bigint OPTIONS (metadata 'offset')) SERVER $reader OPTIONS (topic '$_')")
	  for qw(t many one led gone short);
}

my %sessions = map { $_ => $node->background_psql('postgres', on_error_stop => 0) } @readers;
my %pids = map { $_ => scalar $sessions{$_}->query('SELECT pg_backend_pid()') } @readers;

# In a session, with what it complains of.
sub ask
{
	my ($reader, $query) = @_;
	my $session = $sessions{$reader};
	$session->{stderr} = '';
	my $answer = $session->query($query =~ s/%R/$reader/gr);
	my $error = $session->{stderr};
	$session->{stderr} = '';
	return wantarray ? ($answer, $error) : $answer . $error;
}

# Brokers speak other versions, of which new connections learn.
sub speak
{
	my ($api, $versions) = @_;
	$broker->control("versions $api $versions");
	$broker->control("down $_") for 1 .. 3;
	$broker->control("up $_") for 1 .. 3;
	return;
}

sub both
{
	my ($query, $expected, $name) = @_;
	is(scalar ask($_, $query), $expected, "$name ($_)") for @readers;
	return;
}

sub well { return both('SELECT count(*), sum(n) FROM t_%R', "$records|$sum", $_[0]) }

# Something happens when some rows were read; the sum of all rows.
sub in_mid_reading
{
	my ($reader, $table, $event) = @_;
	ask($reader, 'BEGIN');
	ask($reader, "DECLARE c CURSOR FOR SELECT n FROM ${table}_%R");
	my ($rows, $error) = ask($reader, 'FETCH 700 FROM c');
	$event->() unless $error;
	(my $rest, $error) = ask($reader, 'FETCH ALL FROM c') unless $error;
	ask($reader, 'COMMIT');
	return $error if $error;
	my @rows = split /\n/, "$rows\n$rest";
	my $total = 0;
	$total += $_ for @rows;
	return scalar(@rows) . "|$total";
}

# Begin a query, and what comes of it and after how long.
sub begin
{
	my ($reader, $query) = @_;
	my $session = $sessions{$reader};
	@$session{qw(stdout stderr)} = ('', '');
	$session->{stdin} .= ($query =~ s/%R/$reader/gr) . ";\n\\echo done\n";
	$session->{run}->pump_nb;
	return;
}

sub finish
{
	my ($reader) = @_;
	my $session = $sessions{$reader};
	my $start = time;
	$session->{run}->pump until $session->{stdout} =~ /done\n/;
	my $answer = $session->{stdout} =~ s/done\n//r . $session->{stderr};
	chomp $answer;
	@$session{qw(stdout stderr)} = ('', '');
	return ($answer, time - $start);
}

ask($_, '\set VERBOSITY verbose') for @readers;
well('all is well');

# ---- leaders ----
for my $reader (@readers)
{
	my %answers;
	for my $round (1 .. 6)
	{
		$answers{ in_mid_reading($reader, 't', sub {
			$broker->control("leader t $_ " . (($round + $_) % 3 + 1)) for 0 .. 3;
		}) }++;
	}
	is_deeply(\%answers, { "$records|$sum" => 6 }, "leaders that move cost no row ($reader)");
}
$broker->control('leader t 0 -1');
begin('wire', 'SELECT count(*), sum(n) FROM t_%R');
sleep 0.3;
$broker->control('leader t 0 1');
is((finish('wire'))[0], "$records|$sum", 'a partition without a leader for a while');

# ---- followers, topics that go, records that go ----
$broker->control('leader led 0 1');
$broker->control('follower led 0 2');
both('SELECT count(*), sum(n) FROM led_%R', "$records|$sum", 'a follower');
is(in_mid_reading('wire', 'led', sub { $broker->control('follower led 0 3') }),
	"$records|$sum", '... that is another one then');
is(in_mid_reading('wire', 'led', sub { $broker->control('follower led 0 -1') }),
	"$records|$sum", '... or none');
$broker->control('leader gone 0 1');
is(in_mid_reading('wire', 'gone', sub {
	$broker->control('topic_error gone 3');
	$broker->control('leader gone 0 2');
}) =~ s/\n.*//sr =~ s/.*?: //r, 'ERROR:  42P01: topic "gone" does not exist',
	'a topic that goes in mid reading');
# the mock keeps 5 MiB of a partition; librdkafka has read all of that ahead
like(in_mid_reading('wire', 'short', sub {
	$broker->fill("repeat\t700\tshort\t0\t-\tk\t{\"n\":%d,\"s\":\"" . 'x' x 10_000 . "\"}\n");
}), qr/HV000: records of topic "short", partition 0 from offset \d+ on are no longer there/,
	'records that go in mid reading');

# ---- brokers that go ----
for my $reader (@readers)
{
	for my $id (1 .. 3)
	{
		is(in_mid_reading($reader, 't', sub {
			$broker->control("down $id");
			$broker->control("up $id");
		}), "$records|$sum", "broker $id down and up again in mid reading ($reader)");
	}
	begin($reader, 'SELECT count(*), sum(n) FROM t_%R');
	$broker->control("down $_") for 1 .. 3;
	sleep 0.3;
	$broker->control("up $_") for 1 .. 3;
	is((finish($reader))[0], "$records|$sum", "all brokers are away for a while ($reader)");
	$broker->control("down 2");
	my ($answer, $error) = ask($reader, q(SET streamsql.broker_timeout = '700ms';
		SELECT count(*) FROM t_%R));
	like($error, qr/no answer from Kafka|could not reach Kafka/, "a leader that is away ($reader)");
	$broker->control("up 2");
	ask($reader, 'RESET streamsql.broker_timeout');
}
well('the sessions read again');

# Its successor leads only after somebody learnt of the dead one: a session that
# knows it, and one that never reached it.
for my $reader (@readers)
{
	for my $knows (1, 0)
	{
		local $sessions{$reader} = $node->background_psql('postgres', on_error_stop => 0);
		$broker->control('leader one 0 2');
		ask($reader, 'SELECT n FROM one_%R LIMIT 1') if $knows;
		$broker->control('down 2');
		begin($reader, 'SELECT count(*), sum(n) FROM one_%R');
		sleep 0.7;
		$broker->control('leader one 0 3');
		my ($answer, $seconds) = finish($reader);
		is($answer, "$records|$sum", "a leader that dies, and has a successor ($reader)");
		cmp_ok($seconds, '<', 3, '... is not asked any more');
		$broker->control('up 2');
		$sessions{$reader}->quit;
	}
}
for my $reader (@readers)
{
	is(in_mid_reading($reader, 't', sub { $broker->control('error 1 -195 5') }),
		"$records|$sum", "connections that are closed instead of an answer ($reader)");
	$broker->control('error 3 -195 2');
	is(scalar ask($reader, 'SELECT count(*), sum(n) FROM t_%R'), "$records|$sum",
		"... instead of metadata ($reader)");
}

# ---- errors in answers ----
# up to version 6 an error is of a partition, later of the answer, too
my @transient = (-1, 5, 6, 7, 8, 9, 13, 56, 74, 75, 78);
my @fatal = (2, 17, 29, 35);
my %told;
for my $versions ('0 4', '0 6', '0 8', '0 10', '0 11')
{
	speak(1, $versions);
	for my $reader (@readers)
	{
		is(scalar ask($reader, 'SELECT count(*), sum(n) FROM t_%R'), "$records|$sum",
			"Fetch $versions ($reader)");
		my %answers;
		for my $code (@transient)
		{
			$answers{ in_mid_reading($reader, 't',
					sub { $broker->control("error 1 $code 2") }) } .= " $code";
		}
		is_deeply(\%answers, { "$records|$sum" => ' ' . join ' ', @transient },
			"... transient errors cost no row ($reader)");
		next if $versions ne '0 6';
		for my $code (@fatal)
		{
			$broker->control("error 1 $code 3");
			my (undef, $error) = ask($reader, 'SELECT count(*) FROM one_%R');
			$told{$reader}{$code} = $error =~ s/^psql:<stdin>:\d+: |\n.*//grs;
			$broker->control('error 1 0 0');
		}
	}
}
diag "$_: $told{wire}{$_}" for @fatal;
is_deeply($told{wire}, $told{librdkafka}, 'fatal errors are told alike');
well('all is well again');

# ---- versions of metadata ----
for my $version (1 .. 9)
{
	speak(3, "0 $version");
	is(in_mid_reading('wire', 't', sub {
		$broker->control("leader t $_ " . (($version + $_) % 3 + 1)) for 0 .. 3;
	}), "$records|$sum", "Metadata up to version $version");
}
speak(3, '0 9');

# ---- slow and silent ones ----
$broker->control("rtt $_ 100") for 1 .. 3;
both('SELECT count(*) FROM one_%R WHERE off < 300', '300', 'slow brokers');
$broker->control("rtt $_ 0") for 1 .. 3;
for my $reader (@readers)
{
	ask($reader, 'BEGIN');
	ask($reader, 'DECLARE c CURSOR FOR SELECT n FROM t_%R');
	ask($reader, 'MOVE 10 FROM c');
	# to be there for what librdkafka has not read ahead
	$broker->stall;
	begin($reader, q(SET statement_timeout = '300ms'; SELECT count(*) FROM t_%R));
	my ($answer, $took) = finish($reader);
	like($answer, qr/statement timeout/, "silence, and statement_timeout ($reader)");
	cmp_ok($took, '<', 0.7, '... at once');
	$broker->resume;
	ask($reader, 'ROLLBACK; RESET statement_timeout');
}
# in mid reading, which wire does not do ahead by more than an answer
ask('wire', 'BEGIN');
ask('wire', 'DECLARE c CURSOR FOR SELECT n FROM t_%R');
ask('wire', 'MOVE 10 FROM c');
$broker->stall;
begin('wire', 'MOVE FORWARD ALL FROM c');
sleep 0.5;
sql("SELECT pg_cancel_backend($pids{wire})");
my ($cancelled, $took) = finish('wire');
like($cancelled, qr/canceling statement due to user request/, 'cancel while a broker is silent');
cmp_ok($took, '<', 0.3, '... at once');
ask('wire', q(ROLLBACK; SET streamsql.broker_timeout = '700ms'));
$broker->resume;
ask('wire', 'BEGIN');
ask('wire', 'DECLARE c CURSOR FOR SELECT n FROM t_%R');
ask('wire', 'MOVE 10 FROM c');
$broker->stall;
begin('wire', 'MOVE FORWARD ALL FROM c');
my ($silent, $waited) = finish('wire');
like($silent, qr/08006.*no answer from Kafka while reading topic "t" for 700 ms/,
	'broker_timeout in mid reading');
cmp_ok($waited, '<', 1.5, '... in time');
$broker->resume;
ask('wire', 'ROLLBACK; RESET streamsql.broker_timeout');
well('all is well again');

# ---- many partitions, two scans, cursors, savepoints ----
both('SELECT count(*), sum(n), count(DISTINCT part) > 990 FROM many_%R', "$records|$sum|t",
	'a thousand partitions');
# a batch with many ranges is decompressed once, not for each of them
$broker->fill("topic\tbatch\t1\nproducer\tz\tcompression.codec=gzip\tbatch.size=1000000\n"
	  . "repeat\t$records\tbatch\t0\t-\tk%d\t{\"n\":%d}\n");
sql("CREATE FOREIGN TABLE batch_$_ (n int, off bigint OPTIONS (metadata 'offset'))
	SERVER $_ OPTIONS (topic 'batch')") for @readers;
my %times;
for my $reader (@readers)
{
	my $start = time;
	is(scalar ask($reader, 'SELECT count(*), sum(n) FROM batch_%R WHERE off IN ('
			  . join(', ', map { 3 * $_ } 1 .. 3000) . ')'), '3000|13504500',
		"many ranges of few batches ($reader)");
	$times{$reader} = time - $start;
}
cmp_ok($times{wire}, '<', 5 * $times{librdkafka} + 0.1, '... in time');
both('SELECT count(*), sum(a.n) FROM t_%R a JOIN t_%R b USING (n)', "$records|$sum",
	'two scans of a topic');
both('SELECT count(*) FROM t_%R a, LATERAL (SELECT n FROM one_%R b WHERE b.off = a.n LIMIT 1) c
	WHERE a.part = 1 AND a.off < 50', 50, 'a scan for each row of another');
for my $reader (@readers)
{
	is(in_mid_reading($reader, 't', sub {
		ask($reader, 'DECLARE d CURSOR FOR SELECT n FROM t_%R');
		ask($reader, 'FETCH 10 FROM d');
		ask($reader, 'SAVEPOINT s');
		ask($reader, 'DECLARE e CURSOR FOR SELECT n FROM one_%R');
		ask($reader, 'FETCH 10 FROM e');
		ask($reader, 'ROLLBACK TO s');
		is(ask($reader, 'SELECT count(*) FROM t_%R'), $records, 'beside open cursors');
	}), "$records|$sum", "a cursor beside others and a savepoint ($reader)");
}

# ---- what is left behind ----
# After a hundred times; one client more may be idle than before.
sub growth
{
	my ($reader, $queries) = @_;
	my $before = StreamSQL::Instance::usage($pids{$reader});
	ask($reader, $queries);
	my $after;
	for (1 .. 50)
	{
		$after = StreamSQL::Instance::usage($pids{$reader});
		last if $after->{threads} <= $before->{threads} + 12;
		sleep 0.1;
	}
	return map { $after->{$_} - $before->{$_} } qw(threads fds rss);
}

sub leaves_nothing
{
	my ($reader, $name, $queries) = @_;
	my ($threads, $fds, $rss) = growth($reader, $queries);
	cmp_ok($threads, '<=', 12, "$name: no thread is left ($reader)");
	cmp_ok($fds, '<=', 25, "$name: no descriptor is left ($reader)");
	# librdkafka's queue may hold 32 MB, and an idle client another one
	cmp_ok($rss, '<', $reader eq 'wire' ? 20_000 : 70_000, "$name: no memory is left ($reader)");
	return;
}

for my $reader (@readers)
{
	leaves_nothing($reader, 'LIMIT', 'SELECT n FROM t_%R LIMIT 1;' x 200);
	my $cancel = join ' ', map {
		sprintf q(SET statement_timeout = '%dms'; SELECT count(*), sum(n), max(part) FROM %s_%%R;
			SET statement_timeout = 0;), 1 + rand 25, $_ % 2 ? 't' : 'many'
	} 1 .. 100;
	# what is kept for the next time is made the first time
	ask($reader, $cancel);
	leaves_nothing($reader, 'cancels', $cancel);
	$broker->control('error 1 6 300');
	leaves_nothing($reader, 'cancels while leaders are asked for', $cancel);
	$broker->control('error 1 0 0');
}
well('all is well after it');

# cancelled while it asks for leaders, which takes its time: what comes is of
# no use to the next scan, and does not stop it
my %after;
for my $ms (map { 350 + 50 * $_ } 1 .. 8)
{
	$broker->control("rtt $_ 150") for 1 .. 3;
	$broker->control('error 1 6 30');
	ask('wire', "SET statement_timeout = '${ms}ms'; SELECT count(*) FROM t_%R");
	$broker->control('error 1 0 0');
	$broker->control("rtt $_ 0") for 1 .. 3;
	$after{ ask('wire', 'RESET statement_timeout; SELECT count(*) FROM t_%R') }++;
}
is_deeply(\%after, { $records => 8 }, 'cancelled while leaders were asked for');

# ---- a backend that is killed ----
begin('wire', 'SELECT count(*) FROM t_%R a, t_%R b, t_%R c WHERE a.n + b.n + c.n < 0');
sleep 0.3;
kill 'KILL', $pids{wire};
$_->{run}->kill_kill for values %sessions;
ok($node->poll_query_until('postgres', 'SELECT count(*) = ' . $records . ' FROM t_wire'),
	'a backend is killed, the next one reads');

$node->stop;
done_testing();
