# Generated data and queries: the same over streams, tables and heap tables.
#
# Relations are called R_<name>, so that a query can be made one over topics or
# over heap tables. Values come from small domains, so that joins find
# something, with NULLs, duplicates and, rarely, extremes. Floats are sums of
# powers of two: adding them is exact in any order. Everything follows from
# one seed.
package StreamSQL::Queries;

use strict;
use warnings;

my @columns = (
	[ id => 'int' ], [ i => 'int' ], [ b => 'bigint' ], [ s => 'smallint' ],
	[ m => 'numeric(12,2)' ], [ w => 'numeric(9,4)' ], [ u => 'numeric' ],
	[ x => 'float8' ], [ f => 'float4' ], [ t => 'text' ],
	[ v => 'varchar(20)' ], [ c => 'char(4)' ], [ ok => 'boolean' ],
	[ d => 'date' ], [ ts => 'timestamp' ], [ z => 'timestamptz' ],
	[ uu => 'uuid' ], [ y => 'bytea' ], [ j => 'jsonb' ]);
my %values = (
	i => [ 0, 1, 2, 3, 7, -1 ], b => [ 0, 1, 2, 3, -5 ], s => [ 0, 1, 2, 3, -3 ],
	m => [ 0, 1, 2, 3, '12.5', '"12.50"', '-0.01', '"NaN"' ],
	w => [ 0, 1, '2.0001', '12.5', 3 ], u => [ 1, '2.5', '"2.50"', 3, '1e20' ],
	x => [ 0, 1, '1.5', '0.125', 3, '12.5', '-2' ],
	f => [ 0, 1, '1.5', '0.25', 3, '-2' ],
	t => [ '""', '"a"', '"b"', '"A"', '"ab"', '"a "', '"%"', '"1"', "\"\xc3\xbcn\"",
		"\"\xe6\xbc\xa2\xe5\xad\x97\"", '"12.5"' ],
	v => [ '""', '"a"', '"ab"', '"A"', '"1"', "\"\xc3\xbcn\"", '"a_b"' ],
	c => [ '"a"', '"a  "', '"ab"', '"1"', '""' ],
	ok => [ 'true', 'false' ],
	d => [ '"2026-01-01"', '"1999-12-31"', '"2000-02-29"', '"infinity"' ],
	ts => [ '"2026-01-01T00:00:00"', '"1999-12-31 23:59:59.999999"', '"2026-01-01 12:00:00"' ],
	z => [ '"2026-01-01T00:00:00Z"', '"2026-01-01 01:00:00+01"', '"1999-12-31T23:59:59Z"' ],
	uu => [ '"00000000-0000-0000-0000-000000000001"', '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"' ],
	y => [ '"\\\\x"', '"\\\\x61"', '"\\\\xff00"' ],
	j => [ '{"k": 1}', '[1, 2]', 'null', '"s"' ]);
my %extremes = (
	i => [ 2147483647, -2147483648 ], b => [ '9223372036854775807', '-9223372036854775808' ],
	s => [ 32767, -32768 ], m => [ '9999999999.99', '-9999999999.99' ],
	x => [ '"NaN"', '"Infinity"' ], f => [ '"NaN"', '"-Infinity"' ],
	t => [ '"' . 'long' x 300 . '"' ]);
my %literals = (
	id => [ 0, 5, 30 ], i => [ 0, 1, 3 ], b => [ 0, 2 ], s => [ 1, 2, -3 ],
	m => [ 0, '12.5', '2.000', "'NaN'" ], w => [ '2.0001', 3 ], u => [ '2.5', 3 ],
	x => [ 0, '1.5', "'NaN'" ], f => [ 1, '0.25' ], t => [ "'a'", "'ab'", "''" ],
	v => [ "'a'", "'1'" ], c => [ "'a'", "'ab '" ], ok => [ 'true', 'false' ],
	d => [ "'2026-01-01'", "'2000-02-29'" ], ts => [ "'2026-01-01'" ],
	z => [ "'2026-01-01Z'" ], uu => [ "'00000000-0000-0000-0000-000000000001'" ],
	y => [ "'\\x61'" ]);
# Columns that have an equality, those of one list with each other.
my @alike = ([qw(id i b s)], [qw(id i b s)], [qw(m w)], [qw(x f)], [qw(t v)], ['c'],
	['ok'], ['d'], ['ts'], ['z'], ['uu'], ['y'], [qw(i m)]);
