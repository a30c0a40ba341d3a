# The connection of our own reader on a real Kafka: every way to be secure, and
# a clear error for every way not to be.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run qw(run);
use StreamSQL::Broker;
use StreamSQL::Certificates;
use StreamSQL::Instance;
use StreamSQL::Kerberos;
use Test::More;

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $pem = StreamSQL::Certificates->new;
my $plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required '
  . 'user_app="pass word" user_weak="x";';
my $scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';

sub keystore
{
	my ($listener, $name) = @_;
	return map { ("listener.name.$listener.$_->[0]" => $_->[1]) }
	  [ 'ssl.keystore.type', 'PEM' ],
	  [ 'ssl.keystore.location', $pem->path("$name.pem") ],
	  [ 'ssl.truststore.type', 'PEM' ],
	  [ 'ssl.truststore.location', $pem->path('ca.crt') ];
}

sub logins
{
	my ($listener) = @_;
	return ("listener.name.$listener.plain.sasl.jaas.config" => $plain,
		"listener.name.$listener.scram-sha-256.sasl.jaas.config" => $scram,
		"listener.name.$listener.scram-sha-512.sasl.jaas.config" => $scram,
		"listener.name.$listener.sasl.enabled.mechanisms" =>
		  'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512');
}

my $kerberos = StreamSQL::Kerberos::has_kerberos() && StreamSQL::Kerberos->start;
my @ticket;
if ($kerberos)
{
	$ENV{KAFKA_JAVA} = '-Djava.security.krb5.conf=' . $kerberos->path('krb5.conf');
	@ticket = ('listener.name.ticket.gssapi.sasl.jaas.config' =>
		  'com.sun.security.auth.module.Krb5LoginModule required '
		  . 'useKeyTab=true storeKey=true principal="kafka/localhost@TEST.EXAMPLE" '
		  . 'keyTab="' . $kerberos->path('broker.keytab') . '";',
		'listener.name.ticket.sasl.kerberos.service.name' => 'kafka',
		'listener.name.ticket.sasl.enabled.mechanisms' => 'GSSAPI');
}

my $broker = StreamSQL::Broker->start(
	'kafka',
	@ticket,
	listener => [ $kerberos ? 'TICKET:SASL_PLAINTEXT' : (), 'TLS:SSL', 'MUTUAL:SSL', 'EXPIRED:SSL', 'WRONG:SSL',
		'LOGIN:SASL_PLAINTEXT', 'SAFE:SASL_SSL', 'SHORT:SASL_PLAINTEXT' ],
	scram => [ 'SCRAM-SHA-256=[name=app,password=pass word]',
		'SCRAM-SHA-512=[name=app,password=other word]' ],
	keystore('tls', 'server'),
	keystore('mutual', 'server'),
	keystore('expired', 'expired'),
	keystore('wrong', 'wrong'),
	keystore('safe', 'server'),
	logins('login'),
	logins('safe'),
	logins('short'),
	'listener.name.mutual.ssl.client.auth' => 'required',
	'listener.name.short.connections.max.reauth.ms' => '60000',
	'connection.failed.authentication.delay.ms' => '0');

# What test/broker/wire.c says of a connection to a listener.
sub wire
{
	my ($port, @properties) = @_;
	my @options;
	@options = splice @properties, 0, 2 if @properties && $properties[0] =~ /^-/;
	my $host = 'localhost';
	$host = $1 if @properties && $properties[0] =~ /^host=(.*)/ && shift @properties;
	$port = $broker->port($port) // $port;
	my ($output, $error);
	run([ "$ENV{STREAMSQL_ROOT}/build/bin/wire", @options, $host, $port,
			@properties ], '>', \$output, '2>', \$error);
	$output =~ s/\b$port\b/PORT/g;
	diag($error) if $error;
	return $output . $error;
}

my $ready = qr/^ready fetch 1\d metadata 1\d brokers 1 cluster known\n/;
my ($plain_port) = $broker->bootstrap =~ /:(\d+)$/;
my @tls = ('security.protocol=ssl', 'ssl.ca.location=' . $pem->path('ca.crt'));
my @safe = ('security.protocol=sasl_ssl', $tls[1]);

sub login
{
	my ($mechanism, $name, $password) = @_;
	return ("sasl.mechanism=$mechanism", "sasl.username=$name",
		"sasl.password=$password");
}

# ---- TCP and TLS ----
like(wire($plain_port), $ready, 'PLAINTEXT');
like(wire($plain_port, 'host=127.0.0.1'), $ready, '... by address');
like(wire($plain_port, 'broker.address.family=v4'), $ready, '... IPv4');
like(wire('TLS', @tls), $ready, 'SSL');
like(wire('TLS', 'host=127.0.0.1', @tls), $ready,
	'... by an address that the certificate has');
