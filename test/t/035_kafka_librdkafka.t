# 030_kafka.t again, read by librdkafka: what only a real Kafka has.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Instance;

$ENV{STREAMSQL_READER} = 'librdkafka';
do "$FindBin::Bin/030_kafka.t" or die $@ || $!;
