# Between a real Kafka and its clients: what they say to one another can be
# lost or held at a chosen request.
#
#	my $proxy = StreamSQL::Proxy->new;
#	my $broker = StreamSQL::Broker->start('kafka', $proxy->properties);
#	$proxy->forward($broker);		# from now on it serves
#	$proxy->tell('rule 26 lose_answer 1');
#
# Clients learn of the broker under the proxy's address. Commands:
#
#	rule API lose_request COUNT	the connection ends instead of the next requests
#	rule API lose_answer COUNT	… when they have been answered
#	rule API hold_request COUNT	they, and all behind them, wait until clear
#	rule API hold_answer COUNT	their answers, and all behind them, do
#	chaos PERCENT			so many requests of all kinds are lost, or their answers
#	clear				no rules any more; what is held goes on
#	drop				no rules any more; connections that are held end
#	seen API			the number of such requests so far
#	lost				the number of connections ended by rules
#
# API is the number of a request's kind: 0 Produce, 3 Metadata, 22
# InitProducerId, 24 AddPartitionsToTxn, 26 EndTxn, 27 WriteTxnMarkers …
# A process of its own, without threads; it ends with its parent.
package StreamSQL::Proxy;

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my @running;

sub new
{
	my ($class) = @_;
	my $listener = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1')
	  or die "cannot listen: $!\n";
	return bless { listener => $listener, port => $listener->sockport }, $class;
}

sub properties { return ('advertised.listeners' => "PLAINTEXT://127.0.0.1:$_[0]{port}") }

sub forward
{
	my ($self, $broker) = @_;
	my ($port) = $broker->bootstrap =~ /:(\d+)$/;
	socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
	$_->autoflush(1) for $here, $there;
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		close $here;
		eval { _serve($self->{listener}, $there, $port) };
		warn "proxy: $@" if $@;
		POSIX::_exit(0);
	}
	close $there;
	close delete $self->{listener};
	@$self{qw(control pid)} = ($here, $pid);
	push @running, $self;
	return;
}

sub tell
{
	my ($self, $command) = @_;
	my $control = $self->{control};
	print $control "$command\n";
	my $answer = <$control> // die "the proxy is gone\n";
	chomp $answer;
	die "proxy: $command: $answer\n" if $answer =~ /^error/;
	return $answer;
}

# ---- In the process ----

my (%rules, %seen, %ends);
my ($chaos, $lost) = (0, 0);

# The two ends of a connection, each knowing the other and its link.
sub _accept
{
	my ($listener, $port) = @_;
	my $client = $listener->accept or return;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
	return close $client unless $server;
	my $link = { apis => [] };
	for my $end ([ $client, $server, 1 ], [ $server, $client, 0 ])
	{
		my ($socket, $other, $asks) = @$end;
		$socket->blocking(0);
		$ends{ fileno $socket } = { socket => $socket, other => fileno $other,
			asks => $asks, in => '', out => '', link => $link };
	}
	return;
}

sub _end
{
	my ($end) = @_;
	for my $gone ($end, $ends{ $end->{other} })
	{
		next unless $gone;
		delete $ends{ fileno $gone->{socket} };
		close $gone->{socket};
	}
	return;
}

# What is to be done with a request, by the rules and by chance.
sub _decide
{
	my ($api) = @_;
	my $rule = $rules{$api};
	if ($rule && $rule->{count} > 0)
	{
		$rule->{count}--;
		return $rule->{action};
	}
	return '' unless rand(100) < $chaos;
	return rand() < 0.5 ? 'lose_request' : 'lose_answer';
}

# Pass on the whole messages that have come in at an end.
sub _pass
{
	my ($end) = @_;
	my $link = $end->{link};
	while (length $end->{in} >= 4 && !$end->{held})
	{
		my $length = 4 + unpack 'N', $end->{in};
		last if length $end->{in} < $length;
		my $action = '';
		if ($end->{asks})
		{
			my $api = unpack 'x4 n', $end->{in};
			$seen{$api}++;
			$action = _decide($api);
			push @{ $link->{apis} }, $action =~ /answer/ ? $action : '';
			$end->{held} = 1 if $action eq 'hold_request';
		}
		else
		{
			$action = shift @{ $link->{apis} } // '';
			$end->{held} = 1 if $action eq 'hold_answer';
		}
		if ($action eq 'lose_request' || !$end->{asks} && $action eq 'lose_answer')
		{
			$lost++;
			return _end($end);
		}
		last if $end->{held};
		$ends{ $end->{other} }{out} .= substr $end->{in}, 0, $length, '';
	}
	return;
}

# What was held goes on, as if it had only now been decided so.
sub _release
{
	for my $end (grep { $_->{held} } values %ends)
	{
		$end->{held} = 0;
		my $length = 4 + unpack 'N', $end->{in};
		$ends{ $end->{other} }{out} .= substr $end->{in}, 0, $length, '';
		_pass($end);
	}
	return;
}

sub _command
{
	my ($line) = @_;
	if ($line =~ /^rule (\d+) ((?:lose|hold)_(?:request|answer)) (\d+)$/)
	{
		$rules{$1} = { action => $2, count => $3 };
	}
	elsif ($line =~ /^chaos (\d+)$/) { $chaos = $1 }
	elsif ($line eq 'clear') { %rules = (); $chaos = 0; _release() }
	elsif ($line eq 'drop') { %rules = (); $chaos = 0; _end($_) for grep { $_->{held} } values %ends }
	elsif ($line =~ /^seen (\d+)$/) { return $seen{$1} // 0 }
	elsif ($line eq 'lost') { return $lost }
	else { return 'error: unknown command' }
	return 'ok';
}

sub _read
{
	my ($end) = @_;
	my $count = sysread $end->{socket}, $end->{in}, 65536, length $end->{in};
	return _pass($end) if $count;
	return if !defined $count && $!{EAGAIN};
	return _end($end);
}

sub _write
{
	my ($end) = @_;
	my $count = syswrite $end->{socket}, $end->{out};
	return substr $end->{out}, 0, $count, '' if defined $count;
	return if $!{EAGAIN};
	return _end($end);
}

sub _serve
{
	my ($listener, $control, $port) = @_;
	local $SIG{PIPE} = 'IGNORE';
	for (;;)
	{
		# no more is read than can be written
		my $readers = IO::Select->new($listener, $control, map { $_->{socket} }
			  grep { !$_->{held} && length $ends{ $_->{other} }{out} < 4_000_000 } values %ends);
		my $writers = IO::Select->new(map { $_->{socket} } grep { length $_->{out} } values %ends);
		my ($readable, $writable) = IO::Select->select($readers, $writers, undef, 10);
		for my $socket (@{ $writable // [] })
		{
			my $end = defined fileno $socket ? $ends{ fileno $socket } : undef;
			_write($end) if $end && $end->{socket} == $socket;
		}
		for my $socket (@{ $readable // [] })
		{
			if ($socket == $listener) { _accept($listener, $port) }
			elsif ($socket == $control)
			{
				my $line = <$control> // return;
				chomp $line;
				print $control _command($line), "\n";
			}
			else
			{
				my $end = defined fileno $socket ? $ends{ fileno $socket } : undef;
				_read($end) if $end && $end->{socket} == $socket;
			}
		}
	}
}

END
{
	my $status = $?;
	for (@running)
	{
		close $_->{control};
		waitpid $_->{pid}, 0;
	}
	$? = $status;
}

1;