like(wire('TLS', 'security.protocol=SSL', 'ssl.ca.pem=' . $pem->read('other.crt')
		. $pem->read('ca.crt')), $ready, '... two authorities in a text');
like(wire('TLS', @tls, 'ssl.cipher.suites=ECDHE-ECDSA-AES128-GCM-SHA256',
		'ssl.curves.list=P-256', 'ssl.sigalgs.list=ECDSA+SHA256'),
	$ready, '... with chosen algorithms');
like(wire('TLS', 'security.protocol=ssl', 'ssl.ca.location='
		. $pem->path('other.crt'), 'enable.ssl.certificate.verification=false'),
	$ready, '... not verified, when that is asked for');
like(wire('WRONG', @tls, 'ssl.endpoint.identification.algorithm=none'),
	$ready, '... of any host, when that is asked for');
like(wire('TLS', @tls, 'ssl.crl.location=' . $pem->path('good.crl')), $ready,
	'... not on the list of the revoked');

# ---- Large requests and answers ----
for ([ $plain_port ], [ 'TLS', @tls ])
{
	my ($port, @properties) = @$_;
	like(wire($port, '-k', '100000', @properties),
		qr/^ready fetch 1\d metadata 9 brokers 1 cluster known\ntopics 100000\n/,
		'a large request and answer');
}

# ---- Brokers that are not to be trusted ----
my $tls_error = qr/^error 08006 lasting: could not agree on TLS with Kafka at "localhost:PORT" \| /;
like(wire('TLS', 'security.protocol=ssl'),
	qr/${tls_error}The broker's certificate is not trusted: unable to get local issuer certificate\./,
	'an authority that nobody knows');
like(wire('TLS', 'security.protocol=ssl', 'ssl.ca.location='
		. $pem->path('other.crt')),
	qr/${tls_error}The broker's certificate is not trusted: unable to get local issuer certificate\./,
	'the wrong authority');
like(wire('EXPIRED', @tls),
	qr/${tls_error}The broker's certificate is not trusted: certificate has expired\./,
	'an expired certificate');
like(wire('WRONG', @tls),
	qr/${tls_error}The broker's certificate is not one of host "localhost"\. \| Connect by a name/,
	'the certificate of another host');
like(wire('WRONG', 'host=127.0.0.1', @tls),
	qr/The broker's certificate is not one of host "127\.0\.0\.1"\./,
	'... of another address');
like(wire('TLS', @tls, 'ssl.crl.location=' . $pem->path('revoked.crl')),
	qr/${tls_error}The broker's certificate is not trusted: certificate revoked\./,
	'a revoked certificate');
like(wire($plain_port, '-t', '5000', @tls),
	qr/^error 08006 passing: lost the connection to Kafka at "localhost:PORT" \| The broker closed it during the TLS handshake\. \| Perhaps the port is one without TLS/,
	'TLS on a port without');
like(wire('TLS'),
	qr/^error (08P01|08006) \w+: .* \| Perhaps the port is one with TLS: see the option "security_protocol"\.$/,
	'a port with TLS without it');

# ---- Certificates of clients ----
my @certificate = ('ssl.certificate.location=' . $pem->path('client.crt'));
like(wire('MUTUAL', @tls, @certificate,
		'ssl.key.location=' . $pem->path('client.key')),
	$ready, 'a client certificate in files');
like(wire('MUTUAL', @tls, @certificate, 'ssl.key.password=secret',
		'ssl.key.location=' . $pem->path('client.enc')),
	$ready, '... with a password');
like(wire('MUTUAL', @tls, 'ssl.certificate.pem=' . $pem->read('client.crt'),
		'ssl.key.pem=' . $pem->read('client.enc'), 'ssl.key.password=secret'),
	$ready, '... in texts');
like(wire('MUTUAL', @tls, 'ssl.keystore.location=' . $pem->path('client.p12'),
		'ssl.keystore.password=secret'), $ready, '... in a keystore');
like(wire('MUTUAL', @tls),
	qr/${tls_error}The broker says: .*\. \| The broker may want a certificate of its clients/,
	'no client certificate');
like(wire('MUTUAL', @tls, @certificate, 'ssl.key.password=wrong',
		'ssl.key.location=' . $pem->path('client.enc')),
	qr/^error HV00N .*could not use Kafka property "ssl\.key\.location" \| OpenSSL says: /,
	'the wrong password of a key');
