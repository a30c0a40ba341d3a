/*
 * fdw_native_explain.c
 *		What EXPLAIN says of a native plan.
 *
 * In text a tree like PostgreSQL's own, beneath the foreign scan; in the other
 * formats a group of operators in the same order, with their depth. What was
 * read of each relation follows.
 *
 * Memory: the current context. Locks: none.
 */
#include "fdw/fdw_native_state.h"

#include "fdw/fdw_explain.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

typedef struct SqExplain
{
	const SqNativeState *state;
	ForeignScan *plan;
	ExplainState *es;
	List *context; /* of names, for expressions */
} SqExplain;

/* ---- Names ---- */

/* A relation as PostgreSQL names it: "trades t". */
static char *
relation_name(const SqExplain *explain, int number)
{
	const SqNativeRelation *relation = &explain->state->relations[number];
	RangeTblEntry *rte = rt_fetch(relation->relid, explain->es->rtable);
	char *name = get_rel_name(rte->relid);
	char *alias = list_nth(explain->es->rtable_names, relation->relid - 1);

	if (explain->es->verbose)
		name = quote_qualified_identifier(
			get_namespace_name(get_rel_namespace(rte->relid)), name);
	else
		name = pstrdup(quote_identifier(name));
	if (alias != NULL && strcmp(alias, get_rel_name(rte->relid)) != 0)
		name = psprintf("%s %s", name, quote_identifier(alias));
	return name;
}

static char *
join_name(const SqExplain *explain, const SqNode *node)
{
	static const char *const types[] = {
		[SQ_JOIN_INNER] = "",       [SQ_JOIN_LEFT] = " Left",
		[SQ_JOIN_RIGHT] = " Right", [SQ_JOIN_FULL] = " Full",
		[SQ_JOIN_SEMI] = " Semi",   [SQ_JOIN_ANTI] = " Anti"};

	if (node->method == SQ_METHOD_HASH)
		return psprintf("%s%s Join", node->nkeys > 0 ? "Hash" : "Loop",
						types[node->join]);
	return psprintf("Lookup%s Join on %s", types[node->join],
					relation_name(explain, node->relation));
}

static char *
node_name(const SqExplain *explain, const SqNode *node)
{
	switch (node->kind)
	{
		case SQ_NODE_SCAN:
			return psprintf("%s Scan on %s",
							explain->state->relations[node->relation].shape !=
									NULL
								? "Table"
								: "Stream",
							relation_name(explain, node->relation));
		case SQ_NODE_FILTER:
			return "Filter";
		case SQ_NODE_JOIN:
			return join_name(explain, node);
		default:
			return node->nkeys > 0 ? "Hash Aggregate" : "Aggregate";
	}
}

/* ---- Expressions ---- */

static char *
expressions_text(const SqExplain *explain, List *exprs, const char *between)
{
	StringInfoData out;
	ListCell *cell;

	initStringInfo(&out);
	foreach (cell, exprs)
	{
		Node *expr = copyObject(lfirst(cell));

		OffsetVarNodes(expr, explain->state->step, 0);
		appendStringInfo(
			&out, "%s%s", foreach_current_index(cell) > 0 ? between : "",
			deparse_expression(expr, explain->context,
							   list_length(explain->es->rtable) > 1, false));
	}
	return out.data;
}

/* Its conditions and keys, each as a property. */
static void
explain_expressions(const SqExplain *explain, const SqNode *node)
{
	ListCell *cell;

	foreach (cell, list_nth(explain->plan->fdw_private, SQ_NATIVE_SHOWN))
	{
		List *shown = lfirst(cell);
		const char *label = strVal(lsecond(shown));
		bool list = strcmp(label, "Group Key") == 0;

		if (intVal(linitial(shown)) != node->number)
			continue;
		ExplainPropertyText(
			label,
			expressions_text(explain, lthird(shown), list ? ", " : " AND "),
			explain->es);
	}
}

/* ---- Operators ---- */

static int64
kilobytes(int64 bytes)
{
	return (bytes + 1023) / 1024;
}

static bool
keeps_rows(const SqNode *node)
{
	return node->kind == SQ_NODE_AGGREGATE ||
		   (node->kind == SQ_NODE_JOIN && node->method == SQ_METHOD_HASH);
}

