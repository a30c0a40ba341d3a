# A broker of three dies for ever under sessions that write, then all of them
# are restarted: leaders of partitions and coordinators of transactions move.
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

my $broker = StreamSQL::Broker->start('kafka', version => '4.0.1', brokers => 3,
	'broker.session.timeout.ms' => 3000, 'min.insync.replicas' => 2,
	'transaction.state.log.replication.factor' => 3,
	'transaction.state.log.min.isr' => 2, 'transaction.state.log.num.partitions' => 5);
my $node = StreamSQL::Instance::start($broker);
my $ledger = StreamSQL::Ledger->new($broker, $node, 'load');

# Begun transactions by session; committed ones, and those nobody knows of.
my (%running, @committed, @unknown, %failed);
my $next = 0;

# Every tenth sends much before it commits.
sub begin
{
	my ($session) = @_;
	my $rows = ++$next % 10 ? 20 : 6000;
	my $range = [ $next * 10_000 + 1, $next * 10_000 + $rows ];
	$running{$session} = $range;
	$session->begin('BEGIN;' . $ledger->both('load',
		"SELECT generate_series($range->[0], $range->[1])", q(repeat('x', 80))) . 'COMMIT');
	return;
}

sub finish
{
	my ($session) = @_;
	my (undef, $errors) = $session->finish;
	my $range = delete $running{$session};
	my $state = StreamSQL::Session::sqlstate($errors);
	$failed{$state} = $errors if $state;
	push @committed, $range if $state eq '';
	push @unknown, $range if $state eq '08007';
	$session->ask('ROLLBACK') if $state;
	return $state;
}

# All sessions write, for some time; the number of transactions committed.
sub load
{
	my ($seconds, @sessions) = @_;
	my ($end, $before) = (time + $seconds, scalar @committed);
	begin($_) for @sessions;
	while (%running)
	{
		for my $session (grep { $running{$_} && $_->is_done } @sessions)
		{
			finish($session);
			begin($session) if time < $end;
		}
		sleep 0.002;
	}
	return @committed - $before;
}

# Of an unknown transaction there is all or nothing, and the heap has nothing.
sub agree
{
	my ($name) = @_;
	my $times = $ledger->settled('load');
	for my $range (@unknown)
	{
		my @there = grep { $times->{$_} } $range->[0] .. $range->[1];
		is(scalar @there, @there ? $range->[1] - $range->[0] + 1 : 0,
			'a transaction that may have been committed is whole');
		is((scalar grep { delete $times->{$_} > 1 } @there), 0, '… and there once');
	}
	my %expected = map { $_ => 1 } map { $_->[0] .. $_->[1] } @committed;
	is((scalar grep { !$times->{$_} } keys %expected), 0, "$name: nothing is lost");
	is((scalar grep { !$expected{$_} } keys %$times), 0, '… nothing is there that failed');
	is((scalar grep { $_ > 1 } values %$times), 0, '… nothing is there twice');
	is($ledger->query('SELECT count(*) FROM kept'), scalar keys %expected, '… the heap has the same');
	return;
}

my @sessions = map { StreamSQL::Session->new($node) } 1 .. 3;
my $count = load(4, @sessions);
cmp_ok($count, '>', 20, "$count transactions on three brokers");
agree('three brokers');

my $killer = fork // die "cannot fork\n";
if ($killer == 0)
{
	sleep 2;
	$broker->crash(3);
	require POSIX;
	POSIX::_exit(0);
}
$count = load(12, @sessions);
waitpid $killer, 0;
cmp_ok($count, '>', 20, "$count transactions while a broker died");
is(join(' ', grep { $_ ne '08007' } keys %failed), '', '… none failed but with an unknown outcome');
agree('a broker died');
$count = load(4, @sessions, my $new = StreamSQL::Session->new($node));
cmp_ok($count, '>', 20, "$count transactions on the other two, by a new session as well");

$broker->stop;
$broker->start_again;
%failed = ();
$count = load(4, @sessions, $new);
cmp_ok($count, '>', 20, "$count transactions on three brokers again");
is(join(' ', keys %failed), '', '… none failed');
agree('all brokers are there again');
$_->quit for @sessions, $new;
$node->stop;
done_testing();