like(wire('MUTUAL', @tls, @certificate,
		'ssl.key.location=' . $pem->path('server.key')),
	qr/^error HV00N .*could not use Kafka property "ssl\.key\.location" \| OpenSSL says: /,
	'the key of another certificate');
like(wire('MUTUAL', @tls, 'ssl.keystore.location=' . $pem->path('client.p12'),
		'ssl.keystore.password=wrong'),
	qr/^error HV00N .*could not use Kafka property "ssl\.keystore\.location" \| OpenSSL says: mac verify failure\./,
	'the wrong password of a keystore');

# ---- Logins ----
my @words = ([ 'PLAIN', 'pass word' ], [ 'SCRAM-SHA-256', 'pass word' ],
	[ 'SCRAM-SHA-512', 'other word' ]);
for (@words)
{
	my ($mechanism, $word) = @$_;
	my $refused = qr/^error 28000 lasting: could not log in to Kafka at "localhost:PORT" \| The broker says: Authentication failed.* \(error 58\)\. \| $/;
	like(wire('LOGIN', 'security.protocol=sasl_plaintext',
			login($mechanism, 'app', $word)), $ready,
		"SASL_PLAINTEXT with $mechanism");
	like(wire('SAFE', @safe, login($mechanism, 'app', $word)), $ready,
		"SASL_SSL with $mechanism");
	like(wire('SAFE', @safe, login($mechanism, 'app', 'wrong')), $refused,
		'... the wrong password');
	like(wire('SAFE', @safe, login($mechanism, 'nobody', $word)), $refused,
		'... nobody of that name');
}
like(wire('SAFE', 'security.protocol=sasl_ssl', 'ssl.ca.location='
		. $pem->path('other.crt'), login('PLAIN', 'app', 'pass word')),
	qr/${tls_error}The broker's certificate is not trusted/,
	'no login where TLS fails');
like(wire('SHORT', 'security.protocol=sasl_plaintext',
		login('PLAIN', 'app', 'pass word')),
	qr/${ready}expires in (59|60) s\n/, 'a login that expires');
like(wire('LOGIN', 'security.protocol=sasl_plaintext', 'sasl.mechanism=PLAIN'),
	qr/^error HV00N .*no user and password for Kafka/, 'no user');
like(wire($plain_port, 'security.protocol=sasl_plaintext',
		login('PLAIN', 'app', 'pass word')),
	qr/^error 28000 lasting: .* \| The port is not one with a login: see the option "security_protocol"\./,
	'a login on a port without');
like(wire('LOGIN'),
	qr/^error 08006 passing: lost the connection .* \| Perhaps the broker wants a login: see the option "security_protocol"\.$/,
	'no login on a port with one');
like(wire('LOGIN', 'security.protocol=sasl_plaintext', 'sasl.mechanism=OAUTHBEARER'),
	qr/^not spoken: sasl\.mechanisms OAUTHBEARER$/, 'what is not spoken');
like(wire('SAFE', @safe, login('PLAIN', 'app ', 'pass word')),
	qr/^not spoken: sasl\.username with a blank at its end$/,
	'... libsasl2 would take it away');

# ---- Kerberos ----
SKIP:
{
	skip 'Kerberos needs krb5-kdc, krb5-admin-server and krb5-user', 5
	  unless $kerberos;
	my @gssapi = 'security.protocol=sasl_plaintext';    # GSSAPI is the default
	{
		local %ENV = (%ENV, $kerberos->ticket);
		like(wire('TICKET', @gssapi), $ready, 'GSSAPI');
		like(wire('TICKET', '-n', '20', @gssapi),
			qr/^left 0 descriptors 0 threads -?\d{1,3} bytes$/m, '... leaves nothing');
		like(wire('TICKET', @gssapi, 'sasl.kerberos.service.name=other'),
			qr/^error 28000 lasting: .* \| SASL mechanism GSSAPI: .*not found in Kerberos database/,
			'... of another service');
		like(wire('LOGIN', @gssapi),
			qr/^error 28000 lasting: .* \| The broker has not the SASL mechanism GSSAPI, but: [PLAINSCRAMH, 0-9-]+\./,
			'... where there is none');
	}
	local %ENV = (%ENV, $kerberos->ticket(0));
	like(wire('TICKET', @gssapi),
		qr/^error 28000 lasting: .* \| SASL mechanism GSSAPI: .*No Kerberos credentials available/,
		'... without a ticket');
}

