/*
 * sink_mode.c
 *		Settings under which PostgreSQL's output functions write.
 *
 * What is written is read by others, with settings of their own, and a key has
 * to have the same bytes whoever writes it. So output functions see the
 * settings that pg_dump uses, times in UTC, and names of objects with their
 * schemas. Which of these matter for a type is found out once; a value then
 * costs a look at the settings, and a change of them where they differ.
 *
 * Memory: none. Locks: none. Settings are restored at the end of the
 * (sub)transaction if an error comes between entering and leaving.
 */
#include "sink/sink_internal.h"

#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "pgtime.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* ---- What a type needs ---- */

/* Would to_json write it by a cast, which its input function does not undo?
 * Built-in types have none. */
static bool
has_json_cast(Oid type)
{
	Oid function;

	return type >= FirstNormalObjectId &&
		   find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT, &function) ==
			   COERCION_PATH_FUNC;
}

static int
scalar_needs(Oid type)
{
	int needs = SQ_SINK_STYLE;

	switch (type)
	{
		case TIMESTAMPTZOID:
			return needs | SQ_SINK_ZONE;
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
			return needs | SQ_SINK_NAMES;
		default:
			return has_json_cast(type) ? needs | SQ_SINK_CAST : needs;
	}
}

static int
row_needs(Oid type)
{
	TupleDesc descriptor = lookup_rowtype_tupdesc(type, -1);
	int needs = 0;

	for (int a = 0; a < descriptor->natts; a++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, a);

		if (!attribute->attisdropped)
			needs |= sq_sink_mode_needs(attribute->atttypid);
	}
	ReleaseTupleDesc(descriptor);
	return needs;
}

int
sq_sink_mode_needs(Oid type)
{
	Oid base = getBaseType(type);
	Oid part = get_element_type(base);

	check_stack_depth();
	if (type_is_rowtype(base))
		return row_needs(base);
	if (!OidIsValid(part))
		part = get_multirange_range(base);
	if (!OidIsValid(part))
		part = get_range_subtype(base);
	return OidIsValid(part) ? sq_sink_mode_needs(part) : scalar_needs(base);
}

/* ---- Entering and leaving ---- */

static bool
is_styled(void)
{
	return DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		   extra_float_digits > 0 && bytea_output == BYTEA_OUTPUT_HEX;
}

static bool
is_utc(void)
{
	return strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0;
}

/* Set until the level ends. */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

int
sq_sink_mode_enter(int needs)
{
	bool style = (needs & SQ_SINK_STYLE) != 0 && !is_styled();
	bool zone = (needs & SQ_SINK_ZONE) != 0 && !is_utc();
	bool names = (needs & SQ_SINK_NAMES) != 0;
	int level;

	if (!style && !zone && !names)
		return 0;
	level = NewGUCNestLevel();
	if (style)
	{
		set("datestyle", "ISO");
		set("intervalstyle", "postgres");
		set("extra_float_digits", "3");
		set("bytea_output", "hex");
	}
	if (zone)
		set("timezone", "UTC");
	if (names)
		set("search_path", "pg_catalog");
	return level;
}

void
sq_sink_mode_leave(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}
