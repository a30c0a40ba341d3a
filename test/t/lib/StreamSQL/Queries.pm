# Generated queries over generated relations (Relations.pm).
#
# Relations are called R_<name>, so that a query can be made one over topics or
# over heap tables. Columns are picked by what an expression needs of them, from
# those of a scope: an array of pairs of an alias and its relation. Some queries
# use columns of types without kernels too, for the same. Everything follows
# from one seed.
package StreamSQL::Queries;

use strict;
use warnings;
use StreamSQL::Relations qw(pick chance);

# What is compared with what besides its own kind, at times.
my @crossed = ([qw(integer numeric)], [qw(integer float)], [qw(float numeric)],
	[qw(date timestamp)], [qw(date timestamptz)], [qw(timestamp timestamptz)], [qw(text char)],
	[ 'char', 'text COLLATE "C"' ], [ 'text', 'text COLLATE "C"' ], [qw(name text)]);
# Constants of other types, or that no value of the type is equal to.
my %odd_literals = (
	integer => [ qw(2147483648 9223372036854775807 -32769 1.5 1::bigint 2::numeric 1.5::float8) ],
	numeric => [ qw(1e20 0.00001 12.50 1 1.5::float8 999999999999999999 'NaN' 'Infinity') ],
	float => [ qw(0.1 1 0.1::float4 1::numeric 'NaN' 'Infinity' '-0') ],
	text => [ "'a'::varchar", "'a '::char(3)", "'ab'::name", "''::text" ],
	char => [ "'a    '", "'a'::text", "'a '::text" ],
	date => [ "'infinity'", "'2026-01-01'::timestamp", "'2026-01-01 12:00Z'::timestamptz" ],
	timestamp => [ "'infinity'", "'2026-01-01'::date", "'2026-01-01 00:00Z'::timestamptz" ],
	timestamptz => [ "'-infinity'", "'2026-01-01'::date", "'2026-01-01 00:00'::timestamp" ]);
my %crosses;
for my $pair (@crossed)
{
	my ($a, $b) = @$pair;
	$crosses{$a}{$b} = $crosses{$b}{$a} = 1;
}

sub new
{
	my ($class, $seed) = @_;
	srand($seed);
	return bless { relations => StreamSQL::Relations->new }, $class;
}

sub fill { return $_[0]{relations}->fill }

sub schema { return $_[0]{relations}->schema }

# ---- Columns ----

# Those of a relation that this query may use.
sub _columns
{
	my ($self, $relation, @wanted) = @_;
	my @columns = grep { $_->{listed} || $self->{others} } @{ $relation->{columns} };
	for my $wanted (@wanted)
	{
		@columns = grep { $_->{$wanted} } @columns;
	}
	return @columns;
}

sub _name
{
	my ($alias, $column) = @_;
	return "$alias.$column->{name}";
}

# A column of a scope that is all that is wanted, and its name there; nothing if
# there is none.
sub _find
{
	my ($self, $scope, @wanted) = @_;
	my @found;
	for my $item (@$scope)
	{
		push @found, map { [ $item->[0], $_ ] } $self->_columns($item->[1], @wanted);
	}
	return if !@found;
	my ($alias, $column) = @{ pick(@found) };
	return (_name($alias, $column), $column);
}

# The name of a column like this, of which every relation has some.
sub _any
{
	my ($self, $scope, @wanted) = @_;
	my ($name) = $self->_find([ pick(@$scope) ], @wanted);
	return $name;
}

# ---- Expressions ----

sub _integer
{
	my ($self, $scope, $depth) = @_;
	my $column = $self->_any($scope, 'integer');
	return $column if $depth <= 0 || chance(0.5);
	my $other = $self->_integer($scope, $depth - 1);
	return pick(
		"($column + $other)", "($column - $other)", "($column * 2)",
		"coalesce($column, 0)", "abs($column)", "-$column", "$column % 5",
		"CASE WHEN $column > 1 THEN $column ELSE $other END",
		"CASE $column WHEN 1 THEN 2 WHEN 3 THEN $other END", "greatest($column, $other)",
		"nullif($column, 1)", 'length(' . $self->_any($scope, 'text') . ')',
		chance(0.1) ? "$column / $other" : "($other / 2)");
}

