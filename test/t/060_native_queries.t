# Generated queries give the same rows, or the same error, natively, by
# PostgreSQL's executor over the same topics, and over heap copies.
#
# SEED and N choose others (make fuzz-queries SEED=… N=…). Whether a row that
# no result needs raises an error depends on the plan, so where somebody raises
# one it is enough that PostgreSQL gives the native answer by one of its plans,
# or with the rows in another order, where several raise one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use StreamSQL::Broker;
use StreamSQL::Instance;
use StreamSQL::Queries;
use Test::More;

my $seed = $ENV{SEED} || time;
my $count = $ENV{N} || 2000;
diag "generated: SEED=$seed N=$count";

my $generator = StreamSQL::Queries->new($seed);
my $broker = StreamSQL::Broker->start('mock');
my $node = StreamSQL::Instance::start($broker);
$broker->fill($generator->fill);
$node->safe_psql('postgres', $generator->schema . q(
	CREATE FUNCTION answer(query text, requirement text) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		result text;
		reason text;
	BEGIN
		PERFORM set_config('streamsql.debug_require_native', requirement, true);
		EXECUTE format('SELECT count(*) || E''\n'' ||
			string_agg(x::text, E''\n'' ORDER BY x::text COLLATE "C") FROM (%s OFFSET 0) x', query)
			INTO result;
		RETURN coalesce(result, '0');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
		RETURN SQLSTATE || ' ' || SQLERRM || CASE SQLSTATE WHEN '55000' THEN reason ELSE '' END;
	END
	$$;
	-- does PostgreSQL answer like this by some other plan?
	CREATE FUNCTION possible(query text, answered text) RETURNS bool
	LANGUAGE plpgsql AS $$
	DECLARE
		collapsed text;
		avoided text;
		possible bool := false;
	BEGIN
		FOREACH collapsed IN ARRAY ARRAY['1', '8'] LOOP
			PERFORM set_config('join_collapse_limit', collapsed, true);
			FOREACH avoided IN ARRAY ARRAY['hashjoin', 'mergejoin', 'nestloop', 'hashagg', 'sort',
				'hashjoin mergejoin', 'hashjoin nestloop', 'mergejoin nestloop'] LOOP
				PERFORM set_config('enable_' || method, 'off', true)
					FROM string_to_table(avoided, ' ') method;
				possible := possible OR answer(query, 'forbid') = answered;
				PERFORM set_config('enable_' || method, 'on', true)
					FROM string_to_table(avoided, ' ') method;
			END LOOP;
		END LOOP;
		RETURN possible;
	END
	$$;
	CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		topics text := replace(query, 'R_', 'q_');
		native text := answer(topics, 'require');
		forbidden text := answer(topics, 'forbid');
		heap text := answer(replace(query, 'R_', 'h_'), 'forbid');
		reason text := substring(native FROM '^55000 .* does not run natively(.*)');
		errors bool;
		verdict text;
	BEGIN
		IF reason IS NOT NULL THEN
			native := answer(topics, 'allow');
		END IF;
		errors := concat_ws(E'\n', native, forbidden, heap) ~ '(^|\n)[0-9A-Z]{5} ';
		verdict := CASE WHEN native = forbidden AND native = heap THEN 'same'
			WHEN errors AND (native IN (forbidden, heap) OR possible(topics, native)
				OR possible(replace(query, 'R_', 'h_'), native)
				OR possible(replace(query, 'R_', 'g_'), native)) THEN 'torn'
			ELSE format(E'DIFFERENT batch_rows %s work_mem %s\n%s\n'
				'-- native\n%s\n-- forbidden\n%s\n-- heap\n%s',
				current_setting('streamsql.batch_rows'), current_setting('work_mem'),
				query, left(native, 300), left(forbidden, 300), left(heap, 300)) END;
		RETURN CASE WHEN native ~ '^[0-9A-Z]{5} ' THEN 'error ' ELSE 'rows ' END ||
			CASE WHEN reason IS NULL THEN 'native ' ELSE 'other ' END || verdict ||
			coalesce(' ' || reason, '');
	END
	$$;));

my $script = "SET hash_mem_multiplier = 1;\n";
my @listed;
for (1 .. $count)
{
	my ($query, $listed) = $generator->query;
	my %settings = $generator->settings;
	$script .= join '', map { "SET $_ = $settings{$_};\n" } sort keys %settings;
	$script .= sprintf "SELECT compare(%s);\n", quote($query);
	push @listed, $listed;
}

sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

my $output = $node->safe_psql('postgres', $script, timeout => 120 + $count);
my %seen;
my %reasons;
my @different;
for my $answer (split /^(?=(?:error|rows) (?:native|other) )/m, $output)
{
	my ($kind, $way, $verdict) = split ' ', $answer;
	$seen{total}++;
	$seen{$kind}++;
	$seen{$way}++;
	$seen{$verdict}++;
	my $kernels = shift @listed;
	$seen{ $kernels ? 'listed' : 'unlisted' }++;
	$seen{ $kernels ? 'listed native' : 'unlisted native' }++ if $way eq 'native';
	$reasons{$1}++ if $answer =~ / Reason: (.*)/;
	push @different, $answer if $verdict eq 'DIFFERENT';
}
diag 'generated: ', join(', ', map { "$_ $seen{$_}" } sort keys %seen);
note "$reasons{$_} not native: $_" for sort { $reasons{$b} <=> $reasons{$a} } keys %reasons;
is($seen{total}, $count, 'every query was answered');
is(scalar(@different), 0, "no query is answered differently (SEED=$seed)")
  or diag(join "\n", @different[ 0 .. ($#different > 4 ? 4 : $#different) ]);
cmp_ok($seen{'listed native'} / $seen{listed},
	'>=', 0.8, 'most of types with kernels run natively');
cmp_ok(($seen{torn} // 0) / $count, '<', 0.02, 'errors seldom depend on the plan');
cmp_ok($seen{rows} / $count, '>', 0.7, 'most have rows');
StreamSQL::Instance::all_survived($node);
$node->stop;
done_testing();
