# Certificates for a test, made by openssl in a folder of their own.
#
#	my $certificates = StreamSQL::Certificates->new;
#	my $path = $certificates->path('ca.crt');
#
# ca.crt, other.crt		two authorities
# server.pem			of localhost and 127.0.0.1: key and certificate
# wrong.pem			of another host
# expired.pem			of localhost, last year's
# client.crt, client.key	of a client; client.enc, its key behind "secret";
# client.p12			both, behind "secret"
# revoked.crl			a list of ca that has server.pem; good.crl hasn't
package StreamSQL::Certificates;

use strict;
use warnings;
use File::Temp qw(tempdir);
use IPC::Run qw(run);

sub new
{
	my ($class) = @_;
	my $self = bless { dir => tempdir(CLEANUP => 1) }, $class;
	$self->_authority($_) for qw(ca other);
	$self->_issue('server', 'localhost', 'DNS:localhost,IP:127.0.0.1');
	$self->_issue('wrong', 'elsewhere', 'DNS:elsewhere.example');
	$self->_issue('client', 'client', 'DNS:client.example');
	$self->_issue('expired', 'localhost', 'DNS:localhost,IP:127.0.0.1',
		'-startdate', '20200101000000Z', '-enddate', '20200102000000Z');
	for my $name (qw(server wrong expired))
	{
		$self->_write("$name.pem",
			$self->read("$name.key") . $self->read("$name.crt"));
	}
	$self->_openssl('pkey', '-in', 'client.key', '-aes256', '-passout',
		'pass:secret', '-out', 'client.enc');
	$self->_openssl('pkcs12', '-export', '-in', 'client.crt', '-inkey',
		'client.key', '-passout', 'pass:secret', '-out', 'client.p12');
	$self->_list('good.crl');
	$self->_openssl('ca', '-config', 'ca.cnf', '-revoke', 'server.crt');
	$self->_list('revoked.crl');
	return $self;
}

sub path { return "$_[0]{dir}/$_[1]" }

sub read
{
	my ($self, $name) = @_;
	open my $file, '<', $self->path($name) or die "$name: $!";
	local $/ = undef;
	return <$file>;
}

sub _write
{
	my ($self, $name, $content) = @_;
	open my $file, '>', $self->path($name) or die "$name: $!";
	print $file $content;
	close $file;
	return;
}

sub _openssl
{
	my ($self, @arguments) = @_;
	my $output;
	run([ 'openssl', @arguments ], '>', \$output, '2>', \$output,
		init => sub { chdir $self->{dir} or die $! })
	  or die "openssl @arguments: $output";
	return;
}

my @key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');

sub _authority
{
	my ($self, $name) = @_;
	$self->_openssl('req', '-x509', @key, '-subj', "/CN=$name", '-days', '3650',
		'-keyout', "$name.key", '-out', "$name.crt");
	$self->_write("$name.index", '');
	$self->_write("$name.cnf", <<"TEXT");
[ca]
default_ca = this
[this]
dir = .
database = $name.index
new_certs_dir = .
certificate = $name.crt
private_key = $name.key
rand_serial = yes
default_md = sha256
default_days = 3650
default_crl_days = 3650
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
TEXT
	return;
}

sub _issue
{
	my ($self, $name, $subject, $names, @dates) = @_;
	$self->_openssl('req', @key, '-subj', "/CN=$subject", '-addext',
		"subjectAltName=$names", '-keyout', "$name.key", '-out', "$name.csr");
	$self->_openssl('ca', '-config', 'ca.cnf', '-batch', '-notext', @dates,
		'-in', "$name.csr", '-out', "$name.crt");
	return;
}

sub _list
{
	my ($self, $name) = @_;
	$self->_openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', $name);
	return;
}

1;
