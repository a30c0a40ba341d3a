# Both readers give the same records: generated topics of all kinds on real
# Kafkas of one broker and of three, read whole and in parts, under both levels
# of isolation, from leaders and from followers.
#
# SEED chooses others, N how many.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use StreamSQL::Broker;
use StreamSQL::Instance;
use StreamSQL::Topics;
use Test::More;
use Time::HiRes qw(time sleep);

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $seed = $ENV{SEED} || time % 1_000_000_000 | 0;
my $count = $ENV{N} || 12;
diag "generated: SEED=$seed N=$count";

# By which the same is read, and their options; "near" is in the rack of a broker
# that leads a third of the partitions and follows the others.
my %options = (wire => q(reader 'wire'), librdkafka => q(reader 'librdkafka'),
	near => q(reader 'wire', client_rack 'rack2'));

my ($broker, $node, $topics, @readers);
my %asked = (comparisons => 0, rows => 0);

sub sql { return $node->safe_psql('postgres', $_[0]) }

# A server for each reader and level, in a schema each.
sub make_servers
{
	for my $reader (@readers)
	{
		for my $level ('committed', 'uncommitted')
		{
			sql(sprintf q(CREATE SERVER %1$s_%2$s FOREIGN DATA WRAPPER streamsql
				OPTIONS (bootstrap_servers '%3$s', %4$s, isolation_level 'read_%2$s');
				CREATE SCHEMA %1$s_%2$s), $reader, $level, $broker->bootstrap,
				$options{$reader});
		}
	}
	# How many rows, whether those of each partition came in order, and a digest.
	sql(q(
	CREATE FUNCTION answer(source text, topic text, condition text) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		result text;
	BEGIN
		EXECUTE format('
			SELECT concat_ws('' '', count(*), bool_and(coalesce(off > before, true)),
				md5(string_agg(digest, '' '' ORDER BY part, off)))
			FROM (SELECT *, lag(off) OVER (PARTITION BY part ORDER BY n) AS before
				FROM (SELECT part, off, row_number() OVER () AS n, md5(ROW(part, off, ts,
						ts_type, key, md5(val), headers)::text) AS digest
					FROM (SELECT * FROM %I.%I WHERE %s) x) y) z',
			source, topic, condition) INTO result;
		RETURN result;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
	END
	$$;
	CREATE FUNCTION compare(readers text[], level text, topic text, conditions text[])
	RETURNS TABLE (number bigint, answers text) LANGUAGE sql AS $$
		SELECT n, string_agg(answer(format('%s_%s', r, level), topic, c), '|' ORDER BY i)
		FROM unnest(conditions) WITH ORDINALITY AS a (c, n),
			unnest(readers) WITH ORDINALITY AS b (r, i)
		GROUP BY n ORDER BY n
	$$;));
	return;
}

sub make_tables
{
	my ($topic) = @_;
	my @schemas = map { ("${_}_committed", "${_}_uncommitted") } @readers;
	sql(join '', map { "CREATE FOREIGN TABLE $_.$topic->{name} (
		part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'),
		ts timestamptz OPTIONS (metadata 'timestamp'),
		ts_type text OPTIONS (metadata 'timestamp_type'),
		key bytea OPTIONS (metadata 'key'), val bytea OPTIONS (metadata 'value'),
		headers streamsql.header[] OPTIONS (metadata 'headers'))
		SERVER $_ OPTIONS (topic '$topic->{name}', format 'raw');" }
	  @schemas);
	return;
}

sub rows { return sql("SELECT count(*) FROM librdkafka_$_[0].$_[1]{name}") }

# Markers are written after a commit was answered, and compaction takes its
# time: wait until nothing changes any more.
sub settle
{
	my ($topic) = @_;
	if (!$topic->{committed} || $topic->{kind} =~ /compacted/)
	{
		my ($before, $since) = (-1, time);
		for (my $i = 0; $i < 200 && time - $since < 1; $i++)
		{
			my $now = rows('committed', $topic) . ' ' . rows('uncommitted', $topic);
			$since = time if $now ne $before;
			$before = $now;
			sleep 0.1;
		}
		return;
	}
	$node->poll_query_until('postgres',
		"SELECT count(*) = $topic->{committed} FROM librdkafka_committed.$topic->{name}");
	return;
}

sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

