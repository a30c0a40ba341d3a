# What goes wrong between a writer and its broker: errors that Kafka answers,
# silence, lost requests and answers, brokers that go and come back. Whatever
# it is, the session goes on afterwards.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use StreamSQL::Ledger;
use StreamSQL::Proxy;
use StreamSQL::Session;
use Test::More;
use POSIX ();
use Time::HiRes qw(sleep time);

# The kinds of requests, by Kafka's numbers.
my %api = (produce => 0, metadata => 3, coordinator => 10, init => 22, add => 24, end => 26, markers => 27);

sub sqlstate { return StreamSQL::Session::sqlstate($_[0]) }

# ---- errors that a mock answers ----
{
	my $mock = StreamSQL::Broker->start('mock');
	my $node = StreamSQL::Instance::start($mock, 'streamsql.broker_timeout = 5s');
	$mock->fill("topic\tt\t1\ntopic\tonce\t1\n");
	$node->safe_psql('postgres', q(CREATE TABLE kept (n int);
		CREATE FOREIGN TABLE t (n int) SERVER kafka OPTIONS (topic 't');
		CREATE FOREIGN TABLE once (n int) SERVER kafka OPTIONS (topic 'once', delivery 'statement')));
	my $session = StreamSQL::Session->new($node);
	my $n = 0;

	# A row into heap and topic while so many requests of a kind fail.
	my $errors;
	my $write = sub {
		my ($table, $api, $code, $count, $writer) = @_;
		$n++;
		$mock->control("error $api{$api} $code $count") if $count;
		(undef, $errors) = ($writer // $session)->ask("BEGIN; INSERT INTO kept VALUES ($n); INSERT INTO $table VALUES ($n); COMMIT");
		my $state = sqlstate($errors);
		$mock->control("error $api{$api} 0 0") if $count;
		my $heap = $node->safe_psql('postgres', "SELECT count(*) FROM kept WHERE n = $n");
		return "$state$heap";
	};
	# How often the last row is in the topic.
	my $times = sub {
		return scalar grep { /"n":$n\}/ } $mock->drain($_[0]);
	};
	is($write->('t', 'end', 0, 0), 1, 'a transaction on the mock');
	for my $case (
		[ produce => 3, 5, 6, 7, 19, -195 ],
		[ add => 14, 15, 16, 51, 3, -195 ],
		[ end => 14, 15, 16, -195 ],
		[ coordinator => 15, -195 ])
	{
		my ($api, @codes) = @$case;
		for my $code (@codes)
		{
			is($write->('t', $api, $code, 2), 1, "$api: error $code twice is no error");
			is($times->('t'), 1, '… and the record is there once');
		}
	}
	for my $code (14, 15, 16, 51, -195)
	{
		my $other = StreamSQL::Session->new($node);
		is($write->('t', 'init', $code, 2, $other), 1, "init: error $code twice is no error");
		$other->quit;
	}
	is($write->('once', 'produce', $_, 2) . $times->('once'), 11, "delivery statement: error $_ twice is no error")
	  for 6, 7, -195;
	# the mock keeps what was written before a transaction fails, so that only
	# the heap can tell
	my %refused = (
		produce => { 10 => qr/^54000/, 29 => qr/^42501/, 47 => qr/^40000/, 87 => qr/^\w{5}/, 2 => qr/^\w{5}/ },
		add => { 29 => qr/^42501/, 47 => qr/^40000/, 48 => qr/^40000/, 49 => qr/^40000/, 53 => qr/^42501/, 90 => qr/^40000/ },
		end => { 47 => qr/^(40000|08007)/, 48 => qr/^(40000|08007)/, 49 => qr/^(40000|08007)/, 53 => qr/^(42501|08007)/, 90 => qr/^(40000|08007)/ });
	for my $api (sort keys %refused)
	{
		for my $code (sort { $a <=> $b } keys %{ $refused{$api} })
		{
			my $start = time;
			like($write->('t', $api, $code, 1), qr/$refused{$api}{$code}0$/, "$api: error $code is an error");
			like($errors, qr/topic "t"/, '… that names the topic');
			cmp_ok(time - $start, '<', 4, '… at once');
			is($write->('t', $api, 0, 0) . $times->('t'), 11, '… and the session writes again');
		}
	}
	my $other = StreamSQL::Session->new($node);
	like($write->('t', 'init', $_, 1, $other), qr/^(42501|08|HV|22|55)\w*0$/, "init: error $_ is an error") for 53, 50, 31;
	is($write->('t', 'init', 0, 0, $other) . $times->('t'), 11, '… and the session writes again');
	# for ever
	$_->ask(q(SET streamsql.broker_timeout = '700ms')) for $session, $other;
	for my $case ([ 'produce', 7, '08006' ], [ 'add', 51, '08006' ], [ 'end', 16, '08007' ])
	{
		my ($api, $code, $expected) = @$case;
		my $start = time;
		is($write->('t', $api, $code, 1000), "${expected}0", "$api: error $code for ever is silence");
		like($errors, qr/CONTEXT:  writing to topic "t"/, '… while writing to the topic');
		cmp_ok(time - $start, '<', 3, '… for broker_timeout');
		my $answer;
		for (1 .. 20)
		{
			last if ($answer = $write->('t', $api, 0, 0)) eq '1';
		}
		is($answer, 1, '… and the session writes again');
	}
	# nothing is left of a hundred failures
	$session->ask(q(SET streamsql.broker_timeout = '5s'));
	for my $case ([ 'add', 90 ], [ 'end', 90 ], [ 'produce', 29 ])
	{
		my ($api, $code) = @$case;
		$write->('t', $api, $code, 1) for 1 .. 3;
		$write->('t', $api, 0, 0);
		sleep 1;
		my $before = StreamSQL::Instance::usage($session->{pid});
		my %answers;
		for (1 .. 40)
		{
			$mock->control("error $api{$api} $code 1");
			$answers{ $session->state_of('INSERT INTO t VALUES (0)') eq '' ? 'good' : 'failed' }++;
		}
		$mock->control("error $api{$api} 0 0");
		cmp_ok($answers{failed} // 0, '>=', 30, "$api: error $code often");
		$write->('t', $api, 0, 0);
		my $after;
		for (1 .. 100)
		{
			$after = StreamSQL::Instance::usage($session->{pid});
			last if $after->{threads} <= $before->{threads};
			sleep 0.1;
		}
		cmp_ok($after->{threads}, '<=', $before->{threads}, '… leaves no thread');
		cmp_ok($after->{fds}, '<=', $before->{fds} + 2, '… no descriptor');
		cmp_ok($after->{rss}, '<', $before->{rss} + 30_000, '… no memory');
	}
	$_->quit for $session, $other;
	$node->stop;
	StreamSQL::Instance::all_survived($node);
	$mock->stop;
}

unless (StreamSQL::Broker::has_kafka())
{
	diag('a real Kafka needs java and mvn: the rest is skipped');
	done_testing();
	exit;
}

# ---- a real Kafka, and somebody in between ----
my $proxy = StreamSQL::Proxy->new;
my $broker = StreamSQL::Broker->start('kafka', $proxy->properties,
	'broker.session.timeout.ms' => 2000, 'broker.heartbeat.interval.ms' => 500,
	'transaction.abort.timed.out.transaction.cleanup.interval.ms' => 500);
$proxy->forward($broker);
my $node = StreamSQL::Instance::start($broker, 'restart_after_crash = on');
my $ledger = StreamSQL::Ledger->new($broker, $node, qw(t lost chaos load));
$ledger->add('once', q(delivery 'statement'));
my $session = StreamSQL::Session->new($node);
my $next = 1;

sub agree
{
	my ($topic, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply($ledger->differences($topic), $ledger->none, "$topic: $name");
	return;
}

# An unused range of numbers, as a query and its ends.
sub numbers
{
	my ($length) = @_;
	my ($from, $to) = ($next, $next + $length - 1);
	$next += $length;
	return ("SELECT generate_series($from, $to)", $from, $to);
}

# SQL of a transaction, without its COMMIT, and the ends of its numbers.
sub transaction
{
	my ($topic, $length) = @_;
	my ($numbers, $from, $to) = numbers($length);
	return ('BEGIN;' . $ledger->both($topic, $numbers, q(repeat('x', 60))), $from, $to);
}

# Is the transaction with these numbers there? If so, the heap learns of it.
sub outcome
{
	my ($topic, $from, $to) = @_;
	my $times = $ledger->settled($topic);
	my $there = grep { $times->{$_} } $from .. $to;
	return 'not there' if $there == 0;
	return 'torn' if $there < $to - $from + 1;
	$ledger->query("INSERT INTO kept SELECT '$topic', generate_series($from, $to)");
	return 'there';
}

sub goes_on
{
	my ($topic, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar $session->ask((transaction($topic, 5))[0] . 'COMMIT'), '', "$name: the session writes again");
	return;
}
goes_on('t', 'at first');

# ---- one request or one answer is lost ----
for my $name (qw(produce add end))
{
	for my $what (qw(lose_request lose_answer))
	{
		for my $length (3, 8000)
		{
			$proxy->tell("rule $api{$name} $what 1");
			my (undef, $errors) = $session->ask((transaction('lost', $length))[0] . 'COMMIT');
			is($errors, '', "$what of $name, $length rows: no error");
			$proxy->tell('clear');
		}
	}
}
is($proxy->tell('lost'), 12, 'they were really lost');
agree('lost', 'after lost requests and answers');
for my $what (qw(lose_request lose_answer))
{
	my ($numbers) = numbers(3000);
	$proxy->tell("rule $api{produce} $what 2");
	is(scalar $session->ask($ledger->both('once', $numbers)), '', "delivery statement: $what of produce: no error");
	$proxy->tell('clear');
}
agree('once', 'nothing is lost or doubled');

# ---- the answer to COMMIT does not come ----
for my $case ([ hold_request => 'not there' ], [ hold_answer => 'there' ])
{
	my ($what, $expected) = @$case;
	for my $length (3, 8000)
	{
		my ($sql, $from, $to) = transaction('t', $length);
		$session->ask("SET streamsql.broker_timeout = '700ms'; $sql");
		$proxy->tell("rule $api{end} $what 1");
		my $start = time;
		is($session->state_of('COMMIT'), '08007', "$what of a commit, $length rows: its outcome is unknown");
		cmp_ok(time - $start, '<', 1.5, '… after broker_timeout');
		$session->ask('RESET streamsql.broker_timeout');
		goes_on('t', $what);
		$proxy->tell('clear');
		is(outcome('t', $from, $to), $expected, "… it is $expected");
	}
	my ($sql, $from, $to) = transaction('t', 3);
	$session->ask($sql);
	$proxy->tell("rule $api{end} $what 1");
	$session->begin('COMMIT');
	sleep 0.5;
	my $start = time;
	$ledger->query("SELECT pg_cancel_backend($session->{pid})");
	my (undef, $errors) = $session->finish;
	is(sqlstate($errors), '08007', "$what of a commit that is cancelled: its outcome is unknown");
	cmp_ok(time - $start, '<', 0.6, '… at once');
	goes_on('t', "$what, cancelled");
	$proxy->tell('clear');
	is(outcome('t', $from, $to), $expected, "… it is $expected");
}
# markers that are not written: the session does not wait for long
{
	my ($sql, $from, $to) = transaction('t', 3);
	$session->ask($sql);
	$proxy->tell("rule $api{markers} hold_request 1");
	my $start = time;
	is($session->state_of('COMMIT'), '', 'a commit whose markers are not written');
	cmp_ok(time - $start, '<', 1, '… is answered soon');
	is(scalar(grep { $_ >= $from } keys %{ $ledger->published('t') }), 0, '… and not seen yet');
	$proxy->tell('clear');
	goes_on('t', 'when they are');
}
agree('t', 'after commits without answers');

# ---- silence while records are sent ----
my $endless = q(SELECT generate_series(1000000000, 1100000000));
for my $delivery (qw(t once))
{
	my $sql = "INSERT INTO $delivery (n, b) SELECT n, repeat('x', 200) FROM ($endless) AS x (n)";
	my @steps = $delivery eq 't' ? ("BEGIN; INSERT INTO t (n) SELECT generate_series(2000000000, 2000010000)") : ();
	$session->ask($_) for @steps;
	$session->ask(q(SET streamsql.broker_timeout = '1s'));
	$broker->stall;
	my $start = time;
	is($session->state_of($sql), '08006', "$delivery: a broker that falls silent");
	my $took = time - $start;
	cmp_ok($took, '>', 0.9, '… is waited for');
	cmp_ok($took, '<', 4, '… for broker_timeout');
	$session->ask('ROLLBACK; RESET streamsql.broker_timeout');
	$start = time;
	is($session->state_of("SET statement_timeout = 500; $sql"), '57014', '… statement_timeout acts on it');
	cmp_ok(time - $start, '<', 1, '… at once');
	$session->ask('RESET statement_timeout');
	$session->begin($sql);
	sleep 1;
	$start = time;
	kill 'INT', $session->{pid};
	my (undef, $errors) = $session->finish;
	is(sqlstate($errors), '57014', '… and cancel');
	cmp_ok(time - $start, '<', 0.6, '… at once');
	$broker->resume;
	goes_on('t', 'when the broker answers');
}
$broker->stall;
my $victim = StreamSQL::Session->new($node);
$victim->begin((transaction('t', 100_000))[0] . 'COMMIT');
sleep 1;
my $start = time;
kill 'TERM', $victim->{pid};
like(($victim->finish)[1], qr/57P01/, 'a backend that is terminated while its broker is silent');
cmp_ok(time - $start, '<', 1, '… says so at once');
for (1 .. 80)
{
	last unless kill 0, $victim->{pid};
	sleep 0.1;
}
ok(!kill(0, $victim->{pid}), '… and goes');
$victim->quit;
$broker->resume;
agree('t', 'after a broker that was silent');

# ---- a load, and what happens to it ----
# One transaction after the other; some of those that fail are tried again by
# their client until they are in. A line for each: first and last number and
# SQLSTATE.
sub attempt
{
	my ($writer, $file, $topic) = @_;
	my ($sql, $from, $to) = transaction($topic, 1001);
	for my $try (1 .. 20)
	{
		my ($answer, $errors) = $writer->ask("$sql COMMIT");
		my $state = sqlstate($errors);
		$writer->ask('ROLLBACK') if $state;
		print $file join(' ', $from, $to, $state || 'committed', $errors =~ s/\n/ /gr), "\n";
		return if $state eq '' || $state eq '08007' || $from % 2;
		sleep 0.1;
	}
	return;
}

# The load for so many seconds, by a process of its own, while something is
# done; then what became of the transactions nobody knows about.
my %count;
sub load
{
	my ($topic, $seconds, $timeout, $events) = @_;
	my $path = $node->basedir . "/$topic";
	my $child = fork // die $!;
	if ($child == 0)
	{
		my $end = time + $seconds;
		my $writer = StreamSQL::Session->new($node);
		open my $file, '>', $path or POSIX::_exit(1);
		$writer->ask("SET streamsql.broker_timeout = '$timeout'");
		attempt($writer, $file, $topic) while time < $end;
		close $file;
		$writer->quit;
		POSIX::_exit(0);
	}
	$events->();
	waitpid $child, 0;
	is($?, 0, "$topic: the load came to its end");
	%count = (committed => 0);
	my %unknown;
	open my $file, '<', $path or die $!;
	while (<$file>)
	{
		my ($from, $to, $state) = split / /;
		$next = $to + 1;
		$count{$state}++;
		$unknown{$from} = $to if $state eq '08007';
		note $_ if $state ne 'committed';
	}
	note join ', ', map { "$_: $count{$_}" } sort keys %count;
	my %outcomes = map { outcome($topic, $_, $unknown{$_}) => 1 } keys %unknown;
	ok(!$outcomes{torn}, 'a transaction whose outcome is unknown is there whole or not at all');
	return;
}

# connections that break again and again
my $lost = $proxy->tell('lost');
$proxy->tell('chaos 8');
load('chaos', 10, '5s', sub { sleep 10 });
$proxy->tell('clear');
cmp_ok($proxy->tell('lost') - $lost, '>', 20, 'connections broke');
cmp_ok($count{committed}, '>', 5, '… and transactions were committed');
agree('chaos', 'all of what was committed and nothing else');

# a broker that goes and comes back
load('load', 18, '1500ms', sub {
	for (1 .. 2)
	{
		sleep 2;
		$broker->stop;
		sleep 2;
		$broker->start_again;
	}
});
cmp_ok($count{committed}, '>', 5, 'transactions were committed while a broker went and came');
cmp_ok(scalar(grep { $_ ne 'committed' } keys %count), '>', 0, '… and some were not');

# exactly at COMMIT
for my $case ([ hold_request => 'not there' ], [ hold_answer => 'there' ])
{
	my ($what, $expected) = @$case;
	$session->ask(q(SET streamsql.broker_timeout = '20s'));
	goes_on('load', "$what, before a broker dies at a commit");
	my ($sql, $from, $to) = transaction('load', 1000);
	$session->ask("SET streamsql.broker_timeout = '2s'; $sql");
	my $before = $proxy->tell("seen $api{end}");
	$proxy->tell("rule $api{end} $what 1");
	$session->begin('COMMIT');
	for (1 .. 100)
	{
		last if $proxy->tell("seen $api{end}") > $before;
		sleep 0.02;
	}
	is($proxy->tell("seen $api{end}"), $before + 1, "$what: the commit is under way");
	sleep 0.3;
	$broker->crash;
	$proxy->tell('drop');
	is(sqlstate(($session->finish)[1]), '08007', '… its outcome is unknown');
	$broker->stop;
	$broker->start_again;
	$session->ask(q(SET streamsql.broker_timeout = '20s'));
	goes_on('load', "$what, when the broker is back");
	is(outcome('load', $from, $to), $expected, "… it is $expected");
}
agree('load', 'all of what was committed and nothing else');
$session->quit;
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
