# All or nothing on a real Kafka: whatever ends a transaction, its topics have
# what a heap table has that it wrote beside them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use StreamSQL::Ledger;
use StreamSQL::Session;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $broker = StreamSQL::Broker->start('kafka',
	'transaction.abort.timed.out.transaction.cleanup.interval.ms' => 500);
my $node = StreamSQL::Instance::start($broker, 'max_prepared_transactions = 2');
my $bootstrap = $broker->bootstrap;
my $ledger = StreamSQL::Ledger->new($broker, $node, qw(a b d e fuzz ended));
$node->safe_psql('postgres', qq(
	CREATE SERVER second FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '$bootstrap');
	CREATE SERVER brief FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '$bootstrap', transaction_timeout_ms '1500');
	CREATE SERVER changed FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '$bootstrap');
	CREATE SERVER mapped FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '$bootstrap');
	CREATE SERVER everything FOREIGN DATA WRAPPER streamsql
	OPTIONS (bootstrap_servers '$bootstrap', isolation_level 'read_uncommitted');
	CREATE FOREIGN TABLE all_ended (n bigint) SERVER everything OPTIONS (topic 'ended');));
$ledger->add('c', undef, 'second');
$ledger->add('brief', undef, 'brief');
$ledger->add('changed', undef, 'changed');
$ledger->add('mapped', undef, 'mapped');
$ledger->add('once', q(delivery 'statement'));

my $session = StreamSQL::Session->new($node);

sub agree
{
	my ($topic, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply($ledger->differences($topic), $ledger->none, "$topic: $name");
	return;
}

# An unused range of numbers of this length, as a query.
my $next = 1;
sub numbers
{
	my ($length) = @_;
	my ($from, $to) = ($next, $next + $length - 1);
	$next += $length;
	return ("SELECT generate_series($from, $to)", $from, $to);
}

# The session goes on, and writes.
sub goes_on
{
	my ($topic, $name) = @_;
	my ($numbers) = numbers(3);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar $session->ask('BEGIN;' . $ledger->both($topic, $numbers) . 'COMMIT'), '',
		"$name: the session writes again");
	return;
}

# ---- COMMIT ----
{
	my ($numbers) = numbers(120_000);
	is(scalar $session->ask('BEGIN;' . $ledger->both('a', $numbers, 'md5(n::text)')
			  . $ledger->both('b', $numbers) . 'COMMIT; SELECT count(*), sum(n) FROM a'),
		'120000|7200060000', 'the next statement sees a large commit');
	agree($_, 'a commit is there whole, once') for qw(a b);
}
my %seen;
for my $i (1 .. 50)
{
	my ($numbers) = numbers($i % 7 + 1);
	$seen{ $session->ask('BEGIN;' . $ledger->both('b', $numbers) . 'COMMIT;'
			  . q(SELECT (SELECT count(*) FROM b) - (SELECT count(*) FROM kept WHERE topic = 'b') - 4)) }++;
}
is_deeply(\%seen, { 0 => 50 }, 'each commit is seen by the next statement, exactly');

# rows of a table: latest sees what another session has committed
$broker->fill("topic\tkeyed\t4\n");
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE keyed (k int OPTIONS (key 'true'), v int)
	SERVER kafka OPTIONS (kind 'table', topic 'keyed')));
my $reader = StreamSQL::Session->new($node);
$reader->ask(q(SET streamsql.read_consistency = 'latest'));
%seen = ();
for my $i (1 .. 30)
{
	$session->ask("INSERT INTO keyed SELECT k, $i FROM generate_series(1, 20) k");
	$seen{ $reader->ask("SELECT count(*) FROM keyed WHERE v = $i") }++;
}
is_deeply(\%seen, { 20 => 30 }, q('latest' sees what another session has committed));
$session->ask('BEGIN; UPDATE keyed SET v = 100 WHERE k <= 5; DELETE FROM keyed WHERE k > 15; ROLLBACK');
is(scalar $reader->ask('SELECT count(*), sum(v) FROM keyed'), '20|600', 'UPDATE and DELETE are rolled back');
is(scalar $session->ask(q(SET streamsql.read_consistency = 'latest'; BEGIN;
		UPDATE keyed SET v = 100 WHERE k <= 5; DELETE FROM keyed WHERE k > 15; COMMIT;
		SELECT count(*), sum(v) FROM keyed)), '15|800', '… and committed');
