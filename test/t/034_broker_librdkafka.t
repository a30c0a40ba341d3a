# 010_broker.t again, read by librdkafka: brokers that fail.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Instance;

$ENV{STREAMSQL_READER} = 'librdkafka';
do "$FindBin::Bin/010_broker.t" or die $@ || $!;
