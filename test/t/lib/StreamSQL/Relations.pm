# Generated relations: columns of all kinds of types and names, and their data.
#
# Every relation has its own columns, among them two integers (one of as many
# values as there are rows), a numeric and a text: a query may rely on these.
# Other values come from small domains, so that joins find something, with
# NULLs, duplicates and, rarely, extremes. s3 is large: its hash tables and
# groups go to files where there is little memory. Floats are sums of powers of
# two: adding them is exact in any order. All of it follows from Perl's srand.
#
# A column is a hash: field (its name), name (as SQL), type, like (what it is
# compared with), values (as JSON), extremes, literals (as SQL), options, and
# what it is for queries:
#	listed		of a type with kernels
#	wide		the integer of many values
#	strict		equal values look the same, so that groups and min() show one
#	ordered, extreme, list	has <, has min(), fits array_agg()
#	integer, numeric, float, text, plain (of no collation), boolean, time, moment
#		what expressions begin with
package StreamSQL::Relations;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(max shuffle);

our @EXPORT_OK = qw(pick chance);

sub pick { return $_[ int rand @_ ] }

sub chance { return rand() < $_[0] }

# ---- Types ----

my @numbers = qw(0 1 2 3 12.5 -0.01 2.0001 0.5 0.003 -100);
my @texts = ('', 'a', 'b', 'A', 'ab', 'a ', '%', '1', "\xc3\xbcn",
	"\xe6\xbc\xa2\xe5\xad\x97", '12.5', 'a_b');
my @days = ('"2026-01-01"', '"1999-12-31"', '"2000-02-29"');
my @moments = ('"2026-01-01T00:00:00"', '"1999-12-31 23:59:59.999999"',
	'"2026-01-01 12:00:00.0625"', '"infinity"');
my @zoned = ('"2026-01-01 01:00:00+01"', '"2025-12-31T23:00:00-01:00"');
my @endless = ('"-infinity"', '"294276-12-30 23:59:59"', '"4713-01-01 00:00:00 BC"');

my %listed = (
	smallint => { like => 'integer', values => [ 0, 1, 2, 3, -3 ], extremes => [ 32767, -32768 ] },
	int => { like => 'integer', values => [ 0, 1, 2, 3, 7, -1 ],
		extremes => [ 2147483647, -2147483648 ] },
	bigint => { like => 'integer', values => [ 0, 1, 2, 3, -5 ],
		extremes => [ '9223372036854775807', '-9223372036854775808' ] },
	float8 => { like => 'float', values => [ 0, 1, '1.5', '0.125', 3, '12.5', -2 ],
		extremes => [ '"NaN"', '"Infinity"', '"-Infinity"' ] },
	float4 => { like => 'float', values => [ 0, 1, '1.5', '0.25', 3, -2 ],
		extremes => [ '"NaN"', '"-Infinity"' ] },
	boolean => { like => 'boolean', values => [ 'true', 'false' ], extreme => 0 },
	date => { like => 'date', values => [ @days, '"infinity"' ],
		extremes => [ '"-infinity"', '"5874897-12-31"', '"4713-01-01 BC"' ] },
	uuid => { like => 'uuid', extreme => 0,
		values => [ '"00000000-0000-0000-0000-000000000001"',
			'"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', '"ffffffff-ffff-ffff-ffff-ffffffffffff"' ] },
	bytea => { like => 'bytea', extreme => 0,
		values => [ '"\\\\x"', '"\\\\x61"', '"\\\\xff00"', '"ab"' ] });
