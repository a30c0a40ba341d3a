# Generated topics of all kinds that a reader meets, and questions about them.
#
#	my $topics = StreamSQL::Topics->new($seed);
#	my $topic = $topics->next;	# or big, compacted, truncated
#	$broker->fill($_) for @{ $topic->{fills} };
#	$topic->{committed};		# records that read_committed sees; all: all
#	$topics->conditions($topic);	# texts for WHERE
#
# next goes round codecs, ways of transactions, sizes of batches and numbers of
# partitions, so that in time each meets each; the rest is drawn.
package StreamSQL::Topics;

use strict;
use warnings;

my @codecs = qw(none gzip snappy lz4 zstd);
my @ways = qw(plain committed interleaved open);
my @batches = (1, 3, 50, 10000, 7);
my @partitions = (1, 4, 16);

sub new
{
	my ($class, $seed) = @_;
	srand $seed;
	return bless { number => 0 }, $class;
}

sub _one { return $_[ rand @_ ] }
sub _chance { return rand() < $_[0] }

# Bytes as fill.c reads them.
sub _bytes
{
	my ($length) = @_;
	return '""' if $length == 0;
	return join '', map { sprintf '\x%02x', rand 256 } 1 .. $length if _chance(0.3);
	return join '', map { chr(97 + rand 26) } 1 .. $length;
}

sub _key { return _chance(0.2) ? '\N' : _chance(0.1) ? '""' : 'k' . int rand 20 }

sub _value
{
	return _one('\N', '""', 'x', '{"n":1}') if _chance(0.3);
	return _bytes(1 + rand 200) if _chance(0.95);
	return _bytes(5000) x (1 + rand 10);
}

sub _headers
{
	return '' if _chance(0.6);
	return join '', map { "\t" . _one('a', 'b', 'trace', '\xc3\xa4', '')
		  . '=' . _one('', '\N', '1', _bytes(1 + rand 100)) } 1 .. 1 + rand 4;
}

# A record of the topic, which counts it; open: its producer will not end.
sub _record
{
	my ($topic, $open) = @_;
	my $partition = _one(@{ $topic->{used} });
	my $ms = 1767225600000 + 1000 * $topic->{all} + int(rand 5000);
	$topic->{all}++;
	$topic->{length}{$partition}++;
	$topic->{blocked}{$partition} = 1 if $open;
	return ("record\t$topic->{name}\t$partition\t$ms\t" . _key() . "\t" . _value()
		  . _headers() . "\n", $partition);
}

sub _new_topic
{
	my ($self, $partitions, %config) = @_;
	my $name = 'g' . ++$self->{number};
	# of sixteen partitions fifteen are empty
	my @used = $partitions == 16 ? int rand 16 : 0 .. $partitions - 1;
	return { name => $name, partitions => $partitions, used => \@used,
		config => \%config, all => 0, committed => 0,
		length => { map { $_ => 0 } @used }, fills => [
			join("\t", 'topic', $name, $partitions,
				map { "$_=$config{$_}" } sort keys %config) . "\n" ] };
}

# Records of several producers that take turns, transactions or none. What one
# says is flushed before the next one's turn, so that they mix in the log.
sub _turns
{
	my ($topic, $turns, @producers) = @_;
	my $lines = '';
	my %state;
	for (1 .. $turns)
	{
		my $producer = _one(@producers);
		my $state = $state{ $producer->{name} } //= { waiting => 0, fate => 'none' };
		$lines .= "producer\t$producer->{name}\n";
		if ($producer->{transactions} && $state->{fate} eq 'none')
		{
			$lines .= "begin\n";
			$state->{fate} = _one('commit', 'abort');
		}
		for (1 .. 1 + rand $producer->{records})
		{
			my ($line) = _record($topic);
			$lines .= $line;
			$state->{waiting}++;
		}
		$lines .= "flush\n";
		_end($topic, $state, \$lines) if !$producer->{transactions} || _chance(0.4);
	}
	for my $producer (@producers)
	{
		my $state = $state{ $producer->{name} } or next;
		$lines .= "producer\t$producer->{name}\n";
		_end($topic, $state, \$lines);
	}
	return $lines;
}

# What waited for the end of its transaction is there, or never was.
sub _end
{
	my ($topic, $state, $lines) = @_;
	$$lines .= "$state->{fate}\n" if $state->{fate} ne 'none';
	$topic->{committed} += $state->{waiting} if $state->{fate} ne 'abort';
	@$state{qw(waiting fate)} = (0, 'none');
	return;
}

# The line that makes a producer.
sub _producer
{
	my ($name, $codec, $batch, $id) = @_;
	return join("\t", 'producer', $name, "compression.codec=$codec",
		"batch.num.messages=$batch",
		$id ? ("transactional.id=$id", 'transaction.timeout.ms=900000') : ())
	  . "\n";
}