sub compare_topic
{
	my ($topic, $times) = @_;
	my @conditions = $topics->conditions($topic, $times);
	my $list = join ', ', map { quote($_) } @conditions;
	# each replica compacts for itself: what followers still have is another thing
	my @readers = grep { $_ ne 'near' || $topic->{kind} !~ /compacted/ } @readers;
	my $names = join ',', @readers;
	for my $level ('committed', 'uncommitted')
	{
		my @different;
		for (split /\n/, sql("SELECT * FROM compare('{$names}', '$level', '$topic->{name}', "
			. "ARRAY[$list])"))
		{
			my ($number, @answers) = split /\|/;
			my ($rows) = $answers[0] =~ /^(\d+) t /;
			$asked{comparisons}++;
			$asked{rows} += $rows // 0;
			next if @answers == @readers && !(grep { $_ ne $answers[0] } @answers)
			  && ($answers[0] eq '0' || defined $rows);
			push @different, "$topic->{name} WHERE $conditions[$number - 1]: "
			  . join(', ', map { "$readers[$_] " . ($answers[$_] // 'nothing') } 0 .. $#readers);
		}
		is(join("\n", @different), '', "$topic->{name} ($topic->{kind}), $level");
	}
	return;
}

sub check_topic
{
	my ($topic, $times) = @_;
	make_tables($topic);
	settle($topic);
	if ($topic->{kind} !~ /compacted/)
	{
		is(rows('uncommitted', $topic), $topic->{all}, "$topic->{name}: all records");
		is(rows('committed', $topic), $topic->{committed}, '... and committed ones');
	}
	else
	{
		cmp_ok(rows('committed', $topic), '<', $topic->{committed},
			"$topic->{name} is compacted");
	}
	compare_topic($topic, $times);
	return;
}

# Transactions wait more than they work: several topics at a time.
sub fill_topics
{
	my @queue = @_;
	my %children;
	while (@queue || %children)
	{
		if (@queue && keys %children < 12)
		{
			my $topic = shift @queue;
			my $pid = fork // die "cannot fork\n";
			POSIX::_exit(fill_topic($topic)) if $pid == 0;
			$children{$pid} = $topic;
			next;
		}
		my $topic = delete $children{ waitpid -1, 0 } // next;
		die "cannot fill $topic->{name}\n" if $?;
	}
	return;
}

# In a process of its own: the status to end it with.
sub fill_topic
{
	my ($topic) = @_;
	for (@{ $topic->{fills} })
	{
		eval { $broker->fill($_); 1 } or warn($@), return 1;
		# so that segments end
		sleep 0.15 if $topic->{kind} =~ /compacted/;
	}
	return 0;
}

sub start_cluster
{
	my ($version, $brokers) = @_;
	@readers = ('wire', 'librdkafka', $brokers > 1 ? 'near' : ());
	$broker = StreamSQL::Broker->start('kafka', version => $version, brokers => $brokers,
		'log.cleaner.backoff.ms' => 200, 'broker.session.timeout.ms' => 3000,
		'replica.selector.class' => 'org.apache.kafka.common.replica.RackAwareReplicaSelector');
	$node = StreamSQL::Instance::start($broker);
	make_servers();
	return;
}

sub check_version
{
	my ($version, $brokers, $number) = @_;
	my $began = time;
	my $cluster = "Kafka $version" . ($brokers > 1 ? " of $brokers brokers" : '');
	start_cluster($version, $brokers);
	$topics = StreamSQL::Topics->new($seed);
	my @all = map { $topics->next } 1 .. $number;
	push @all, $topics->compacted('lz4', 3), $topics->truncated('snappy', 10000);
	push @all, $topics->compacted('none', 10), $topics->compacted('zstd', 1000),
	  $topics->truncated('none', 100)
	  if $brokers == 1;
	push @all, $topics->big($_, $_ =~ /none|zstd/ ? 10_000_000 : 2_000_000)
	  for $brokers == 1 ? qw(none gzip snappy lz4 zstd) : 'zstd';
	fill_topics(@all);
	diag sprintf 'generated: %s filled after %.0f s', $cluster, time - $began;
	check_topic($_, $_->{kind} =~ /up to/ ? 1 : 2) for @all;
	lose_a_broker(@all) if $brokers > 1;
	$node->stop;
	StreamSQL::Instance::all_survived($node);
	$broker->stop;
	diag sprintf 'generated: %s, %d comparisons of %d rows in %.0f s', $cluster,
	  $asked{comparisons}, $asked{rows}, time - $began;
	return;
}

# A third of the partitions gets another leader; the records stay.
sub lose_a_broker
{
	my @all = @_;
	$broker->crash(3);
	for my $topic (@all)
	{
		settle($topic) if $topic->{kind} =~ /compacted/;
		compare_topic($topic, 1);
	}
	return;
}

check_version('3.9.1', 1, $count);
check_version('4.0.1', 1, int($count / 2));
check_version('4.0.1', 3, int($count / 2));
done_testing();