my %others = (
	jsonb => { like => 'jsonb', extreme => 0, key => 0,
		values => [ '{"k": 1}', '[1, 2]', 'null', '"s"', '1' ],
		literals => [ q('{"k": 1}'), q('[1, 2]'), q('"s"'), q('{}') ] },
	interval => { like => 'interval', strict => 0, key => 0,
		values => [ '"1 day"', '"24:00:00"', '"1 mon"', '"30 days"', '"-1.5 s"' ] },
	time => { like => 'time', values => [ '"12:00:00"', '"23:59:59.5"', '"00:00:00"' ] },
	'int4[]' => { like => 'int4[]', list => 0, key => 0,
		values => [ '[]', '[1, 2]', '[1, null]', '[3]' ],
		literals => [ "'{}'", "'{1,2}'", "'{1,NULL}'" ] },
	mood => { like => 'mood', values => [ '"sad"', '"ok"', '"Happy"' ] },
	few => { like => 'integer', values => [ 0, 1, 2, 3 ] },
	'"char"' => { like => '"char"', extreme => 0, values => [ '"a"', '"b"', '""' ] },
	'text COLLATE loose' => { like => 'text COLLATE loose', strict => 0, key => 0,
		values => [ _texts(20) ] },
	name => { like => 'name', extreme => 0, values => [ '"a"', '"ab"', '""', "\"\xc3\xbcn\"" ] });
# What the types above need.
my $types = q(CREATE TYPE mood AS ENUM ('sad', 'ok', 'Happy');
CREATE DOMAIN few AS int CHECK (VALUE < 100);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
);

# A numeric of so many digits, so many of them after the point.
sub _numeric
{
	my ($precision, $scale) = @_;
	my $limit = 10 ** ($precision - $scale) - 10 ** -$scale / 2;
	my @values = grep { abs($_) < $limit } @numbers;
	my $largest = '9' x $precision;
	$largest .= '0' x -$scale if $scale < 0;
	$largest = '0' x ($scale - $precision + 1) . $largest if $scale >= $precision;
	substr $largest, -$scale, 0, '.' if $scale > 0;
	return {
		type => "numeric($precision,$scale)", like => 'numeric', scale => max($scale, 0),
		values => [ @values, (map { "\"$_\"" } @values), '"NaN"' ],
		extremes => [ $largest, "-$largest", "\"$largest\"" ] };
}