my @ordered = qw(id i b s m w x f t v c d ts z);
my @keys = qw(i b s m w x f t v c ok d ts z uu);

sub new
{
	my ($class, $seed) = @_;
	srand($seed);
	return bless { rows => { s1 => 120, s2 => 50, t1 => 60, t2 => 40, e => 0 } },
	  $class;
}

sub pick { return $_[ int rand @_ ] }

sub chance { return rand() < $_[0] }

# ---- Data ----

sub _value
{
	my ($column) = @_;
	return 'null' if chance(0.15);
	return pick(@{ $extremes{$column} }) if $extremes{$column} && chance(0.01);
	return pick(@{ $values{$column} });
}

# The lines of fill.c that make the topics. Tables t1, t2 have keys id and
# (i, t): the last record of each counts.
sub fill
{
	my ($self) = @_;
	my $lines = '';
	for my $name (sort keys %{ $self->{rows} })
	{
		my $partitions = pick(1, 2, 4);
		$lines .= "topic\tq_$name\t$partitions\n";
		for my $id (1 .. $self->{rows}{$name})
		{
			my %row = map { $_->[0] => _value($_->[0]) } @columns;
			my $key = '-';
			$row{id} = $id;
			$key = $row{id} = int rand 50 if $name eq 't1';
			if ($name eq 't2')
			{
				$row{i} = pick(0 .. 7);
				$row{t} = pick(@{ $values{t} });
				$key = "{\"i\":$row{i},\"t\":$row{t}}";
			}
			# \ begins an escape of fill.c
			my $json = join ',', map { "\"$_\":$row{$_}" } sort keys %row;
			$json =~ s/\\/\\\\/g;
			my $partition = $key eq '-' ? int rand $partitions : '-';
			$lines .= "record\tq_$name\t$partition\t-\t$key\t{$json}\n";
		}
	}
	return $lines;
}

