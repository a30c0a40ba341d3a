# A session that outlives its errors, of which statements can be begun and
# their ends be waited for.
#
#	my $session = StreamSQL::Session->new($node);
#	my ($rows, $errors) = $session->ask('SELECT 1');
#	$session->begin('SELECT pg_sleep(10)');
#	my ($rows, $errors, $seconds) = $session->finish;	# since this call
#	$session->{pid};			# of the backend
#
# Errors come with their SQLSTATEs; when the connection is lost they say so.
package StreamSQL::Session;

use strict;
use warnings;
use Time::HiRes qw(time);

sub new
{
	my ($class, $node) = @_;
	my $self = bless {
		psql => $node->background_psql('postgres', on_error_stop => 0, timeout => 600),
	}, $class;
	$self->ask('\set VERBOSITY verbose');
	($self->{pid}) = $self->ask('SELECT pg_backend_pid()');
	return $self;
}

sub begin
{
	my ($self, $sql) = @_;
	my $psql = $self->{psql};
	@$psql{qw(stdout stderr)} = ('', '');
	$psql->{stdin} .= "$sql\n;\n\\echo is-done\n\\warn is-done\n";
	$psql->{run}->pump_nb;
	return;
}

# Has what was begun come to its end?
sub is_done
{
	my ($self) = @_;
	my $psql = $self->{psql};
	$psql->{run}->pump_nb if $psql->{run}->pumpable;
	return $psql->{stdout} =~ /is-done\n/ && $psql->{stderr} =~ /is-done\n/;
}

sub finish
{
	my ($self) = @_;
	my $psql = $self->{psql};
	my $start = time;
	my $alive = eval {
		$psql->{run}->pump until $self->is_done;
		1;
	};
	my $seconds = time - $start;
	my ($rows, $errors) = map { s/is-done\n//r } @$psql{qw(stdout stderr)};
	@$psql{qw(stdout stderr)} = ('', '');
	$errors .= 'connection lost' unless $alive;
	chomp $rows;
	return ($rows, $errors, $seconds);
}

# The rows of a statement, in list context with its errors.
sub ask
{
	my ($self, $sql) = @_;
	$self->begin($sql);
	my ($rows, $errors) = $self->finish;
	return wantarray ? ($rows, $errors) : $rows . $errors;
}

# The SQLSTATE of the first error of a statement, '' if there is none.
sub state_of
{
	my ($self, $sql) = @_;
	my (undef, $errors) = $self->ask($sql);
	return sqlstate($errors);
}

sub sqlstate
{
	my ($errors) = @_;
	return $errors =~ /(?:ERROR|FATAL):  (\w{5}):/ ? $1 : $errors;
}

# End it, whatever has become of it.
sub quit
{
	my ($self) = @_;
	eval { $self->{psql}->quit };
	return;
}

1;