/* What an operator did, at the end of its line. */
static void
append_actual(const SqNode *node, SqNodeStats stats, ExplainState *es)
{
	appendStringInfoString(es->str, "  (actual ");
	if (es->timing)
		appendStringInfo(es->str, "time=%.3f ", stats.time / 1e6);
	appendStringInfo(es->str, "rows=%lld", (long long) stats.rows);
	if (node->kind == SQ_NODE_JOIN)
		appendStringInfo(es->str, " lookups=%lld hits=%lld",
						 (long long) stats.lookups, (long long) stats.hits);
	if (keeps_rows(node) && es->timing)
		appendStringInfo(es->str, " memory=%lldkB",
						 (long long) kilobytes(stats.memory));
	if (stats.files > 0)
		appendStringInfo(es->str, " files=%d spilled=%lldkB", stats.files,
						 (long long) kilobytes(stats.spilled));
	appendStringInfoChar(es->str, ')');
}

static void
explain_line(const SqExplain *explain, const SqNode *node, int depth)
{
	ExplainState *es = explain->es;

	appendStringInfoSpaces(es->str, es->indent * 2);
	if (depth > 0)
		appendStringInfoString(es->str, "->  ");
	else
		appendStringInfoString(es->str, "Native Plan: ");
	appendStringInfoString(es->str, node_name(explain, node));
	if (es->costs)
		appendStringInfo(es->str, "  (rows=%.0f)", node->rows);
	if (explain->state->exec != NULL)
		append_actual(node, sq_fdw_native_stats(explain->state, node->number),
					  es);
	appendStringInfoChar(es->str, '\n');
}

static void
explain_properties(const SqExplain *explain, const SqNode *node, int depth)
{
	ExplainState *es = explain->es;
	SqNodeStats stats;

	ExplainPropertyText("Operator", node_name(explain, node), es);
	ExplainPropertyInteger("Depth", NULL, depth, es);
	if (es->costs)
		ExplainPropertyFloat("Plan Rows", NULL, node->rows, 0, es);
	if (explain->state->exec == NULL)
		return;
	stats = sq_fdw_native_stats(explain->state, node->number);
	if (es->timing)
		ExplainPropertyFloat("Actual Time", "ms", stats.time / 1e6, 3, es);
	ExplainPropertyInteger("Actual Rows", NULL, stats.rows, es);
	if (node->kind == SQ_NODE_JOIN)
	{
		ExplainPropertyInteger("Lookups", NULL, stats.lookups, es);
		ExplainPropertyInteger("Hits", NULL, stats.hits, es);
	}
	ExplainPropertyInteger("Peak Memory", "kB", kilobytes(stats.memory), es);
	ExplainPropertyInteger("Files", NULL, stats.files, es);
	ExplainPropertyInteger("Spilled", "kB", kilobytes(stats.spilled), es);
}

/* An operator and what is beneath it, outermost first. */
static void
explain_node(const SqExplain *explain, const SqNode *node, int depth)
{
	ExplainState *es = explain->es;

	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		explain_line(explain, node, depth);
		es->indent += depth > 0 ? 3 : 1;
		explain_expressions(explain, node);
	}
	else
	{
		ExplainOpenGroup("Operator", NULL, true, es);
		explain_properties(explain, node, depth);
		explain_expressions(explain, node);
		ExplainCloseGroup("Operator", NULL, true, es);
	}
	if (node->outer != NULL)
		explain_node(explain, node->outer, depth + 1);
	if (node->inner != NULL)
		explain_node(explain, node->inner, depth + 1);
	if (es->format == EXPLAIN_FORMAT_TEXT)
		es->indent -= depth > 0 ? 3 : 1;
}

/* ---- Relations ---- */

static void
explain_relation(const SqExplain *explain, const SqNativeRelation *relation)
{
	const SqRelation *rel =
		relation->shape != NULL ? relation->shape->rel : relation->scan.rel;

	ExplainOpenGroup("Relation", NULL, true, explain->es);
	ExplainPropertyText("Topic", rel->topic, explain->es);
	if (relation->shape == NULL)
		sq_fdw_explain_reading(&relation->scan, explain->es);
	ExplainCloseGroup("Relation", NULL, true, explain->es);
}

void
sq_fdw_native_explain(ForeignScanState *node, ExplainState *es)
{
	const SqNativeState *state = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	SqExplain explain = {state, plan, es};

	explain.context =
		set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	ExplainOpenGroup("Native Plan", "Native Plan", false, es);
	explain_node(&explain, state->plan->root, 0);
	ExplainCloseGroup("Native Plan", "Native Plan", false, es);
	ExplainOpenGroup("Relations", "Relations", false, es);
	for (int r = 0; r < state->nrelations; r++)
		explain_relation(&explain, &state->relations[r]);
	ExplainCloseGroup("Relations", "Relations", false, es);
}