sub _numeric
{
	my ($self, $scope) = @_;
	my ($column, $type) = $self->_find([ pick(@$scope) ], 'numeric', 'strict');
	# of one scale: which of 0 and 0.00 min() shows depends on the order
	return pick($column, "($column + 1)") if $type->{free};
	my $zero = sprintf '%.*f', $type->{scale}, 0;
	my ($other, $other_type) = $self->_find([ pick(@$scope) ], 'numeric', 'strict');
	return pick($column, $column, "($column + 1)", "($column * 2)", "-$column",
		$other_type->{free} ? $column : ("($column - $other)", "($column * $other)"),
		"coalesce($column, $zero)", "($column * 1.5)", "abs($column)", "round($column, 1)",
		"($column / 3)", "CASE WHEN $column > 1 THEN $column ELSE $zero END");
}

# Exact, and without -0; nothing where no relation has a float.
sub _float
{
	my ($self, $scope) = @_;
	my ($column) = $self->_find($scope, 'float', 'strict') or return;
	my ($other) = $self->_find($scope, 'float', 'strict');
	return pick($column, $column, "($column + 1)", "($column * 2)", "($column - $other)",
		"coalesce($column, 0)", "CASE WHEN $column > 1 THEN $column ELSE $other END");
}

sub _text
{
	my ($self, $scope, @wanted) = @_;
	my $column = $self->_any($scope, 'text', @wanted);
	my $any = $self->_any($scope, @wanted ? 'numeric' : 'strict');
	return pick($column, $column, $column, "upper($column)", "($column || 'x')",
		"coalesce($column, 'none')", "left($column, 1)", "($any)::text");
}

# A column compared with constants.
sub _comparison
{
	my ($self, $scope) = @_;
	my ($name, $column) = $self->_find([ pick(@$scope) ], 'ordered');
	my ($literal, $other) = map { pick(@{ $column->{literals} }) } 1 .. 2;
	my $odd = $odd_literals{ $column->{like} };
	$literal = pick(@$odd) if $odd && chance(0.1);
	my $operator = pick(qw(= <> < <= > >=));
	return pick(
		"$name $operator $literal", "$name $operator $literal", "$name $operator $literal",
		"$name IS " . pick('NULL', 'NOT NULL'),
		"$name IN ($literal, $other, NULL)", "$name NOT IN ($literal, $other)",
		"$name BETWEEN $literal AND $other",
		"$name IS " . pick('', 'NOT ') . "DISTINCT FROM $literal");
}

sub _condition
{
	my ($self, $scope, $depth) = @_;
	if ($depth > 0 && chance(0.25))
	{
		my ($a, $b) = map { $self->_condition($scope, $depth - 1) } 1 .. 2;
		return pick("($a AND $b)", "($a OR $b)", "NOT ($a)", "(($a) IS NOT TRUE)",
			"(($a) IS UNKNOWN)", "CASE WHEN $a THEN $b ELSE false END");
	}
	return $self->_comparison($scope) if chance(0.45);
	my $operator = pick(qw(= <> < <= > >=));
	my ($truth) = $self->_find($scope, 'boolean');
	my ($moment) = $self->_find($scope, 'moment');
	my $float = $self->_float($scope);
	my @optional = (
		defined $truth ? sub { $truth } : (),
		defined $float ? sub { "$float $operator " . $self->_float($scope) } : (),
		defined $moment ? sub { "extract(year FROM $moment) = 2026" } : ());
	return pick(
		@optional,
		sub { $self->_any($scope, 'text') . pick(' ', ' NOT ') . "LIKE "
			  . pick("'a%'", "'%b'", "'_'", "'!%%' ESCAPE '!'") },
		sub { $self->_integer($scope, 2) . " $operator " . pick(0, 1, 3) },
		sub { $self->_integer($scope, 1) . " $operator " . $self->_integer($scope, 1) },
		sub { $self->_numeric($scope) . " $operator " . $self->_numeric($scope) },
		sub { $self->_text($scope, 'plain') . " $operator " . $self->_text($scope, 'plain') },
		sub { $self->_text($scope) . " $operator " . pick("'a'", "'ab'", "''") },
		sub { $self->_alike($scope, $operator) },
		sub { $self->_any($scope, 'integer') . " $operator " . $self->_largest('s2') })->();
}