# ---- Nothing is left ----
for ([ 'WRONG', @tls ], [ 'SAFE', @safe, login('SCRAM-SHA-256', 'app', 'wrong') ],
	[ 'LOGIN', '-x' ], [ 1 ], [ 'SAFE', @safe, login('PLAIN', 'app', 'pass word') ])
{
	my ($port, @properties) = @$_;
	@properties = ('security.protocol=sasl_plaintext',
		login('SCRAM-SHA-512', 'app', 'wrong')) if "@properties" eq '-x';
	my $text = wire($port, '-n', '100', @properties);
	like($text, qr/^left 0 descriptors 0 threads -?\d{1,3} bytes$/m,
		'100 times, nothing is left');
}

# ---- in SQL: the reader stands on these connections ----
my $node = StreamSQL::Instance::start($broker);
$broker->fill("topic\tsecure\t2\nrepeat\t1000\tsecure\t-\t-\tk%d\t{\"n\":%d}\n");

# A table over a server with these options, and a mapping with those.
sub secure
{
	my ($name, $server, $mapping) = @_;
	my $quoted = sub {
		my (%options) = @_;
		return join ', ', map { "$_ '" . $options{$_} =~ s/'/''/gr . "'" } sort keys %options;
	};
	my $port = delete $server->{listener};
	$node->safe_psql('postgres', sprintf(
			q(CREATE SERVER %1$s FOREIGN DATA WRAPPER streamsql OPTIONS (%2$s);
			CREATE USER MAPPING FOR CURRENT_USER SERVER %1$s %3$s;
			CREATE FOREIGN TABLE %1$s_t (n int) SERVER %1$s OPTIONS (topic 'secure');),
			$name, $quoted->(bootstrap_servers => 'localhost:' . $broker->port($port), %$server),
			%$mapping ? 'OPTIONS (' . $quoted->(%$mapping) . ')' : ''));
	return;
}

# What a query of such a table says, by a reader.
sub read_by
{
	my ($reader, $name) = @_;
	$node->safe_psql('postgres', sprintf q(ALTER SERVER %s OPTIONS (%s reader '%s')),
		$name, $reader eq 'wire' ? 'ADD' : 'SET', $reader);
	my (undef, $out, $error) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nSELECT count(*), sum(n) FROM ${name}_t");
	return $out . ($error =~ /ERROR: +(\w{5})/ ? $1 : '');
}

my %ca = (ssl_ca_location => $pem->path('ca.crt'));
my %app = (sasl_username => 'app');
for my $case (
	[ 'ssl', { listener => 'TLS', security_protocol => 'ssl', %ca }, {} ],
	[ 'mutual', { listener => 'MUTUAL', security_protocol => 'ssl', %ca },
		{ ssl_certificate_location => $pem->path('client.crt'),
			ssl_key_location => $pem->path('client.key') } ],
	map({
		my $protocol = $_;
		map { [ lc("${protocol}_$_->[0]") =~ s/-/_/gr,
				{ listener => $protocol eq 'sasl_ssl' ? 'SAFE' : 'LOGIN', security_protocol => $protocol,
					sasl_mechanisms => $_->[0], $protocol eq 'sasl_ssl' ? %ca : () },
				{ %app, sasl_password => $_->[1] } ] }
		  [ 'PLAIN', 'pass word' ], [ 'SCRAM-SHA-256', 'pass word' ], [ 'SCRAM-SHA-512', 'other word' ]
	} 'sasl_ssl', 'sasl_plaintext'))
{
	my ($name, $server, $mapping) = @$case;
	secure($name, $server, $mapping);
	is(read_by('wire', $name), '1000|499500', "$name in SQL");
	is(read_by('librdkafka', $name), '1000|499500', '... and by librdkafka');
}
secure('stranger', { listener => 'TLS', security_protocol => 'ssl',
		ssl_ca_location => $pem->path('other.crt') }, {});
is(read_by('wire', 'stranger'), '08006', 'an authority that is not trusted, in SQL');
is(read_by('auto', 'stranger'), '08006', '... is no reason for another reader');
secure('forgotten', { listener => 'SAFE', security_protocol => 'sasl_ssl',
		sasl_mechanisms => 'SCRAM-SHA-256', %ca }, { %app, sasl_password => 'no word' });
is(read_by('wire', 'forgotten'), '28000', 'a wrong password, in SQL');
is(read_by('auto', 'forgotten'), '28000', '... is no reason for another reader');
secure('oauth', { listener => 'SAFE', security_protocol => 'sasl_ssl',
		sasl_mechanisms => 'OAUTHBEARER', %ca }, {});
like($node->safe_psql('postgres', 'EXPLAIN SELECT * FROM oauth_t'),
	qr/Reader: librdkafka \(wire does not speak sasl.mechanisms OAUTHBEARER\)/,
	'EXPLAIN says why another reader reads');
StreamSQL::Instance::all_survived($node);
$node->stop;

done_testing();