# The SQL that makes foreign tables q_… and heap copies h_….
sub schema
{
	my ($self) = @_;
	my $sql = '';
	for my $name (sort keys %{ $self->{rows} })
	{
		my $table = $name =~ /^t/;
		my @definitions = map {
			my ($column, $type) = @$_;
			my $options = '';
			$options = " OPTIONS (key 'true')"
			  if ($name eq 't1' && $column eq 'id')
			  || ($name eq 't2' && $column =~ /^[it]$/);
			$options = " OPTIONS (index 'true')"
			  if $table && $column =~ /^[bc]$/;
			$options = " OPTIONS (index 'true')"
			  if $name eq 't1' && $column eq 'v';
			"$column $type$options";
		} @columns;
		my $options = "topic 'q_$name'";
		$options .= ", kind 'table', key_format '" . ($name eq 't1' ? 'raw' : 'json') . q(')
		  if $table;
		$sql .= sprintf "CREATE FOREIGN TABLE q_%s (%s) SERVER kafka OPTIONS (%s);\n",
		  $name, join(', ', @definitions), $options;
		$sql .= "CREATE TABLE h_$name AS SELECT * FROM q_$name;\n";
	}
	return $sql . "ANALYZE;\n";
}

# ---- Expressions ----

sub _column { my ($alias, $name) = @_; return "$alias.$name" }

sub _integer
{
	my ($aliases, $depth) = @_;
	my $column = _column(pick(@$aliases), pick(qw(id i s i s b)));
	return $column if $depth <= 0 || chance(0.5);
	my $other = _integer($aliases, $depth - 1);
	return pick(
		"($column + $other)", "($column - $other)", "($column * 2)",
		"coalesce($column, 0)", "abs($column)", "-$column", "$column % 5",
		"CASE WHEN $column > 1 THEN $column ELSE $other END",
		"nullif($column, 1)", "length(" . _column(pick(@$aliases), 't') . ")",
		chance(0.1) ? "$column / $other" : "($other / 2)");
}

sub _numeric
{
	my ($aliases) = @_;
	my $name = pick(qw(m w));
	my $column = _column(pick(@$aliases), $name);
	# of one scale: which of 0 and 0.00 min() shows depends on the order
	my $zero = $name eq 'm' ? '0.00' : '0.0000';
	return pick($column, $column, "($column + 1)", "($column * 2)", "-$column",
		"($column - " . _column(pick(@$aliases), 'm') . ")", "coalesce($column, $zero)",
		"($column * 1.5)", "abs($column)");
}

sub _text
{
	my ($aliases) = @_;
	my $column = _column(pick(@$aliases), pick(qw(t v)));
	return pick($column, $column, $column, "upper($column)", "($column || 'x')",
		"coalesce($column, 'none')", "left($column, 1)");
}

sub _condition
{
	my ($aliases, $depth) = @_;
	my $alias = pick(@$aliases);
	if ($depth > 0 && chance(0.25))
	{
		my ($a, $b) = map { _condition($aliases, $depth - 1) } 1 .. 2;
		return pick("($a AND $b)", "($a OR $b)", "NOT ($a)", "(($a) IS NOT TRUE)",
			"(($a) IS UNKNOWN)", "CASE WHEN $a THEN $b ELSE false END");
	}
	my $column = pick(grep { $literals{$_} } keys %{ { map { $_->[0] => 1 } @columns } });
	my $literal = pick(@{ $literals{$column} });
	my $other = pick(@{ $literals{$column} });
	my $operator = pick(qw(= <> < <= > >=));
	return pick(
		sub { "$alias.$column $operator $literal" },
		sub { "$alias.$column $operator $literal" },
		sub { "$alias.$column IS " . pick('NULL', 'NOT NULL') },
		sub { "$alias.$column IN ($literal, $other, NULL)" },
		sub { "$alias.$column NOT IN ($literal, $other)" },
		sub { "$alias.$column BETWEEN $literal AND $other" },
		sub { "$alias.$column IS " . pick('', 'NOT ') . "DISTINCT FROM $literal" },
		sub { "$alias.t " . pick('', 'NOT ') . "LIKE " . pick("'a%'", "'%b'", "'_'", "'!%%' ESCAPE '!'") },
		sub { "$alias.ok" },
		sub { _integer($aliases, 2) . " $operator " . pick(0, 1, 3) },
		sub { _integer($aliases, 1) . " $operator " . _integer($aliases, 1) },
		sub { _numeric($aliases) . " $operator " . _numeric($aliases) },
		sub { _text($aliases) . " $operator " . _text($aliases) },
		sub { "extract(year FROM $alias.d) = 2026" },
		sub { "$alias.i $operator (SELECT max(o.s) FROM R_s2 o)" })->();
}

# An equality, or something like it, of two relations.
sub _equality
{
	my ($left, $right) = @_;
	my $alike = pick(@alike);
	my ($a, $b) = (pick(@$alike), pick(@$alike));
	return "$left.$a = $right.$b" if chance(0.9);
	return "$left.i + 1 = $right.i" if chance(0.4);
	return "upper($left.t) = upper($right.t)" if chance(0.5);
	return "$left.i = $right.i AND $left.t = $right.t";
}

# Looking up the tables by their keys.
sub _key
{
	my ($left, $right, $relation) = @_;
	return "$left." . pick(qw(i s id)) . " = $right.id" if $relation eq 't1';
	return "$left.i = $right.i AND $left.t = $right.t" if $relation eq 't2';
	return _equality($left, $right);
}

# ---- Queries ----

sub _from
{
	my ($self) = @_;
	my $count = pick(1, 1, 2, 2, 2, 3, 3, 4);
	my @aliases;
	my $from = '';
	for my $n (1 .. $count)
	{
		my $alias = chr(ord('a') + $n - 1);
		my $relation = pick($n == 1 ? qw(s1 s1 s2 t1 t2 e) : qw(s1 s2 t1 t1 t2 t2 e));
		my $item = "R_$relation $alias";
		$item = "(SELECT * FROM R_$relation o WHERE " . _condition(['o'], 0) . ") $alias"
		  if chance(0.08);
		if ($n == 1)
		{
			$from = $item;
		}
		else
		{
			my $type = pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
			my $left = pick(@aliases);
			my $on = chance(0.5) ? _key($left, $alias, $relation) : _equality($left, $alias);
			$on .= ' AND ' . _condition([ $left, $alias ], 0) if $type ne 'FULL JOIN' && chance(0.25);
			$on = "$left.m < $alias.w" if $count == 2 && $type ne 'FULL JOIN' && chance(0.04);
			$from .= " $type $item ON $on";
		}
		push @aliases, $alias;
	}
	return ($from, @aliases);
}

sub _where
{
	my ($self, @aliases) = @_;
	my @conditions;
	push @conditions, _condition(\@aliases, 2) if chance(0.5);
	if (chance(0.2))
	{
		my $relation = pick(qw(s1 s2 t1 t2));
		my $alias = pick(@aliases);
		my $alike = pick(@alike);
		my ($a, $b) = (pick(@$alike), pick(@$alike));
		my $extra = chance(0.3) ? ' AND ' . _condition(['o'], 0) : '';
		push @conditions, pick(
			"EXISTS (SELECT 1 FROM R_$relation o WHERE " . _key($alias, 'o', $relation) . "$extra)",
			"NOT EXISTS (SELECT 1 FROM R_$relation o WHERE o.$b = $alias.$a$extra)",
			"$alias.$a IN (SELECT o.$b FROM R_$relation o WHERE true$extra)",
			chance(0.2)
			? "$alias.$a NOT IN (SELECT o.$b FROM R_$relation o WHERE o.$b IS NOT NULL$extra)"
			: "$alias.id > 3");
	}
	return @conditions ? ' WHERE ' . join(' AND ', @conditions) : '';
}

sub _aggregate
{
	my (@aliases) = @_;
	my $alias = pick(@aliases);
	my $aggregate = pick(
		sub { 'count(*)' },
		sub { "count($alias." . pick(map { $_->[0] } @columns) . ')' },
		sub { pick(qw(sum avg min max)) . '(' . _integer(\@aliases, 1) . ')' },
		sub { pick(qw(sum avg min max)) . '(' . _numeric(\@aliases) . ')' },
		sub { pick(qw(sum avg)) . "($alias." . pick(qw(x f)) . ')' },
		sub { pick(qw(min max)) . "($alias." . pick(grep { !/^[vc]$/ } @ordered) . ')' },
		sub { pick(qw(bool_and bool_or every)) . "($alias.ok)" },
		sub { "bool_or($alias.i > 1)" },
		sub { _host_aggregate(\@aliases) },
		sub { _host_aggregate(\@aliases) })->();
	$aggregate .= ' FILTER (WHERE ' . _condition(\@aliases, 0) . ')' if chance(0.15);
	return $aggregate;
}

# What PostgreSQL's transition functions compute, whatever order rows come in.
sub _host_aggregate
{
	my ($aliases) = @_;
	my $alias = pick(@$aliases);
	my $column = "$alias." . pick(@ordered);
	return pick("count(DISTINCT $column)", "array_agg($column ORDER BY $column DESC)",
		"array_agg(DISTINCT $column)", "string_agg($alias.t, ',' ORDER BY $alias.t)",
		"string_agg(DISTINCT $alias.v, '-')", pick(qw(sum avg min max)) . "($alias.u)",
		"sum($alias.u + 1)", pick(qw(stddev variance var_pop)) . "($alias." . pick(qw(i s b m u)) . ')',
		'sum(DISTINCT ' . _integer($aliases, 1) . ')', "max($alias.c)");
}

sub _key_expression
{
	my (@aliases) = @_;
	my $alias = pick(@aliases);
	return "$alias." . pick(@keys) if chance(0.7);
	return pick("$alias.i % 3", "$alias.m > 1", "$alias.i IS NULL", _text(\@aliases),
		"coalesce($alias.s, 0)", "date_trunc('day', $alias.ts)");
}

# One query.
sub query
{
	my ($self) = @_;
	my ($from, @aliases) = $self->_from;
	my $where = $self->_where(@aliases);
	if (chance(0.45))
	{
		my @output = map {
			chance(0.7)
			  ? "$_->[0].$_->[1]"
			  : pick(_integer(\@aliases, 1), _numeric(\@aliases), _text(\@aliases))
		} map { [ pick(@aliases), pick(map { $_->[0] } @columns) ] } 1 .. pick(1, 2, 3, 5);
		my $n = 0;
		return 'SELECT ' . join(', ', map { "$_ AS c" . $n++ } @output) . " FROM $from$where";
	}
	my @groups = map { _key_expression(@aliases) } 1 .. pick(0, 1, 1, 1, 2);
	my @output = (@groups, map { _aggregate(@aliases) } 1 .. pick(1, 2, 3));
	my $n = 0;
	my $query = 'SELECT ' . join(', ', map { "$_ AS c" . $n++ } @output) . " FROM $from$where";
	$query .= ' GROUP BY ' . join(', ', 1 .. @groups) if @groups;
	$query .= ' HAVING ' . pick('count(*) > 1', 'count(*) > 2', "sum($aliases[0].s) > 0")
	  if chance(0.15);
	return $query;
}

1;
