# Topics and a heap table that are written by the same transactions: whatever
# becomes of those, the two must agree.
#
#	my $ledger = StreamSQL::Ledger->new($broker, $node, 'a', 'b');
#	$ledger->both('a', 'SELECT 7')		# SQL that writes numbers to both
#	is_deeply($ledger->differences('a'), $ledger->none, 'they agree');
#
# Foreign table X has the topic X of four partitions on server "kafka", columns
# n, b and part; the heap table is kept(topic, n). What is in a topic is read
# by a consumer of librdkafka.
package StreamSQL::Ledger;

use strict;
use warnings;
use Time::HiRes qw(sleep);

sub new
{
	my ($class, $broker, $node, @topics) = @_;
	my $self = bless { broker => $broker, node => $node, mark => 0 }, $class;
	$self->query('CREATE TABLE kept (topic text, n bigint)');
	$self->add($_) for @topics;
	return $self;
}

sub query { my ($self, $sql) = @_; return $self->{node}->safe_psql('postgres', $sql) }

# Another topic, its foreign table and, for its marks, one that is given no
# options of delivery.
sub add
{
	my ($self, $topic, $options, $server) = @_;
	my $columns = q((n bigint, b text, part int OPTIONS (metadata 'partition')));
	$server //= 'kafka';
	$options = $options ? ", $options" : '';
	$self->{broker}->fill("topic\t$topic\t4\n");
	$self->query("CREATE FOREIGN TABLE $topic $columns SERVER $server OPTIONS (topic '$topic'$options)");
	return;
}

# SQL that puts the numbers of a query into topic and heap.
sub both
{
	my ($self, $topic, $numbers, $value) = @_;
	$value //= q('x');
	return "INSERT INTO kept SELECT '$topic', n FROM ($numbers) AS x (n);"
	  . "INSERT INTO $topic (n, b) SELECT n, $value FROM ($numbers) AS x (n);";
}

# The numbers of a topic, as often as they are there.
sub published
{
	my ($self, $topic, @properties) = @_;
	my %times;
	$times{$_}++ for map { /\{"n":(-?\d+)/ ? $1 : "no number: $_" }
	  $self->{broker}->drain($topic, @properties);
	return \%times;
}

# How many of the numbers in a range a reader of uncommitted records sees.
sub sent
{
	my ($self, $topic, $from, $to) = @_;
	my $times = $self->published($topic, 'isolation.level=read_uncommitted');
	return scalar grep { /^-?\d+$/ && $_ >= $from && $_ <= $to } keys %$times;
}

# What is in the topic after a record, written now, in each partition can be
# read: nothing before it can come any more.
sub settled
{
	my ($self, $topic) = @_;
	my $mark = -1_000_000_000 - $self->{mark}++;
	$self->query("INSERT INTO $topic (n, part) SELECT $mark, p FROM generate_series(0, 3) p");
	for (1 .. 200)
	{
		my $times = $self->published($topic);
		if (($times->{$mark} // 0) == 4)
		{
			delete @$times{ grep { /^-1\d{9}$/ } keys %$times };
			return $times;
		}
		sleep 0.2;
	}
	die "topic $topic: what was committed last can't be read\n";
}

# How topic and heap differ, with a few examples of each kind.
sub differences
{
	my ($self, $topic) = @_;
	my $times = $self->settled($topic);
	my %kept = map { $_ => 1 } split /\n/, $self->query("SELECT n FROM kept WHERE topic = '$topic'");
	my %found = (
		lost => [ grep { !$times->{$_} } keys %kept ],
		doubled => [ grep { $times->{$_} > 1 } keys %$times ],
		unwanted => [ grep { !$kept{$_} } keys %$times ]);
	$self->{count} = keys %kept;
	return { map { $_ => [ (sort @{ $found{$_} })[ 0 .. ($#{ $found{$_} } < 9 ? $#{ $found{$_} } : 9) ] ] } keys %found };
}

sub none { return { lost => [], doubled => [], unwanted => [] } }

1;