# A value that the statement computes once.
sub _largest
{
	my ($self, $name) = @_;
	my $column = $self->_any([ [ 'o', $self->{relations}{$name} ] ], 'integer');
	return "(SELECT max($column) FROM R_$name o)";
}

# ---- Equalities ----

# Two columns that are compared, of two items of a scope; mostly of one kind.
sub _pair
{
	my ($self, $left, $right) = @_;
	my $crossing = chance(0.08);
	my %kinds;
	for my $a ($self->_columns($left->[1]))
	{
		for my $b ($self->_columns($right->[1]))
		{
			my $like = $a->{like} eq $b->{like};
			my $cross = $crosses{ $a->{like} }{ $b->{like} };
			push @{ $kinds{"$a->{like} $b->{like}"} }, [ $a, $b ] if $crossing ? $cross : $like;
		}
	}
	return $self->_pair($left, $right) if !%kinds;
	return @{ pick(@{ $kinds{ pick(sort keys %kinds) } }) };
}

sub _names
{
	my ($self, $left, $right) = @_;
	my ($a, $b) = $self->_pair($left, $right);
	return (_name($left->[0], $a), _name($right->[0], $b));
}

sub _alike
{
	my ($self, $scope, $operator) = @_;
	return join " $operator ", $self->_names(pick(@$scope), pick(@$scope));
}

# An equality, or something like it, of two relations.
sub _equality
{
	my ($self, $left, $right) = @_;
	return join ' = ', $self->_names($left, $right) if chance(0.9);
	my ($i, $j) = map { $self->_any([$_], 'integer') } $left, $right;
	my ($t, $u) = map { $self->_any([$_], 'text', 'plain') } $left, $right;
	# no overflow, which would be an error where rows are compared early
	return pick("$i % 100 + 1 = $j", "upper($t) = upper($u)", "$i = $j AND $t = $u");
}

# Looking up a table by its key, if the other side has columns for it.
sub _key
{
	my ($self, $left, $right) = @_;
	my @equalities;
	for my $key (@{ $right->[1]{keys} })
	{
		my @columns = grep { $_->{like} eq $key->{like} } $self->_columns($left->[1]);
		last if !@columns || !($key->{listed} || $self->{others});
		push @equalities, _name($left->[0], pick(@columns)) . ' = '
		  . _name($right->[0], $key);
	}
	return join ' AND ', @equalities if @equalities;
	return $self->_equality($left, $right);
}

# ---- Queries ----