is(scalar $reader->ask('SELECT count(*), sum(v) FROM keyed'), '15|800', '… for others, too');
my %last = map { (split /\t/)[ 2, 3 ] } sort { (split /\t/, $a)[1] <=> (split /\t/, $b)[1] } $broker->drain('keyed');
is(scalar(grep { $_ eq '\N' } values %last), 5, 'a row deleted is a tombstone');

# ---- not committed ----
{
	my ($small, $from) = numbers(10);
	my ($large, undef, $to) = numbers(60_000);
	$session->ask('BEGIN;' . $ledger->both('a', $small) . 'ROLLBACK');
	is($ledger->sent('a', $from, $to), 0, 'a small transaction that is rolled back was never sent');
	$session->ask('BEGIN;' . $ledger->both('a', $large, q(repeat('x', 40))) . 'ROLLBACK');
	cmp_ok($ledger->sent('a', $from, $to), '>', 20_000, 'a large one was');
	agree('a', 'after ROLLBACK');
}
{
	my ($numbers, $first, $last) = numbers(250_000);
	is($session->state_of("BEGIN; INSERT INTO kept VALUES ('a', $first);
			INSERT INTO a (n) SELECT 1 / ($first + 200000 - n) * 0 + n FROM ($numbers) AS x (n); COMMIT"),
		'22012', 'an error after 200,000 rows');
	cmp_ok($ledger->sent('a', $first, $last), '>', 100_000, '… that had been sent');
	agree('a', 'after errors');
}

# How far a topic was written, committed or not.
sub written { return $ledger->query("SELECT sum(high) FROM streamsql.partitions('all_$_[0]')") }

# Begin an endless INSERT, return when some of it is at the broker.
sub begin_endless
{
	my ($writer) = @_;
	my ($numbers, $from) = numbers(10_000_000);
	my $before = written('ended');
	$writer->begin("BEGIN; INSERT INTO kept VALUES ('ended', $from); "
		  . "INSERT INTO ended (n, b) SELECT n, repeat('x', 40) FROM ($numbers) AS x (n)
			WHERE n % 500 > 0 OR pg_sleep(0.02) IS NOT NULL; COMMIT");
	for (1 .. 200)
	{
		return if written('ended') > $before + 100;
		sleep 0.05;
	}
	die "nothing was sent\n";
}
begin_endless($session);
my $start = time;
$ledger->query("SELECT pg_cancel_backend($session->{pid})");
my (undef, $errors) = $session->finish;
is(StreamSQL::Session::sqlstate($errors), '57014', 'cancelled in mid INSERT');
cmp_ok(time - $start, '<', 0.6, '… at once');
goes_on('ended', 'after a cancel');
my ($numbers) = numbers(10_000_000);
$start = time;
is($session->state_of("SET statement_timeout = 700; INSERT INTO ended (n) SELECT n FROM ($numbers) AS x (n)"),
	'57014', 'statement_timeout in mid INSERT');
cmp_ok(time - $start, '<', 1.3, '… at once');
goes_on('ended', 'after statement_timeout') if $session->ask('RESET statement_timeout') eq '';
my $victim = StreamSQL::Session->new($node);
begin_endless($victim);
$start = time;
$ledger->query("SELECT pg_terminate_backend($victim->{pid})");
(undef, $errors) = $victim->finish;
like($errors, qr/57P01.*connection lost/s, 'terminated in mid INSERT');
cmp_ok(time - $start, '<', 1.5, '… soon');
agree('ended', 'after cancels, a timeout and a backend that was terminated');

# ---- what PostgreSQL refuses at commit ----
$ledger->query('CREATE TABLE deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO deferred VALUES (1)');
{
	my ($small) = numbers(10);
	my ($large) = numbers(30_000);
	for my $numbers ($small, $large)
	{
		is($session->state_of('BEGIN; INSERT INTO deferred VALUES (1);' . $ledger->both('ended', $numbers) . 'COMMIT'),
			'23505', 'a deferred constraint fails at commit');
	}
}
$ledger->query('CREATE TABLE doubt (n int); INSERT INTO doubt VALUES (1)');
my @pair = ($session, StreamSQL::Session->new($node));
for my $length (5, 30_000)
{
	for my $writer (@pair)
	{
		my ($numbers) = numbers($length);
		$writer->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(n) FROM doubt;
			INSERT INTO doubt VALUES (2);' . $ledger->both('ended', $numbers));
	}
	is_deeply([ sort map { $_->state_of('COMMIT') } @pair ], [ '', '40001' ],
		'of two serialisable transactions one fails at commit');
	$_->ask('ROLLBACK') for @pair;
}
{
	my ($numbers) = numbers(10);
	is($session->state_of('BEGIN;' . $ledger->both('ended', $numbers) . "PREPARE TRANSACTION 'p'"), '0A000',
		'PREPARE TRANSACTION is refused');
}
agree('ended', 'after what PostgreSQL refuses');

# ---- savepoints: PostgreSQL's own table is the oracle ----
srand($ENV{SEED} // 7);
sub random_statement
{
	my ($depth) = @_;
	my $choice = int rand 12;
	my ($numbers) = numbers(rand() < 0.1 ? 8000 : 1 + int rand 20);
	my $insert = $ledger->both('fuzz', $numbers, q(repeat('x', 60)));
	return $insert if $choice < 4;
	return "SAVEPOINT s${\ ($$depth++)};" if $choice < 6;
	return 'ROLLBACK TO s' . int(rand $$depth) . ';' if $choice < 8 && $$depth > 0;
	return 'RELEASE s' . ($$depth = int rand $$depth) . ';' if $choice < 9 && $$depth > 0;
	return "DO \$\$ BEGIN $insert BEGIN ${\ $ledger->both('fuzz', (numbers(3))[0])}
		RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
		BEGIN ${\ $ledger->both('fuzz', (numbers(2))[0])} EXCEPTION WHEN division_by_zero THEN NULL; END; END \$\$;"
	  if $choice < 10;
	return "COPY fuzz (n) FROM stdin;\n"
	  . join('', map { "$_\n" } $next .. $next + 2) . "\\.\nINSERT INTO kept VALUES "
	  . join(', ', map { "('fuzz', ${\ ($next++)})" } 1 .. 3) . ';'
	  if $choice < 11;
	return rand() < 0.15 ? 'SELECT 1 / 0;' : 'SELECT 1;';
}
my %ends;
for my $round (1 .. 120)
{
	my $depth = 0;
	my $memory = (0, 100, 65536)[ $round % 3 ];
	my $sql = "SET streamsql.savepoint_memory = $memory; BEGIN;\n"
	  . join("\n", map { random_statement(\$depth) } 1 .. 4 + rand 16);
	my (undef, $errors) = $session->ask($sql);
	my $doomed = $errors =~ /ERROR:  40000: cannot go on after a savepoint/ ? 1 : 0;
	(undef, $errors) = $session->ask(rand() < 0.1 ? 'ROLLBACK' : 'COMMIT');
	$doomed ||= $errors =~ /ERROR:  40000: cannot go on after a savepoint/ ? 1 : 0;
	$ends{ $doomed ? 'doomed' : 'other' }++;
	if ($errors ne '' && !$doomed && $errors !~ /no transaction in progress/)
	{
		fail("round $round: $errors");
		note $sql;
	}
	agree('fuzz', "savepoints, up to round $round") if $round % 40 == 0;
}
cmp_ok($ends{doomed} // 0, '>', 5, 'some transactions were doomed');
cmp_ok($ledger->{count}, '>', 2000, '… and others committed');
$session->ask('RESET streamsql.savepoint_memory');
{
	# within its memory a savepoint really takes back, whatever its size
	my ($first) = numbers(10);
	my ($lost) = numbers(100_000);
	my ($last) = numbers(10);
	is(scalar $session->ask('BEGIN;' . $ledger->both('d', $first) . 'SAVEPOINT s;'
			  . "INSERT INTO d (n) SELECT n FROM ($lost) AS x (n); ROLLBACK TO s;" . $ledger->both('d', $last) . 'COMMIT'),
		'', '100,000 rows are taken back');
	agree('d', 'after ROLLBACK TO');
	# beyond it nothing of the transaction is seen
	is($session->state_of('SET streamsql.savepoint_memory = 1000; BEGIN;' . $ledger->both('d', (numbers(10))[0]) . 'SAVEPOINT s;'
			  . $ledger->both('d', (numbers(50_000))[0]) . 'ROLLBACK TO s; COMMIT; RESET streamsql.savepoint_memory'),
		'40000', 'more than a savepoint may hold, rolled back, fails the transaction');
	is(scalar $session->ask('SET streamsql.savepoint_memory = 1000; BEGIN; SAVEPOINT s;'
			  . $ledger->both('d', (numbers(50_000))[0]) . 'RELEASE s; COMMIT; RESET streamsql.savepoint_memory'),
		'', '… but not when it is released');
	agree('d', 'after more than a savepoint may hold');
}

# ---- delivery statement ----
{
	my ($numbers, $from, $to) = numbers(5000);
	$session->ask("BEGIN; INSERT INTO once (n) $numbers");
	is(scalar(keys %{ $ledger->published('once') }), 5000,
		'delivery statement: acknowledged before the statement ends');
	$session->ask("ROLLBACK; INSERT INTO kept SELECT 'once', n FROM ($numbers) AS x (n)");
	is(scalar(keys %{ $ledger->published('once') }), 5000, '… and there after ROLLBACK');
}

# ---- several servers and mappings ----
$broker->fill("topic\tnarrow\t4\tmax.message.bytes=1000\n");
$ledger->query(q(CREATE FOREIGN TABLE narrow (n bigint, b text) SERVER second OPTIONS (topic 'narrow')));
for my $length (10, 30_000)
{
	is(scalar $session->ask('BEGIN;' . $ledger->both('e', (numbers($length))[0]) . $ledger->both('c', (numbers($length))[0]) . 'COMMIT'),
		'', 'two servers in one transaction');
	$session->ask('BEGIN;' . $ledger->both('e', (numbers($length))[0]) . $ledger->both('c', (numbers($length))[0]) . 'ROLLBACK');
	my (undef, $errors) = $session->ask('BEGIN;' . $ledger->both('c', (numbers($length))[0]) . $ledger->both('e', (numbers($length))[0])
		  . q(INSERT INTO narrow VALUES (1, repeat('x', 3000)); COMMIT));
	like($errors, qr/ERROR:  54000: record is too large for topic "narrow"/, 'the topic of one refuses a record');
	goes_on($_, 'after a refused record') for qw(c e);
}
agree($_, 'after transactions of two servers') for qw(c e);
$ledger->query(q(CREATE ROLE alice; CREATE ROLE bob;
	GRANT ALL ON mapped, kept TO alice, bob;
	CREATE USER MAPPING FOR alice SERVER mapped OPTIONS (client_id 'alice');
	CREATE USER MAPPING FOR bob SERVER mapped OPTIONS (client_id 'bob')));
for my $end ('COMMIT', 'ROLLBACK', 'COMMIT')
{
	is(scalar $session->ask('BEGIN; ' . join('', map { "SET LOCAL ROLE $_;" . $ledger->both('mapped', (numbers(20_000))[0]) } qw(alice bob alice))
			  . "$end; RESET ROLE"), '', "two user mappings, $end");
}
agree('mapped', 'after transactions of two users');

# ---- a server that is changed to and fro keeps its id, and fences nobody ----
for my $option (q(ADD linger_ms '1'), q(DROP linger_ms), q(ADD linger_ms '1'), q(DROP linger_ms))
{
	goes_on('changed', "before ALTER SERVER … $option");
	$ledger->query("ALTER SERVER changed OPTIONS ($option)");
	goes_on('changed', "after ALTER SERVER … $option");
}
agree('changed', 'after ALTER SERVER');

# ---- open for too long ----
$session->ask('BEGIN;' . $ledger->both('brief', (numbers(20_000))[0]));
sleep 4;
my ($rows, $refusal) = $session->ask('COMMIT');
like($refusal, qr/ERROR:  (40000|08007): /, 'a transaction longer than transaction_timeout_ms fails');
goes_on('brief', 'after it');
$session->ask('BEGIN;' . $ledger->both('brief', (numbers(20_000))[0]));
sleep 4;
like(($session->ask($ledger->both('brief', (numbers(200_000))[0])))[1] . ($session->ask('COMMIT'))[1],
	qr/ERROR:  40000: Kafka at .* has ended the transaction/, '… when it goes on, too');
goes_on('brief', 'after that');
agree('brief', 'after transactions that were open for too long');

# ---- errors ----
$ledger->query(q(CREATE FOREIGN TABLE missing (n int) SERVER kafka OPTIONS (topic 'missing');
	CREATE FOREIGN TABLE missing_once (n int) SERVER kafka OPTIONS (topic 'missing', delivery 'statement')));
for my $table (qw(missing missing_once))
{
	like(($session->ask("INSERT INTO $table VALUES (1)"))[1], qr/ERROR:  42P01: topic "missing" does not exist/,
		'a missing topic');
}
is($ledger->query(q(SELECT count(*) FROM streamsql.topics('kafka') WHERE topic = 'missing')), 0, '… is not created');
for my $table (qw(e once))
{
	like(($session->ask('BEGIN;' . $ledger->both('b', (numbers(5))[0]) . "INSERT INTO $table (n, b) VALUES (0, repeat('x', 2000000)); COMMIT"))[1],
		qr/ERROR:  54000: record is too large for topic "$table"/, "$table: a record too large");
	like(($session->ask('BEGIN;' . $ledger->both('b', (numbers(5))[0]) . "INSERT INTO $table (n, part) VALUES (0, 4); COMMIT"))[1],
		qr/ERROR:  22023: topic "$table" has no partition 4/, "$table: an unknown partition");
	goes_on($table, 'after errors');
}
# refused in a savepoint, and taken back
is($session->state_of('BEGIN;' . $ledger->both('b', (numbers(5))[0]) . q(SAVEPOINT s;
		INSERT INTO e (n, b) VALUES (0, repeat('x', 2000000)); ROLLBACK TO s; COMMIT)), '', 'a record too large is taken back');
# held still when the topic goes
$ledger->add('gone');
$session->ask('BEGIN;' . $ledger->both('b', (numbers(5))[0]) . 'INSERT INTO gone (n) SELECT generate_series(1, 10)');
$broker->fill("drop\tgone\n");
$session->ask(q(SET streamsql.broker_timeout = '2s'));
$start = time;
like(($session->ask('COMMIT'))[1], qr/ERROR:  (42P01|08006): /, 'a topic that was deleted before the commit is an error');
cmp_ok(time - $start, '<', 4, '… within streamsql.broker_timeout');
$session->ask('RESET streamsql.broker_timeout');
goes_on('b', 'after it');
agree($_, 'after errors') for qw(b once);

$_->quit for $session, $reader, $victim, $pair[1];
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