# Of texts, those that a type of so many characters takes.
sub _texts
{
	my ($length) = @_;
	return map { "\"$_\"" } grep { s/ +$//r =~ /^(?:[^\x80-\xbf][\x80-\xbf]*){0,$length}$/ } @texts;
}

sub _listed_type
{
	my $kind = pick(qw(numeric text varchar char timestamp timestamptz), sort keys %listed);
	return { type => $kind, %{ $listed{$kind} } } if $listed{$kind};
	if ($kind eq 'numeric')
	{
		my $precision = pick(1 .. 18, 12, 18);
		return _numeric($precision, pick(0 .. $precision, 0, $precision));
	}
	if ($kind =~ /^timestamp/)
	{
		my $zone = $kind eq 'timestamptz';
		return { type => $kind, like => $kind, values => [ 0, '1767225600000', '"1767225600001"' ],
			literals => [ map { _literal($_) } @moments ], options => ["epoch 'ms'"], key => 0 }
		  if chance(0.2);
		return { type => $kind . pick('', '', map { "($_)" } 0 .. 6), like => $kind,
			values => [ @moments, $zone ? @zoned : () ], extremes => \@endless };
	}
	my $length = pick(1 .. 5, 20);
	return { type => "char($length)", like => 'char', values => [ _texts($length) ] }
	  if $kind eq 'char';
	my $collation = chance(0.4) ? ' COLLATE "C"' : '';
	return { type => ($kind eq 'text' ? 'text' : "varchar($length)") . $collation,
		like => "text$collation", values => [ _texts($kind eq 'text' ? 20 : $length) ],
		extremes => $kind eq 'text' ? [ '"' . 'long' x 300 . '"' ] : [] };
}

sub _other_type
{
	my $kind = pick(qw(numeric numeric wide odd), sort keys %others);
	return _numeric(pick(19 .. 40), pick(0 .. 10)) if $kind eq 'wide';
	return _numeric(@{ pick([ 5, -2 ], [ 3, 5 ], [ 18, -3 ], [ 2, 20 ]) }) if $kind eq 'odd';
	return { type => $kind, %{ $others{$kind} } } if $kind ne 'numeric';
	my $strict = chance(0.5);
	return { type => 'numeric', like => 'numeric', strict => $strict, free => 1,
		values => [ 1, '2.5', 3, '1e20', '0.0', $strict ? () : ('"2.50"', '3.000') ],
		extremes => [ '"NaN"', '"Infinity"' ] };
}

# ---- Columns ----

my @names = qw(id i b s m w x f t v c ok d ts z uu y j key value part o c0 n);
my @quoted = (
	qw(Id ID select order user a.b $.a 1st %s [0] :x), 'a b', 'a"b', "it's", ' ', 'back\\slash',
	"\xc3\xbc", "e\xcc\x81", "\xc3\xa9", "\xe6\xbc\xa2\xe5\xad\x97", 'x' x 63);

sub _quoted
{
	my ($name) = @_;
	return $name if grep { $_ eq $name } @names;
	return '"' . $name =~ s/"/""/gr . '"';
}

# A JSON value as a text, or undef: it is none.
sub _text_of
{
	my ($json) = @_;
	return $json =~ /^"(.*)"$/s ? $1 =~ s/\\(.)/$1/gr : undef;
}

sub _literal
{
	my ($json) = @_;
	my $text = _text_of($json);
	return defined $text ? "'" . $text =~ s/'/''/gr . "'" : $json;
}

# A type as a column, without a name yet.
sub _column
{
	my ($type, %more) = @_;
	my $column = { strict => 1, extreme => 1, ordered => 1, list => 1, key => 1, options => [],
		extremes => [], %$type, %more };
	my ($kind) = $column->{like} =~ /^(\S+)(?: COLLATE "C")?$/ ? $1 : '';
	$column->{literals} //= [ map { _literal($_) } @{ $column->{values} } ];
	$column->{plain} = $column->{like} eq 'text';
	$column->{moment} = $kind =~ /^(date|timestamp)/;
	$column->{time} = $kind =~ /^timestamp/;
	$column->{$kind} = 1 if $kind =~ /^(integer|numeric|float|text|boolean)$/;
	return $column;
}

sub _listed_column
{
	my $column = _column(_listed_type(), listed => 1);
	return $column if $column->{like} ne 'float' || chance(0.7);
	# what is equal to 0 but looks different
	$column->{strict} = 0;
	push @{ $column->{values} = [ @{ $column->{values} } ] }, '-0.0', '"-0"';
	return $column;
}

sub _metadata
{
	my ($type, $what) = @_;
	my $like = $type eq 'text' ? 'text' : 'integer';
	return _column({ type => $type, like => $like, values => [ 0, 1, 5, 30 ] },
		listed => 1, metadata => 1, options => ["metadata '$what'"],
		$type eq 'text' ? (literals => [ "'-'", "'k1'" ]) : ());
}

# The columns of a relation: some that every one has, and others.
sub _columns
{
	my ($stream, $rows) = @_;
	my $precision = pick(2 .. 18);
	my ($wide, $narrow) = (pick(qw(int bigint)), pick(qw(int bigint smallint)));
	my @columns = (
		_column({ type => $wide, %{ $listed{$wide} }, values => [ 0 .. $rows ] },
			listed => 1, wide => 1, literals => [ 0, 1, 5, 30 ]),
		_column({ type => $narrow, %{ $listed{$narrow} } }, listed => 1),
		_column(_numeric($precision, pick(0 .. $precision)), listed => 1),
		_column({ type => 'text', like => 'text', values => [ _texts(20) ] }, listed => 1),
		(map { _listed_column() } 1 .. pick(4 .. 12)),
		(map { _column(_other_type()) } 1 .. pick(1 .. 4)));
	push @columns, _metadata('int', 'partition') if $stream && chance(0.4);
	push @columns, _metadata('bigint', 'offset') if $stream && chance(0.4);
	push @columns, _metadata('text', 'key') if $stream && chance(0.3);
	@columns = shuffle(@columns);
	# each takes a name of which some are in other relations too
	my @fields = shuffle(@names, @quoted);
	for my $column (@columns)
	{
		$column->{field} = pop @fields;
		$column->{name} = _quoted($column->{field});
	}
	return @columns;
}

# The key of a table, and indexes.
sub _make_table
{
	my ($relation) = @_;
	my $columns = $relation->{columns};
	my @keys = grep { $_->{key} && !$_->{boolean} } @$columns;
	my ($integer) = grep { $_->{integer} && $_->{listed} } @$columns;
	$relation->{key_source} = chance(0.2) ? 'value' : 'key';
	@keys = (shuffle(@keys))[ 0 .. pick(0, 0, 1, 1, 2) ];
	# often of integers, of which there are more
	@keys = ($integer) if chance(0.3);
	$relation->{key_format} = @keys == 1 && chance(0.7) ? 'raw' : 'json';
	for my $column (@keys)
	{
		$column->{is_key} = 1;
		$column->{options} = ["key 'true'"];
		push @{ $column->{values} = [ @{ $column->{values} } ] }, 4 .. 40
		  if $column->{integer} && $column->{listed};
	}
	$relation->{keys} = \@keys;
	my @indexed = grep { $_->{key} && !$_->{is_key} && chance(0.3) } @$columns;
	splice @indexed, 7 if @indexed > 7;
	$_->{options} = ["index 'true'"] for @indexed;
	return;
}

sub new
{
	my ($class) = @_;
	my %rows = (s1 => 120, s2 => 50, s3 => 3000, t1 => 60, t2 => 40, t3 => 30, e => 0);
	my $self = bless { names => [ sort keys %rows ] }, $class;
	for my $name (@{ $self->{names} })
	{
		my $table = $name =~ /^t/ || ($name eq 'e' && chance(0.5));
		my $relation = { name => $name, table => $table, rows => $rows{$name},
			format => pick(qw(json json csv)),
			columns => [ _columns(!$table, $rows{$name}) ], keys => [] };
		_make_table($relation) if $table;
		$self->{$name} = $relation;
	}
	return $self;
}

# ---- Data ----

sub _value
{
	my ($column) = @_;
	return 'null' if chance($column->{is_key} ? 0.03 : 0.15);
	return pick(@{ $column->{extremes} }) if @{ $column->{extremes} } && chance(0.01);
	return pick(@{ $column->{values} });
}

# Members of an object; what is NULL may be missing.
sub _object
{
	my ($row, @columns) = @_;
	my @members = map { '"' . $_->{field} =~ s/(["\\])/\\$1/gr . '":' . $row->{ $_->{field} } }
	  grep { $row->{ $_->{field} } ne 'null' || chance(0.5) } @columns;
	return '{' . join(',', @members) . '}';
}

# The same as a line of CSV, where an empty text is quoted and NULL is nothing.
sub _line
{
	my ($row, @columns) = @_;
	my @fields;
	for my $column (@columns)
	{
		my $json = $row->{ $column->{field} };
		my $text = $column->{like} eq 'jsonb' ? $json : _text_of($json) // $json;
		$text =~ s/null/NULL/, $text =~ tr/[]/{}/ if $column->{like} eq 'int4[]';
		push @fields, $json eq 'null' ? '' : '"' . $text =~ s/"/""/gr . '"';
	}
	return join ',', @fields;
}

# The key of a record.
sub _key
{
	my ($relation, $row) = @_;
	my @keys = @{ $relation->{keys} };
	return pick('-', 'k1', '\N') if !@keys || $relation->{key_source} eq 'value';
	return _object($row, @keys) =~ s/\\/\\\\/gr if $relation->{key_format} eq 'json';
	my $json = $row->{ $keys[0]{field} };
	return '\N' if $json eq 'null';
	my $text = _text_of($json) // $json;
	return $text eq '' ? '""' : $text =~ s/\\/\\\\/gr;
}

# The value of a record; as JSON it may hold the key too.
sub _value_of
{
	my ($relation, $row, @columns) = @_;
	return _object($row, @columns) if $relation->{format} eq 'json';
	return _line($row, grep { !$_->{is_key} || $relation->{key_source} eq 'value' } @columns);
}

# The lines of fill.c that make the topics. The last record of a table's key
# counts.
sub fill
{
	my ($self) = @_;
	my $lines = '';
	for my $relation (map { $self->{$_} } @{ $self->{names} })
	{
		my $partitions = pick(1, 2, 4);
		my @columns = grep { !$_->{metadata} } @{ $relation->{columns} };
		$lines .= "topic\tq_$relation->{name}\t$partitions\n";
		for (1 .. $relation->{rows})
		{
			my %row = map { $_->{field} => _value($_) } @columns;
			# \ begins an escape of fill.c
			my $value = _value_of($relation, \%row, @columns) =~ s/\\/\\\\/gr;
			my $partition = $relation->{table} ? '-' : int rand $partitions;
			$lines .= join("\t", 'record', "q_$relation->{name}", $partition, '-',
				_key($relation, \%row), $value) . "\n";
		}
	}
	return $lines;
}

# ---- SQL ----

sub _definition
{
	my ($column) = @_;
	my $options = join ', ', @{ $column->{options} };
	# COLLATE comes after OPTIONS
	my ($type, $collation) = $column->{type} =~ /^(.*?)( COLLATE .*)?$/;
	return "$column->{name} $type" . ($options && " OPTIONS ($options)") . ($collation // '');
}

# A foreign table, with columns that are dropped and one that comes later.
sub _table
{
	my ($relation) = @_;
	my $table = "q_$relation->{name}";
	my @definitions = map { _definition($_) } @{ $relation->{columns} };
	my $last = chance(0.3) && !$relation->{columns}[-1]{is_key} ? pop @definitions : undef;
	my @dropped = map { "dropped$_" } 1 .. pick(0, 1, 1, 2);
	splice @definitions, int rand(@definitions + 1), 0, "$_ " . pick('int', 'text', 'numeric(5,2)')
	  for @dropped;
	my %options = (topic => $table, format => $relation->{format});
	%options = (%options, kind => 'table', map { $_ => $relation->{$_} } qw(key_format key_source))
	  if $relation->{table};
	my $options = join ', ', map { "$_ '$options{$_}'" } sort keys %options;
	my $sql = "CREATE FOREIGN TABLE $table (" . join(', ', @definitions)
	  . ") SERVER kafka OPTIONS ($options);\n";
	$sql .= "ALTER FOREIGN TABLE $table DROP COLUMN $_;\n" for @dropped;
	$sql .= "ALTER FOREIGN TABLE $table ADD COLUMN $last;\n" if defined $last;
	return $sql;
}

# The SQL that makes foreign tables q_…, heap copies h_…, and g_…: the other way
# round, with rows that have extreme integers first.
sub schema
{
	my ($self) = @_;
	my $zone = pick(qw(UTC America/New_York Asia/Kolkata));
	# what decodes values has it too, in whatever process
	my $sql = "SET timezone = '$zone';\nALTER DATABASE postgres SET timezone = '$zone';\n$types";
	for my $name (@{ $self->{names} })
	{
		$sql .= _table($self->{$name}) . "CREATE TABLE h_$name AS SELECT * FROM q_$name;\n"
		  . "CREATE TABLE g_$name AS SELECT * FROM h_$name h ORDER BY"
		  . " h::text ~ '3276[78]|214748364[78]|922337203685477580[78]' DESC, ctid DESC;\n";
	}
	return $sql . (chance(0.7) ? "ANALYZE;\n" : '');
}

1;