# The names of columns that two relations could be joined by USING.
sub _common
{
	my ($self, $left, $right) = @_;
	my %like = map { $_->{name} => $_->{like} } $self->_columns($left->[1], 'listed');
	return map { $_->{name} }
	  grep { ($like{ $_->{name} } // '') eq $_->{like} } $self->_columns($right->[1], 'listed');
}

sub _join_condition
{
	my ($self, $type, $left, $right, $count) = @_;
	# of large ones few rows are to match
	return 'ON ' . join ' = ', map { $self->_any([$_], 'wide') } $left, $right
	  if $left->[1] == $right->[1] && $self->{large};
	my @common = $self->_common($left, $right);
	return 'USING (' . pick(@common) . ')' if $count == 2 && @common && chance(0.5);
	if ($type eq 'LEFT JOIN' && chance(0.1))
	{
		# an anti join
		my ($a, $b) = $self->_names($left, $right);
		push @{ $self->{conditions} }, "$b IS NULL";
		return "ON $a = $b";
	}
	my $on = chance(0.5) ? $self->_key($left, $right) : $self->_equality($left, $right);
	return "ON $on" if $type eq 'FULL JOIN';
	$on .= ' AND ' . $self->_condition([ $left, $right ], 0) if chance(0.25);
	$on = $self->_any([$left], 'numeric') . ' < ' . $self->_any([$right], 'numeric')
	  if $count == 2 && chance(0.04);
	return "ON $on";
}

sub _from
{
	my ($self) = @_;
	my $count = pick(1, 1, 2, 2, 2, 3, 3, 4);
	my $large = $self->{large} = $count <= 2 && chance(0.15);
	my @scope;
	my $from = '';
	for my $n (1 .. $count)
	{
		my $name = pick($n == 1 ? qw(s1 s1 s2 t1 t2 t3 e) : qw(s1 s2 t1 t1 t2 t2 t3 t3 e));
		$name = 's3' if $large && ($n == 1 || chance(0.5));
		my $item = [ chr(ord('a') + $n - 1), $self->{relations}{$name} ];
		my $rows = "R_$name";
		$rows = "(SELECT * FROM $rows o WHERE " . $self->_condition([ [ 'o', $item->[1] ] ], 0) . ')'
		  if chance(0.08);
		if ($n == 1)
		{
			$from = "$rows $item->[0]";
		}
		else
		{
			my $type = pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
			$from .= " $type $rows $item->[0] "
			  . $self->_join_condition($type, pick(@scope), $item, $count);
		}
		push @scope, $item;
	}
	return ($from, @scope);
}

sub _subquery
{
	my ($self, @scope) = @_;
	my $name = pick(qw(s1 s2 t1 t2 t3));
	my ($left, $right) = (pick(@scope), [ 'o', $self->{relations}{$name} ]);
	my ($a, $b) = $self->_names($left, $right);
	my ($c, $d) = $self->_names($left, $right);
	my $extra = chance(0.3) ? ' AND ' . $self->_condition([$right], 0) : '';
	return pick(
		"EXISTS (SELECT 1 FROM R_$name o WHERE " . $self->_key($left, $right) . "$extra)",
		"NOT EXISTS (SELECT 1 FROM R_$name o WHERE $b = $a$extra)",
		"$a IN (SELECT $b FROM R_$name o WHERE true$extra)",
		"($a, $c) IN (SELECT $b, $d FROM R_$name o WHERE true$extra)",
		chance(0.2)
		? "$a NOT IN (SELECT $b FROM R_$name o WHERE $b IS NOT NULL$extra)"
		: $self->_any([$left], 'integer') . ' < 3');
}

sub _where
{
	my ($self, @scope) = @_;
	my @conditions = @{ $self->{conditions} };
	push @conditions, $self->_condition(\@scope, 2) if chance(0.5);
	push @conditions, $self->_subquery(@scope) if chance(0.2);
	return @conditions ? ' WHERE ' . join(' AND ', @conditions) : '';
}

sub _aggregate
{
	my ($self, @scope) = @_;
	my ($any) = $self->_find([ pick(@scope) ]);
	my ($extreme) = $self->_find([ pick(@scope) ], 'strict', 'extreme');
	my ($truth) = $self->_find(\@scope, 'boolean');
	$truth //= $self->_comparison(\@scope);
	my $float = $self->_float(\@scope);
	my $aggregate = pick(
		sub { 'count(*)' },
		sub { "count($any)" },
		sub { pick(qw(sum avg min max)) . '(' . $self->_integer(\@scope, 1) . ')' },
		sub { pick(qw(sum avg min max)) . '(' . $self->_numeric(\@scope) . ')' },
		sub { defined $float ? pick(qw(sum avg min max)) . "($float)" : 'count(*)' },
		sub { pick(qw(min max)) . "($extreme)" },
		sub { pick(qw(bool_and bool_or every)) . "($truth)" },
		sub { 'bool_or(' . $self->_any(\@scope, 'integer') . ' > 1)' },
		sub { $self->_host_aggregate(\@scope) },
		sub { $self->_host_aggregate(\@scope) })->();
	$aggregate .= ' FILTER (WHERE ' . $self->_condition(\@scope, 0) . ')' if chance(0.15);
	return $aggregate;
}

# What PostgreSQL's transition functions compute, whatever order rows come in.
sub _host_aggregate
{
	my ($self, $scope) = @_;
	my $item = pick(@$scope);
	my ($any) = $self->_find([$item], 'ordered');
	my ($column) = $self->_find([$item], 'ordered', 'strict', 'list');
	my $text = $self->_any([$item], 'text');
	my $number = $self->_any([$item], pick(qw(integer numeric)));
	my ($free) = $self->_find($scope, 'free');
	return pick("count(DISTINCT $any)", "array_agg($column ORDER BY $column DESC)",
		"array_agg(DISTINCT $column)", "string_agg($text, ',' ORDER BY $text)",
		"string_agg(DISTINCT $text, '-')",
		defined $free ? (pick(qw(sum avg)) . "($free)", "sum($free + 1)") : (),
		pick(qw(stddev variance var_pop)) . "($number)",
		'sum(DISTINCT ' . $self->_integer($scope, 1) . ')');
}

sub _key_expression
{
	my ($self, @scope) = @_;
	return $self->_any(\@scope, 'wide') if $self->{large} && chance(0.4);
	return $self->_any(\@scope, 'strict') if chance(0.7);
	my ($day) = $self->_find(\@scope, 'time');
	my $i = $self->_any(\@scope, 'integer');
	return pick("$i % 3", $self->_any(\@scope, 'numeric') . ' > 1', "$i IS NULL",
		$self->_text(\@scope), "coalesce($i, 0)", defined $day ? "date_trunc('day', $day)" : ());
}

# A query for each row, which is executed again and again.
sub _repeated
{
	my ($self, @scope) = @_;
	my $name = pick(@scope > 1 ? () : 's2', qw(t1 t2 t3));
	my $item = [ 'o', $self->{relations}{$name} ];
	my ($a, $b) = $self->_names(pick(@scope), $item);
	my $from = "R_$name o";
	my @inner = ($item);
	if (chance(0.3))
	{
		push @inner, [ 'p', $self->{relations}{t1} ];
		$from .= pick(' JOIN', ' LEFT JOIN') . ' R_t1 p ON ' . $self->_equality(@inner);
	}
	my $where = "$b = $a" . (chance(0.3) ? ' AND ' . $self->_condition(\@inner, 0) : '');
	return pick('', 'NOT ') . "EXISTS (SELECT 1 FROM $from WHERE $where)" if chance(0.3);
	return '(SELECT ' . $self->_aggregate(@inner) . " FROM $from WHERE $where)";
}

sub _rows
{
	my ($self, @scope) = @_;
	my @output;
	for (1 .. pick(1, 2, 3, 5))
	{
		my ($column) = $self->_find([ pick(@scope) ]);
		$column = pick($self->_integer(\@scope, 1), $self->_numeric(\@scope), $self->_text(\@scope),
			$self->_float(\@scope) // $column) if chance(0.3);
		$column = $self->_repeated(@scope) if !$self->{large} && chance(0.06);
		push @output, $column;
	}
	return @output;
}

sub _select
{
	my ($self) = @_;
	$self->{conditions} = [];
	my ($from, @scope) = $self->_from;
	my $where = $self->_where(@scope);
	my $grouped = chance(0.55);
	my @groups = $grouped ? map { $self->_key_expression(@scope) } 1 .. pick(0, 1, 1, 1, 2, 3) : ();
	my @output = $grouped
	  ? (@groups, map { $self->_aggregate(@scope) } 1 .. pick(1, 2, 3))
	  : $self->_rows(@scope);
	my $n = 0;
	my $query = 'SELECT ' . join(', ', map { "$_ AS c" . $n++ } @output) . " FROM $from$where";
	$query .= ' GROUP BY ' . join(', ', 1 .. @groups) if @groups;
	$query .= ' HAVING ' . pick('count(*) > 1', 'count(*) > 2',
		'sum(' . $self->_any([ $scope[0] ], 'integer') . ') > 0')
	  if $grouped && chance(0.15);
	return $query;
}

# Settings for the last query, under which the executor's frames end elsewhere, or groups and hash
# tables go to files.
sub settings
{
	my ($self) = @_;
	my $workers = chance(0.15) ? 2 : 0;
	return (
		'streamsql.batch_rows' => pick(1024, 1024, 1, 7, 64, 100),
		work_mem => chance($self->{large} ? 0.7 : 0.2) ? 64 : 4096,
		# rows are dear enough for workers, who cost nothing
		max_parallel_workers_per_gather => $workers,
		parallel_setup_cost => 0,
		parallel_tuple_cost => 0,
		cpu_tuple_cost => $workers ? 1000 : 0.01);
}

# One query, and whether it is one of types with kernels only.
sub query
{
	my ($self) = @_;
	$self->{others} = chance(0.35);
	return ($self->_select, !$self->{others});
}

1;
