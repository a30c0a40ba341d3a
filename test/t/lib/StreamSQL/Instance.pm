# A private PostgreSQL with the extension and a server "kafka" for a broker, read
# by STREAMSQL_READER, or as it is by default.
package StreamSQL::Instance;

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $started = 0;

# A started PostgreSQL::Test::Cluster; the extension and the server exist.
sub start
{
	my ($broker, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new('streamsql' . $started++);
	$node->init;
	$node->append_conf('postgresql.conf', "$_\n")
	  for 'max_parallel_workers_per_gather = 0', 'fsync = off',
	  q(shared_preload_libraries = 'streamsql'), @settings;
	$node->start;
	$node->safe_psql('postgres', sprintf(
			q(CREATE EXTENSION streamsql;
			  CREATE SERVER kafka FOREIGN DATA WRAPPER streamsql
			  OPTIONS (bootstrap_servers '%s', reader '%s');),
			$broker->bootstrap, $ENV{STREAMSQL_READER} || 'auto'));
	return $node;
}

# What a process holds: threads, file descriptors, resident memory in kB.
sub usage
{
	my ($pid) = @_;
	my %usage = (fds => scalar(@{ [ glob("/proc/$pid/fd/*") ] }));
	open my $status, '<', "/proc/$pid/status" or die "no process $pid\n";
	while (<$status>)
	{
		$usage{threads} = $1 if /^Threads:\s+(\d+)/;
		$usage{rss} = $1 if /^VmRSS:\s+(\d+)/;
		$usage{peak} = $1 if /^VmHWM:\s+(\d+)/;
	}
	close $status;
	return \%usage;
}

# A test that no process of a stopped instance died.
sub all_survived
{
	my ($node) = @_;
	unlike(slurp_file($node->logfile),
		qr/terminated by signal|PANIC|server process .* exited/,
		'no process died of it');
	return;
}

1;