sub next
{
	my ($self) = @_;
	my $number = $self->{number};
	my $codec = $codecs[ $number % @codecs ];
	my $batch = $batches[ ($number + int($number / 5)) % @batches ];
	my $way = $ways[ $number % @ways ];
	my $topic = $self->_new_topic($partitions[ $number % @partitions ],
		'max.message.bytes' => 20_000_000, _chance(0.3)
		? ('message.timestamp.type' => 'LogAppendTime') : ());
	my $name = $topic->{name};
	my $turns = $way eq 'plain' ? 4 : 25;
	my @producers = map { { name => $_, records => 600 / $turns,
		transactions => $_ ne 'plain' } }
	  $way eq 'plain' ? 'plain' : $way eq 'committed' ? 'first'
	  : ('plain', 'first', 'second');
	my $lines = join '', map { _producer($_->{name},
		$way eq 'interleaved' ? _one(@codecs) : $codec, $batch,
		$_->{transactions} && "$name-$_->{name}") } @producers;
	$lines .= _turns($topic, $turns, @producers);
	$lines .= $self->_open_end($topic, $codec) if $way eq 'open';
	push @{ $topic->{fills} }, $lines;
	$topic->{kind} = "$codec, batches of $batch, $way, $topic->{partitions} partitions";
	return $topic;
}

# A transaction that stays open, and records behind it.
sub _open_end
{
	my ($self, $topic, $codec) = @_;
	my $lines = _producer('open', $codec, 10, "$topic->{name}-open") . "begin\n";
	$lines .= (_record($topic, 1))[0] for 1 .. 20;
	$lines .= "flush\n" . _producer('late', $codec, 10);
	for (1 .. 50)
	{
		my ($line, $partition) = _record($topic);
		$lines .= $line;
		$topic->{committed}++ unless $topic->{blocked}{$partition};
	}
	return $lines;
}

# Values from 1 byte to 10 MB.
sub big
{
	my ($self, $codec, $bytes) = @_;
	my $topic = $self->_new_topic(1, 'max.message.bytes' => 20_000_000);
	my $block = join '', map { chr(97 + rand 26) } 1 .. 1 << 16;
	my $lines = _producer('p', $codec, 100);
	for my $size (1, $bytes, 1, 100, 1 << 20, 3 << 20, 1, $bytes)
	{
		my $value = substr $block x ($size / length($block) + 1), 0, $size;
		$lines .= "record\t$topic->{name}\t0\t-\tk\t$value\n";
	}
	$lines .= "big\t$topic->{name}\t0\t$bytes\n";
	push @{ $topic->{fills} }, $lines;
	$topic->{all} = $topic->{committed} = $topic->{length}{0} = 9;
	$topic->{kind} = "$codec, up to $bytes bytes";
	return $topic;
}

# Gaps: of records, of whole batches, of transactions. The last record's
# segment is never compacted, nor is any that was not left for a new one.
sub compacted
{
	my ($self, $codec, $batch) = @_;
	my $topic = $self->_new_topic(1, 'cleanup.policy' => 'compact',
		'segment.ms' => 100, 'min.cleanable.dirty.ratio' => 0.01,
		'delete.retention.ms' => _one(0, 86400000), 'min.compaction.lag.ms' => 0);
	for my $round (1 .. 3)
	{
		my $lines = join '', map { _producer($_, $codec, $batch,
			$_ eq 'plain' ? undef : "$topic->{name}-$_") } 'plain', 'first', 'second';
		$lines .= _turns($topic, 12, map { { name => $_, records => 40,
			transactions => $_ ne 'plain' } } 'plain', 'first', 'second');
		# no key, no compaction
		$lines =~ s/^(record\t.*?\t0\t\d+\t)\\N\t/$1none\t/mg;
		push @{ $topic->{fills} }, $lines;
	}
	push @{ $topic->{fills} }, "record\t$topic->{name}\t0\t-\tlast\tx\n";
	$topic->{kind} = "$codec, batches of $batch, compacted";
	return $topic;
}

# The beginning is deleted, up to the middle of a batch.
sub truncated
{
	my ($self, $codec, $batch) = @_;
	my $topic = $self->_new_topic(4);
	my $lines = _producer('p', $codec, $batch);
	$lines .= (_record($topic))[0] for 1 .. 800;
	for my $partition (0 .. 2)
	{
		my $offset = int rand $topic->{length}{$partition};
		$lines .= "truncate\t$topic->{name}\t$partition\t$offset\n";
		$topic->{all} -= $offset;
	}
	push @{ $topic->{fills} }, $lines;
	$topic->{committed} = $topic->{all};
	$topic->{kind} = "$codec, batches of $batch, truncated";
	return $topic;
}

# ---- Questions ----

# An offset: there are somewhat more of them than records.
sub _offset { return int rand($_[0] * 1.15 + 3) }

sub _range
{
	my ($length) = @_;
	my $from = _offset($length);
	return sprintf 'off BETWEEN %d AND %d', $from,
	  $from + _one(0, 1, 2, rand 30, rand $length);
}

# Conditions that ask for everything, ranges, many places, times, few rows.
sub conditions
{
	my ($self, $topic, $times) = @_;
	my @conditions = 'true';
	for (1 .. $times)
	{
		my $partition = _one(@{ $topic->{used} });
		my $length = $topic->{length}{$partition};
		my @ranges = map { _range($length) } 1 .. 2 + rand 6;
		push @conditions,
		  "part = $partition AND " . $ranges[0],
		  "part = $partition AND (" . join(' OR ', @ranges) . ')',
		  'off IN (' . join(', ', map { _offset($length) } 1 .. 30) . ')',
		  "part <> $partition OR $ranges[1]",
		  'off >= ' . _offset($length);
	}
	push @conditions, sprintf("ts >= to_timestamp(%d)", 1767225600 + rand $topic->{all}),
	  "part = $topic->{used}[0] LIMIT " . int(1 + rand 20);
	return @conditions;
}

1;
