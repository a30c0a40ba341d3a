# A broker for a test: the embedded mock or a real Kafka, behind one interface.
#
#	my $broker = StreamSQL::Broker->start('mock');	# or 'kafka', KEY => VALUE
#	$broker->port('NAME');		# of one started with listener => 'NAME:SSL'
#	$broker->fill("topic\tt\t1\nrecord\tt\t0\t-\tk\tv\n");
#	$broker->drain('t');		# lines that librdkafka reads: drain.c
#	$broker->control('down 1');		# the mock's commands: mock_broker.c
#	$broker->stall; $broker->resume;	# stops answering, answers again
#	$broker->stop; $broker->start_again;	# a restart on the same port
#	$broker->crash;		# kill -9; crash(3): of the third process alone
#
# What is not stopped is stopped at the end of the program.
package StreamSQL::Broker;

use strict;
use warnings;
use File::Temp qw(tempdir);
use IPC::Run qw(run);

my @running;

# Can a real Kafka run here? In CI it has to.
sub has_kafka
{
	return 1 if ($ENV{CI} // '') eq 'true';
	return system('command -v java >/dev/null && command -v mvn >/dev/null') == 0;
}

sub start
{
	my ($class, $kind, %properties) = @_;
	my $self = bless {
		kind => $kind,
		dir => tempdir(CLEANUP => 1),
		properties => [ map { _lines($_, $properties{$_}) } sort keys %properties ],
	}, $class;
	$self->_launch;
	push @running, $self;
	return $self;
}

# One key may have several values.
sub _lines
{
	my ($key, $value) = @_;
	return map { "$key=$_" } ref $value ? @$value : $value;
}

sub _launch
{
	my ($self) = @_;
	local $ENV{BROKER_PARENT} = $$;
	local $ENV{KAFKA_HEAP} = '512m';
	system("$ENV{STREAMSQL_ROOT}/test/broker/broker.sh", 'start', $self->{kind},
		$self->{dir}, @{ $self->{properties} }) == 0
	  or die "cannot start broker\n";
	open my $env, '<', "$self->{dir}/env" or die $!;
	while (<$env>)
	{
		$self->{bootstrap} = $1 if /STREAMSQL_BOOTSTRAP=(\S+)/;
		$self->{control} = $1 if /STREAMSQL_CONTROL=(\S+)/;
		$self->{listener}{$1} = $2 if /STREAMSQL_LISTENER_(\w+)=\S+:(\d+)/;
	}
	close $env;
	open my $pid, '<', "$self->{dir}/pid" or die $!;
	chomp(@{ $self->{pids} } = <$pid>);
	close $pid;
	return;
}

sub bootstrap { return $_[0]{bootstrap} }
sub port { return $_[0]{listener}{ $_[1] } }

# Run lines of the language of fill.c; dies unless all was acknowledged.
sub fill
{
	my ($self, $lines, @options) = @_;
	my $error;
	local $ENV{STREAMSQL_BOOTSTRAP} = $self->{bootstrap};
	local $ENV{STREAMSQL_CONTROL} = $self->{control};
	delete local $ENV{STREAMSQL_CONTROL} unless $self->{control};
	run([ $ENV{STREAMSQL_FILL}, @options ], '<', \$lines, '2>', \$error)
	  or die "fill: $error\n";
	return;
}

# Records of one topic and partition, from [key, value] pairs.
sub records
{
	my ($self, $topic, $partition, @pairs) = @_;
	$self->fill(join '',
		map { "record\t$topic\t$partition\t-\t$_->[0]\t$_->[1]\n" } @pairs);
	return;
}

# What a consumer of librdkafka reads of a topic, a line each: partition,
# offset, key, value.
sub drain
{
	my ($self, @arguments) = @_;
	my ($lines, $error);
	local $ENV{STREAMSQL_BOOTSTRAP} = $self->{bootstrap};
	run([ $ENV{STREAMSQL_FILL} =~ s/fill$/drain/r, @arguments ], '>', \$lines, '2>', \$error)
	  or die "drain: $error\n";
	return split /\n/, $lines;
}

sub control { my ($self, $line) = @_; $self->fill("$line\n"); return }

sub stall { kill 'STOP', @{ $_[0]{pids} }; return }
sub resume { kill 'CONT', @{ $_[0]{pids} }; return }

sub crash
{
	my ($self, $number) = @_;
	kill 'KILL', $number ? $self->{pids}[ $number - 1 ] : @{ $self->{pids} };
	return;
}

sub stop
{
	my ($self) = @_;
	system("$ENV{STREAMSQL_ROOT}/test/broker/broker.sh", 'stop', $self->{dir});
	delete $self->{pids};
	return;
}

sub start_again { $_[0]->_launch; return }

END
{
	my $status = $?;
	$_->stop for grep { $_->{pids} } @running;
	$? = $status;
}

1;
