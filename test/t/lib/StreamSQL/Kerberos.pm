# A Kerberos server of a test, on a free port of the loopback interface.
#
#	my $kerberos = StreamSQL::Kerberos->start;
#	$kerberos->path('broker.keytab');	# kafka/localhost, for KAFKA_JAVA and
#						# a Krb5LoginModule
#	local %ENV = (%ENV, $kerberos->ticket);	# of user "app"
#
# Ends with the program.
package StreamSQL::Kerberos;

use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IPC::Run qw(run);
use Time::HiRes qw(sleep);

my @running;

sub _find
{
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin';
	return $path;
}

# Can one run here? In CI it has to.
sub has_kerberos
{
	return 1 if ($ENV{CI} // '') eq 'true';
	return !grep { !_find($_) } qw(krb5kdc kadmin.local kdb5_util kinit);
}

sub start
{
	my ($class) = @_;
	my $self = bless { dir => tempdir(CLEANUP => 1) }, $class;
	my $port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
	  ->sockport;
	$self->{env} = { KRB5_CONFIG => $self->path('krb5.conf'),
		KRB5_KDC_PROFILE => $self->path('kdc.conf') };
	$self->_write('krb5.conf', <<"TEXT");
[libdefaults]
default_realm = TEST.EXAMPLE
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
TEST.EXAMPLE = {
	kdc = 127.0.0.1:$port
}
[domain_realm]
localhost = TEST.EXAMPLE
TEXT
	$self->_write('kdc.conf', <<"TEXT");
[realms]
TEST.EXAMPLE = {
	database_name = $self->{dir}/principal
	key_stash_file = $self->{dir}/stash
	acl_file = $self->{dir}/acl
	kdc_listen = 127.0.0.1:$port
	kdc_tcp_listen = 127.0.0.1:$port
}
[logging]
kdc = FILE:$self->{dir}/kdc.log
TEXT
	$self->_run('kdb5_util', 'create', '-s', '-P', 'secret', '-r', 'TEST.EXAMPLE');
	for (['kafka/localhost', 'broker'], ['app', 'app'])
	{
		my ($principal, $file) = @$_;
		$self->_run('kadmin.local', '-q', "addprinc -randkey $principal");
		$self->_run('kadmin.local', '-q',
			"ktadd -k " . $self->path("$file.keytab") . " $principal");
	}
	$self->_serve($port);
	$self->_run('kinit', '-k', '-t', $self->path('app.keytab'), '-c',
		$self->path('cache'), 'app');
	return $self;
}

sub path { return "$_[0]{dir}/$_[1]" }

# What a process needs in its environment to be "app"; with 0, to be nobody.
sub ticket
{
	my ($self, $has) = @_;
	return (KRB5_CONFIG => $self->path('krb5.conf'),
		KRB5CCNAME => $self->path($has // 1 ? 'cache' : 'no_cache'));
}

sub _write
{
	my ($self, $name, $content) = @_;
	open my $file, '>', $self->path($name) or die "$name: $!";
	print $file $content;
	close $file;
	return;
}

sub _run
{
	my ($self, $program, @arguments) = @_;
	my $output;
	local %ENV = (%ENV, %{ $self->{env} });
	run([ _find($program), @arguments ], '>', \$output, '2>', \$output)
	  or die "$program @arguments: $output";
	return;
}

sub _serve
{
	my ($self, $port) = @_;
	my $pid = fork() // die "fork: $!";
	if (!$pid)
	{
		%ENV = (%ENV, %{ $self->{env} });
		open STDOUT, '>', $self->path('out');
		open STDERR, '>&', \*STDOUT;
		exec _find('krb5kdc'), '-n' or die $!;
	}
	$self->{pid} = $pid;
	push @running, $self;
	for (1 .. 100)
	{
		return if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
		sleep 0.05;
	}
	die "krb5kdc did not start\n";
}

END
{
	my $status = $?;
	for (grep { $_->{pid} } @running)
	{
		kill 'TERM', $_->{pid};
		waitpid $_->{pid}, 0;
	}
	$? = $status;
}

1;
