# A user who may not write is told so, leaves nothing, and writes in the same
# session as soon as it may.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use StreamSQL::Session;
use Test::More;

plan skip_all => 'a real Kafka needs java and mvn'
  unless StreamSQL::Broker::has_kafka();

my $broker = StreamSQL::Broker->start('kafka',
	'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
	'super.users' => 'User:ANONYMOUS',
	listener => 'LOGIN:SASL_PLAINTEXT',
	scram => 'SCRAM-SHA-256=[name=app,password=word]',
	'listener.name.login.sasl.enabled.mechanisms' => 'SCRAM-SHA-256',
	'listener.name.login.scram-sha-256.sasl.jaas.config' =>
	  'org.apache.kafka.common.security.scram.ScramLoginModule required;');
my $node = StreamSQL::Instance::start($broker);
$broker->fill("topic\tt\t1\ntopic\tsecret\t1\n");

# Let the user do something, with Kafka's own tool.
sub allow
{
	my (@what) = @_;
	my ($libs) = glob "$ENV{STREAMSQL_ROOT}/build/kafka/3.9*/libs";
	my $errors;
	IPC::Run::run([ 'java', '-XX:-UsePerfData', '-cp', "$libs/*", 'kafka.admin.AclCommand',
			'--bootstrap-server', $broker->bootstrap, '--add', '--allow-principal', 'User:app', @what ],
		'>', '/dev/null', '2>', \$errors) or die "AclCommand: $errors\n";
	return;
}

$node->safe_psql('postgres', sprintf q(
	CREATE SERVER login FOREIGN DATA WRAPPER streamsql OPTIONS (bootstrap_servers 'localhost:%d',
		security_protocol 'sasl_plaintext', sasl_mechanisms 'SCRAM-SHA-256');
	CREATE USER MAPPING FOR CURRENT_USER SERVER login OPTIONS (sasl_username 'app', sasl_password 'word');
	CREATE TABLE kept (n int);
	CREATE FOREIGN TABLE t (n int) SERVER login OPTIONS (topic 't');
	CREATE FOREIGN TABLE once (n int) SERVER login OPTIONS (topic 't', delivery 'statement');
	CREATE FOREIGN TABLE secret (n int) SERVER login OPTIONS (topic 'secret')), $broker->port('LOGIN'));
my $session = StreamSQL::Session->new($node);

# A row into heap and topic; the error.
my $n = 0;
sub write_to
{
	my ($table) = @_;
	$n++;
	my ($rows, $errors) = $session->ask("BEGIN; INSERT INTO kept VALUES ($n); INSERT INTO $table VALUES ($n); COMMIT");
	return $errors;
}

like(write_to('secret'), qr/ERROR:  42P01: topic "secret" does not exist\nHINT:  Kafka also hides topics/,
	'a topic that one may not see');
allow('--topic', 't', '--operation', 'Describe');
like(write_to('t'), qr/ERROR:  42501: permission denied for transactions/, 'transactions that one may not make');
like(write_to('once'), qr/ERROR:  42501: .*authorization failed/s, 'a topic that one may only see, at once');
allow('--transactional-id', 'streamsql-', '--resource-pattern-type', 'prefixed',
	'--operation', 'Write', '--operation', 'Describe');
like(write_to('t'), qr/ERROR:  42501: permission denied for topic "t"\n/, 'a topic that one may only see');
is(scalar(my @none = $broker->drain('t', 'isolation.level=read_uncommitted')), 0, 'nothing was written');
is(scalar $session->ask('SELECT count(*) FROM kept'), 0, '… to the heap neither');
allow('--topic', 't', '--operation', 'Write');
allow('--topic', 'secret', '--operation', 'Describe');
my (undef, $errors) = $session->ask('BEGIN; INSERT INTO t VALUES (0); INSERT INTO secret VALUES (0); COMMIT');
like($errors, qr/ERROR:  42501: permission denied for one of the topics "t", "secret"\n/,
	'one of two that one may write to');
is(write_to('t'), '', 'allowed, the session writes');
is(write_to('once'), '', '… at once, too');
is_deeply([ sort map { /"n":(\d+)/ } $broker->drain('t') ], [ split /\n/, scalar $session->ask('SELECT n FROM kept ORDER BY n') ],
	'what it has written is there');

$session->quit;
$node->stop;
StreamSQL::Instance::all_survived($node);
done_testing();
