# Many who write to a real Kafka: at the same time, one after the other in the
# same slots, and those who are killed.
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

my $broker = StreamSQL::Broker->start('kafka');
my $node = StreamSQL::Instance::start($broker, 'restart_after_crash = on',
	'max_pred_locks_per_transaction = 256');
my $ledger = StreamSQL::Ledger->new($broker, $node, qw(busy churn doubt slots killed));
$broker->fill("topic\tnarrow\t1\tmax.message.bytes=1000\n");
$node->safe_psql('postgres', q(
	CREATE SEQUENCE numbers;
	CREATE TABLE doubt_heap (n bigint);
	CREATE FOREIGN TABLE missing (n int) SERVER kafka OPTIONS (topic 'missing');
	CREATE FOREIGN TABLE missing_once (n int) SERVER kafka OPTIONS (topic 'missing', delivery 'statement');
	CREATE FOREIGN TABLE narrow (n bigint, b text) SERVER kafka OPTIONS (topic 'narrow');
	CREATE FOREIGN TABLE once (n bigint, b text, part int OPTIONS (metadata 'partition'))
	SERVER kafka OPTIONS (topic 'slots', delivery 'statement');
	CREATE SERVER away FOREIGN DATA WRAPPER streamsql OPTIONS (bootstrap_servers '127.0.0.1:1');
	CREATE FOREIGN TABLE away (n int) SERVER away OPTIONS (topic 't');
	CREATE FOREIGN TABLE away_once (n int) SERVER away OPTIONS (topic 't', delivery 'statement');
	CREATE DOMAIN fussy AS int CHECK (VALUE < 10);
	CREATE FUNCTION fail(query text, times int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE failed int = 0;
	BEGIN
		FOR i IN 1..times LOOP
			BEGIN
				EXECUTE query;
			EXCEPTION WHEN OTHERS THEN failed := failed + 1;
			END;
		END LOOP;
		RETURN failed;
	END $$;));

sub agree
{
	my ($topic, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply($ledger->differences($topic), $ledger->none, "$topic: $name");
	return;
}

sub script
{
	my ($name, $text) = @_;
	my $path = $node->basedir . "/$name.sql";
	open my $file, '>', $path or die $!;
	print $file $text;
	close $file;
	return $path;
}

# A pgbench that must not fail; its number of transactions.
sub bench
{
	my ($name, @arguments) = @_;
	my ($out, $errors) = ('', '');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $good = IPC::Run::run([ 'pgbench', '-n', '-j', 1, @arguments, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \$out, '2>', \$errors);
	ok($good && $errors !~ /ERROR|aborted/, $name) or diag($out, $errors);
	return $out =~ /number of transactions actually processed: (\d+)/ ? $1 : 0;
}

# ---- at the same time ----
my %scripts = map { $_->[0] => script(@$_) } (
	[ 'one', q(SELECT nextval('numbers') AS n \gset
		BEGIN;
		INSERT INTO kept VALUES ('TOPIC', :n);
		INSERT INTO TOPIC (n) VALUES (:n);
		COMMIT;) ],
	[ 'many', q(SELECT nextval('numbers') * 1000000 AS n \gset
		BEGIN;
		INSERT INTO kept SELECT 'TOPIC', :n + i FROM generate_series(1, 50) i;
		INSERT INTO TOPIC (n) SELECT :n + i FROM generate_series(1, 50) i;
		SAVEPOINT s;
		INSERT INTO TOPIC (n) VALUES (-:n);
		ROLLBACK TO s;
		COMMIT;) ],
	[ 'large', q(SELECT nextval('numbers') * 1000000 AS n \gset
		BEGIN;
		INSERT INTO kept SELECT 'TOPIC', :n + i FROM generate_series(1, 6000) i;
		INSERT INTO TOPIC (n, b) SELECT :n + i, repeat('x', 60) FROM generate_series(1, 6000) i;
		COMMIT;) ],
	[ 'back', q(SELECT nextval('numbers') * 1000000 AS n \gset
		BEGIN;
		INSERT INTO kept VALUES ('TOPIC', :n);
		INSERT INTO TOPIC (n) VALUES (:n);
		ROLLBACK;) ],
	[ 'large_back', q(SELECT nextval('numbers') * 1000000 AS n \gset
		BEGIN;
		INSERT INTO TOPIC (n, b) SELECT :n + i, repeat('x', 60) FROM generate_series(1, 6000) i;
		ROLLBACK;) ]);
sub mix
{
	my ($topic) = @_;
	my %weight = (one => 10, many => 5, large => 1, back => 5, large_back => 1);
	return map {
		open my $in, '<', $scripts{$_} or die $!;
		my $text = join '', <$in>;
		('-f', script("$topic-$_", $text =~ s/TOPIC/$topic/gr) . "\@$weight{$_}")
	} sort keys %weight;
}
for my $clients (2, 4)
{
	my $count = bench("$clients sessions write at the same time", '-c', $clients, '-T', 8, mix('busy'));
	cmp_ok($count, '>', 50, "… $count transactions");
	agree('busy', 'nothing is lost, doubled, fenced or unwanted');
}
{
	# a new connection for each transaction: slots change hands at once
	my $count = bench('a connection for each transaction', '-c', 3, '-C', '-T', 8, mix('churn'));
	cmp_ok($count, '>', 20, "… $count transactions");
	agree('churn', 'nothing is lost, doubled, fenced or unwanted');
}
{
	# write skew: everybody reads all and writes one
	$node->safe_psql('postgres', 'INSERT INTO doubt_heap SELECT generate_series(-5, 0)');
	my $path = script('doubt', q(\set row random(-5, 0)
		\set other random(-5, 0)
		SELECT nextval('numbers') AS n \gset
		BEGIN ISOLATION LEVEL SERIALIZABLE;
		SELECT n FROM doubt_heap WHERE n = :other;
		UPDATE doubt_heap SET n = n WHERE n = :row;
		INSERT INTO kept VALUES ('doubt', :n);
		INSERT INTO doubt (n) VALUES (:n);
		COMMIT;));
	my ($before) = $ledger->query('SELECT last_value FROM numbers');
	my $count = bench('serialisable transactions', '-c', 4, '-T', 8, '--max-tries', 1, '-f', $path);
	my $tried = $ledger->query('SELECT last_value FROM numbers') - $before;
	cmp_ok($count, '>', 20, "… $count of $tried were committed");
	cmp_ok($count, '<', $tried - 4, '… and some were refused');
	agree('doubt', 'nothing that PostgreSQL refused is published');
}

# ---- one producer for many transactions ----
my $session = StreamSQL::Session->new($node);
sub settled_usage
{
	my ($threads) = @_;
	my $usage;
	for (1 .. 100)
	{
		$usage = StreamSQL::Instance::usage($session->{pid});
		last if $usage->{threads} <= $threads;
		sleep 0.1;
	}
	return $usage;
}

# Something done once to warm up, then often; "often" answers $expected.
sub check
{
	my ($name, $once, $often, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->ask($once) for 1 .. 2;
	sleep 1;
	my $before = StreamSQL::Instance::usage($session->{pid});
	my ($answer, $errors) = $session->ask($often);
	is($answer, $expected, "$name: each did as it should");
	my $after = settled_usage($before->{threads});
	cmp_ok($after->{threads}, '<=', $before->{threads}, "$name: no thread is left");
	cmp_ok($after->{fds}, '<=', $before->{fds} + 1, "$name: no descriptor is left");
	cmp_ok($after->{rss}, '<', $before->{rss} + 40_000, "$name: no memory is left");
	return;
}
my $rows = 'INSERT INTO slots (n) SELECT n FROM generate_series(1, 3000) n';
check('200 transactions', 'INSERT INTO slots (n) VALUES (0)', 'INSERT INTO slots (n) VALUES (0);' x 200, '');
check('rollbacks', "BEGIN; $rows; ROLLBACK", "BEGIN; $rows; ROLLBACK;" x 100, '');
for my $kind ([ 'a missing topic', 'INSERT INTO missing VALUES (1)' ],
	[ 'a missing topic at once', 'INSERT INTO missing_once VALUES (1)' ],
	[ 'an unknown partition', 'INSERT INTO once (n, part) VALUES (1, 17)' ],
	[ 'a record too large', q(INSERT INTO once (n, b) VALUES (1, repeat('x', 2000000))) ],
	[ 'an error in mid statement', 'INSERT INTO slots (n) SELECT 1 / (3000 - n) FROM generate_series(1, 4000) n' ],
	[ 'an error in mid statement at once', 'INSERT INTO once (n) SELECT 1 / (3000 - n) FROM generate_series(1, 4000) n' ])
{
	my ($name, $sql) = @$kind;
	check($name, "SELECT fail(\$q\$$sql\$q\$, 3)", "SELECT fail(\$q\$$sql\$q\$, 100)", 100);
}
# of a transaction each, for one that has failed to send refuses all others
my $large = 'INSERT INTO slots (n, b) SELECT 1 / (8000 - n), repeat($$x$$, 60) FROM generate_series(1, 9000) n;';
check('errors after records were sent', $large, $large x 100, '');
my $narrow = q(INSERT INTO narrow VALUES (1, repeat('x', 3000)););
check('records that the topic refuses', $narrow, $narrow x 100, '');
my $partition = 'INSERT INTO slots (n, part) VALUES (1, 17);';
check('unknown partitions', $partition, $partition x 100, '');
$session->ask(q(SET streamsql.broker_timeout = '20ms'));
for my $table (qw(away away_once))
{
	check("a broker that is away ($table)", "SELECT fail('INSERT INTO $table VALUES (1)', 3)",
		"SELECT fail('INSERT INTO $table VALUES (1)', 100)", 100);
}
$session->ask('RESET streamsql.broker_timeout');
my $cancels = join ' ', map {
	sprintf q(SET statement_timeout = '%dms'; INSERT INTO slots (n, b) SELECT n, repeat('x', 60) FROM generate_series(1, 60000) n;
		SET statement_timeout = 0;), $_ % 60 + 1
} 1 .. 60;
check('cancels', $rows, $cancels, '');
is(scalar $session->ask('BEGIN;' . $ledger->both('killed', 'SELECT 1') . 'COMMIT'), '', 'the session is well');
$session->quit;

# ---- killed ----
# Its transaction is open at Kafka, and is ended by whoever writes next in its
# slot, long before the minute of transaction_timeout_ms is over.
for my $round (1 .. 2)
{
	my $victim = StreamSQL::Session->new($node);
	my ($from, $to) = ($round * 1_000_000, $round * 1_000_000 + 999_999);
	$victim->begin("BEGIN; INSERT INTO kept VALUES ('killed', $from); INSERT INTO killed (n, b)
		SELECT n, repeat('x', 60) FROM generate_series($from, $to) n WHERE n % 500 > 0 OR pg_sleep(0.02) IS NOT NULL");
	my $sent = 0;
	for (1 .. 60)
	{
		last if ($sent = $ledger->sent('killed', $from, $to)) > 0;
		sleep 0.2;
	}
	cmp_ok($sent, '>', 0, 'records of a transaction were sent');
	if ($round == 1) { kill 'KILL', $victim->{pid} }
	else { $ledger->query("SELECT pg_terminate_backend($victim->{pid})") }
	like(($victim->finish)[1], qr/connection lost/, 'its backend is gone');
	$victim->quit;
	ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is there');
	my $start = time;
	my @next = map { StreamSQL::Session->new($node) } 1 .. 8;
	my $n = 100 * $round;
	is(scalar $_->ask('BEGIN;' . $ledger->both('killed', 'SELECT ' . ++$n) . 'COMMIT'), '', 'another one writes') for @next;
	agree('killed', 'nothing of it is seen');
	cmp_ok(time - $start, '<', 25, '… and others are, soon');
	$_->quit for @next;
}

# ---- killed between statements: delivery statement is there, nothing else ----
$ledger->add('last');
$ledger->query(q(CREATE FOREIGN TABLE last_once (n bigint, b text) SERVER kafka
	OPTIONS (topic 'last', delivery 'statement')));
my $victim = StreamSQL::Session->new($node);
is(scalar $victim->ask('BEGIN; INSERT INTO last (n) SELECT generate_series(1, 20000);
	INSERT INTO last_once (n) SELECT generate_series(50001, 51000)'), '', 'a transaction is open');
cmp_ok($ledger->sent('last', 1, 20000), '>', 0, '… and partly sent');
kill 'KILL', $victim->{pid};
$victim->ask('SELECT 1');
$victim->quit;
ok($node->poll_query_until('postgres', 'SELECT true'), 'its backend is killed');
my @next = map { StreamSQL::Session->new($node) } 1 .. 8;
$_->ask('INSERT INTO last (n) VALUES (0)') for @next;
my $times = $ledger->settled('last');
is(delete $times->{0}, 8, 'others write');
is_deeply($times, { map { $_ => 1 } 50001 .. 51000 }, 'delivery statement is there, the open transaction is not');
$_->quit for @next;

$node->stop;
done_testing();
