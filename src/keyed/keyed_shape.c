/*
 * keyed_shape.c
 *		How the attributes of a relation lie in the rows of a table.
 *
 * Every attribute has a column of the layout. What PostgreSQL passes by
 * reference is stored as it is passed, so that a query can use it where it
 * lies; numeric(p <= 18, s) is a scaled integer, as in batches, with one value
 * set aside for NaN, because such a column holds nothing else.
 *
 * Rows are found by bytes, so a key or indexed column must be of a type whose
 * equal values have equal bytes; PostgreSQL's operator classes say which do
 * (their equalimage function, made for B-tree deduplication). For a few common
 * types that don't, a column of the layout that nobody sees holds a normal
 * form. Other types can't be keys.
 *
 * The fingerprint covers what the contents depend on: contents made under
 * another one are not believed.
 *
 * Memory: palloc'd in the current context. Locks: the caller's on the relation.
 */
#include "keyed/keyed.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

/* ---- Columns ---- */

static SqTableColumn
varlena_column(char typalign, char typstorage)
{
	return (SqTableColumn){.kind = SQ_TABLE_VARLENA,
						   .alignment = typalign == TYPALIGN_DOUBLE  ? 8
										: typalign == TYPALIGN_INT   ? 4
										: typalign == TYPALIGN_SHORT ? 2
																	 : 1,
						   .packable = typstorage != TYPSTORAGE_PLAIN};
}

static SqTableColumn
word_column(int width)
{
	return (SqTableColumn){
		.kind = SQ_TABLE_WORD, .width = width, .alignment = width};
}

/* The layout column of an attribute. */
static SqTableColumn
column_for(const SqAttribute *attribute, SqKeyedPlace *place)
{
	SqColumn lane =
		sq_feed_column_for(attribute->type, attribute->typmod, SQ_FORMAT_JSON);
	SqTableColumn column;
	char typalign;

	get_typlenbyvalalign(attribute->type, &place->typlen, &place->typbyval,
						 &typalign);
	if (lane.type == SQ_TYPE_NUMERIC)
	{
		place->scaled = true;
		place->scale = lane.scale;
		return word_column(sizeof(int64));
	}
	if (place->typbyval)
		return word_column(place->typlen);
	column = varlena_column(typalign, get_typstorage(attribute->type));
	if (place->typlen > 0)
	{
		column.kind = SQ_TABLE_FIXED;
		column.width = place->typlen;
	}
	return column;
}

/* ---- Images ---- */

/* Do equal values of a type have equal bytes? */
static bool
has_equal_images(Oid type, Oid collation)
{
	Oid opclass = GetDefaultOpClass(type, BTREE_AM_OID);
	Oid input;
	Oid function;

	if (!OidIsValid(opclass))
		return false;
	input = get_opclass_input_type(opclass);
	function = get_opfamily_proc(get_opclass_family(opclass), input, input,
								 BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		   DatumGetBool(OidFunctionCall1Coll(function, collation,
											 ObjectIdGetDatum(input)));
}

static SqKeyedImage
image_for(const SqAttribute *attribute, const SqKeyedPlace *place)
{
	Oid type = getBaseType(attribute->type);

	if (place->scaled)
		return SQ_KEYED_AS_IS;
	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
			return SQ_KEYED_FLOAT;
		case NUMERICOID:
			return SQ_KEYED_NUMERIC;
		case BPCHAROID:
			if (get_collation_isdeterministic(attribute->collation))
				return SQ_KEYED_BPCHAR;
			break;
		default:
			if (has_equal_images(type, attribute->collation))
				return SQ_KEYED_AS_IS;
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot be %s", attribute->name,
					format_type_be(attribute->type),
					attribute->key ? "a key" : "indexed"),
			 errdetail("Equal values of this type may have different bytes, "
					   "and rows are found by bytes.")));
}

/* ---- Making one ---- */

typedef struct SqShaping
{
	SqKeyedShape *shape;
	SqTableColumn *columns;
	int ncolumns;
	SqTableIndexSpec indexes[SQ_TABLE_INDEXES];
	int nindexes;
} SqShaping;

static void
add_part(SqShaping *shaping, int index, int attr)
{
	SqKeyedShape *shape = shaping->shape;
	SqTableIndexSpec *spec = &shaping->indexes[index];
	SqKeyedPart *part;

	if (spec->ncolumns == SQ_TABLE_KEY_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
						errmsg("a key cannot have more than %d columns",
							   SQ_TABLE_KEY_COLUMNS)));
	part = &shape->parts[index][spec->ncolumns];
	part->attr = attr;
	part->image =
		image_for(&shape->rel->attributes[attr], &shape->places[attr]);
	part->column = shape->places[attr].column;
	if (part->image != SQ_KEYED_AS_IS)
	{
		part->column = shaping->ncolumns++;
		shaping->columns[part->column] =
			part->image == SQ_KEYED_FLOAT
				? word_column(sizeof(float8))
				: varlena_column(TYPALIGN_INT, TYPSTORAGE_EXTENDED);
	}
	spec->columns[spec->ncolumns++] = part->column;
}

static void
add_index(SqShaping *shaping, int attr)
{
	if (shaping->nindexes == SQ_TABLE_INDEXES)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
						errmsg("a foreign table cannot have more than %d "
							   "indexed columns",
							   SQ_TABLE_INDEXES - 1)));
	add_part(shaping, shaping->nindexes++, attr);
}

static void
append_attribute(StringInfo out, const SqAttribute *attribute, int attr)
{
	appendStringInfo(out, ";%d:%u,%d,%u,%d,%d,%d,%d,%d,%s", attr,
					 attribute->type, attribute->typmod, attribute->collation,
					 attribute->source, attribute->key, attribute->index,
					 attribute->position, attribute->epoch,
					 attribute->header != NULL ? attribute->header : "");
	for (int s = 0; s < attribute->path.nsteps; s++)
	{
		const SqPathStep *step = &attribute->path.steps[s];

		if (step->member == NULL)
			appendStringInfo(out, "[" INT64_FORMAT, step->index);
		else
		{
			appendStringInfo(out, ".%zu:", step->member_length);
			appendBinaryStringInfo(out, step->member,
								   (int) step->member_length);
		}
	}
}

/* The attributes of a row type, which can be altered, also of those in arrays
 * and in other row types. */
static void
append_row_type(StringInfo out, Oid type, List **row_types)
{
	Oid base = getBaseType(type);
	Oid element = get_element_type(base);
	TupleDesc descriptor;

	check_stack_depth();
	if (OidIsValid(element))
		append_row_type(out, element, row_types);
	if (OidIsValid(element) || !OidIsValid(get_typ_typrelid(base)))
		return;
	*row_types = list_append_unique_oid(*row_types, get_typ_typrelid(base));
	descriptor = lookup_rowtype_tupdesc(base, -1);
	for (int a = 0; a < descriptor->natts; a++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, a);

		if (attribute->attisdropped)
			continue;
		appendStringInfo(out, "(%d:%u,%d,%s", a, attribute->atttypid,
						 attribute->atttypmod, NameStr(attribute->attname));
		append_row_type(out, attribute->atttypid, row_types);
	}
	ReleaseTupleDesc(descriptor);
}

static void
make_fingerprint(SqKeyedShape *shape)
{
	const SqRelation *rel = shape->rel;
	StringInfoData all;

	initStringInfo(&all);
	appendStringInfo(&all, "2,%u,%s,%d,%d,%d,%d,%d,%d,%d,%d,%s,%d",
					 rel->serverid, rel->topic, rel->key_source, rel->format,
					 rel->key_format, rel->on_error, rel->csv.delimiter,
					 rel->csv.quote, rel->csv.escape, rel->csv_width,
					 rel->csv.null_text, GetDatabaseEncoding());
	for (int a = 0; a < rel->nattributes; a++)
	{
		if (rel->attributes[a].source == SQ_SOURCE_NONE)
			continue;
		append_attribute(&all, &rel->attributes[a], a);
		append_row_type(&all, rel->attributes[a].type, &shape->row_types);
	}
	for (int i = 0; i < lengthof(shape->fingerprint); i++)
		shape->fingerprint[i] = hash_bytes_extended(
			(const unsigned char *) all.data, all.len, i + 1);
	pfree(all.data);
}

SqKeyedShape *
sq_keyed_shape_create(Relation relation)
{
	SqKeyedShape *shape = palloc0(sizeof(SqKeyedShape));
	const SqRelation *rel = sq_feed_relation_load(relation);
	SqShaping shaping = {.shape = shape, .nindexes = 1};

	/* it is kept for all sessions, and only one would see it */
	if (relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("foreign table \"%s\" of kind \"table\" cannot be "
						"temporary",
						RelationGetRelationName(relation))));
	shape->rel = rel;
	shape->places = palloc0(rel->nattributes * sizeof(SqKeyedPlace));
	shaping.columns = palloc0(2 * rel->nattributes * sizeof(SqTableColumn));
	for (int a = 0; a < rel->nattributes; a++)
	{
		shape->places[a].column = -1;
		if (rel->attributes[a].source == SQ_SOURCE_NONE)
			continue;
		shape->places[a].column = shaping.ncolumns;
		shaping.columns[shaping.ncolumns++] =
			column_for(&rel->attributes[a], &shape->places[a]);
	}
	for (int a = 0; a < rel->nattributes; a++)
		if (rel->attributes[a].key)
			add_part(&shaping, 0, a);
	for (int a = 0; a < rel->nattributes; a++)
		if (rel->attributes[a].index)
			add_index(&shaping, a);
	shape->layout = sq_table_layout_create(shaping.columns, shaping.ncolumns,
										   shaping.indexes, shaping.nindexes);
	make_fingerprint(shape);
	return shape;
}

/* ---- Rows to datums ---- */

Datum
sq_keyed_shape_datum(const SqKeyedShape *shape, int attr, const SqTableRow *row,
					 bool *isnull)
{
	const SqKeyedPlace *place = &shape->places[attr];
	const SqTableColumn *column = &shape->layout->columns[place->column];
	int64 word;

	*isnull = sq_table_row_is_null(shape->layout, row, place->column);
	if (*isnull)
		return (Datum) 0;
	if (column->kind != SQ_TABLE_WORD)
		return PointerGetDatum(sq_table_row_pointer(column, row));
	word = sq_table_row_word(column, row);
	if (unlikely(place->scaled))
		return sq_feed_numeric_datum(word, place->scale);
	switch (place->typlen)
	{
		case sizeof(char):
			return CharGetDatum((char) word);
		case sizeof(int16):
			return Int16GetDatum((int16) word);
		case sizeof(int32):
			return Int32GetDatum((int32) word);
		default:
			return Int64GetDatum(word);
	}
}

/* ---- Values to cells ---- */

static int64
datum_word(Datum value, int16 typlen)
{
	switch (typlen)
	{
		case sizeof(char):
			return (int8) DatumGetChar(value);
		case sizeof(int16):
			return DatumGetInt16(value);
		case sizeof(int32):
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

static void
set_varlena(SqTableCell *cell, Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);

	cell->bytes = (SqSlice){VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed)};
}

void
sq_keyed_shape_store(const SqKeyedShape *shape, int attr, Datum value,
					 SqTableCell *cell)
{
	const SqKeyedPlace *place = &shape->places[attr];

	cell->null = false;
	if (place->scaled)
	{
		if (!sq_feed_numeric_word(value, place->scale, &cell->word))
			/* Not reached: the type's input function has rounded it. */
			elog(ERROR, "numeric value does not fit its column");
	}
	else if (place->typbyval)
		cell->word = datum_word(value, place->typlen);
	else if (place->typlen > 0)
		cell->bytes = (SqSlice){DatumGetPointer(value), place->typlen};
	else
		set_varlena(cell, value);
}

void
sq_keyed_shape_take(const SqKeyedShape *shape, int attr, const SqColumn *column,
					int row, SqTableCell *cell)
{
	cell->null = false;
	switch (column->type)
	{
		case SQ_TYPE_TEXT:
		case SQ_TYPE_BYTEA:
		case SQ_TYPE_UUID:
			cell->bytes = column->text[row];
			if (column->type == SQ_TYPE_UUID)
				cell->bytes.length = UUID_LEN;
			break;
		case SQ_TYPE_FLOAT4:
			cell->word = datum_word(Float4GetDatum((float4) column->f[row]),
									sizeof(float4));
			break;
		case SQ_TYPE_FLOAT8:
			cell->word =
				datum_word(Float8GetDatum(column->f[row]), sizeof(float8));
			break;
		default: /* the lane is the word, of a scaled number too */
			cell->word = column->i[row];
			break;
	}
}

/* ---- What rows are found by ---- */

static void
image_of(const SqKeyedShape *shape, const SqKeyedPart *part, Datum value,
		 SqTableCell *cell)
{
	char *normal;

	cell->null = false;
	switch (part->image)
	{
		case SQ_KEYED_FLOAT:
			cell->word = sq_float_image(shape->places[part->attr].typlen ==
												sizeof(float4)
											? (float8) DatumGetFloat4(value)
											: DatumGetFloat8(value));
			break;
		case SQ_KEYED_NUMERIC:
			normal = numeric_normalize(DatumGetNumeric(value));
			cell->bytes = (SqSlice){normal, strlen(normal)};
			break;
		case SQ_KEYED_BPCHAR:
			set_varlena(cell, value);
			cell->bytes.length = bpchartruelen((char *) cell->bytes.data,
											   (int) cell->bytes.length);
			break;
		default:
			sq_keyed_shape_store(shape, part->attr, value, cell);
			break;
	}
}

bool
sq_keyed_shape_probe(const SqKeyedShape *shape, const SqKeyedPart *part,
					 Datum value, SqTableCell *cell)
{
	const SqKeyedPlace *place = &shape->places[part->attr];

	cell->null = false;
	if (place->scaled)
		return sq_feed_numeric_word(value, place->scale, &cell->word);
	image_of(shape, part, value, cell);
	return true;
}

void
sq_keyed_shape_probe_float(float8 value, SqTableCell *cell)
{
	*cell = (SqTableCell){.word = sq_float_image(value)};
}

void
sq_keyed_shape_images(const SqKeyedShape *shape, const Datum *values,
					  SqTableCell *cells)
{
	for (int i = 0; i < shape->layout->nindexes; i++)
		for (int p = 0; p < shape->layout->indexes[i].ncolumns; p++)
		{
			const SqKeyedPart *part = &shape->parts[i][p];

			if (part->image == SQ_KEYED_AS_IS)
				continue;
			cells[part->column].null =
				cells[shape->places[part->attr].column].null;
			if (!cells[part->column].null)
				image_of(shape, part, values[part->attr], &cells[part->column]);
		}
}

bool
sq_keyed_shape_wants_datum(const SqKeyedShape *shape, int attr)
{
	for (int i = 0; i < shape->layout->nindexes; i++)
		for (int p = 0; p < shape->layout->indexes[i].ncolumns; p++)
			if (shape->parts[i][p].attr == attr &&
				shape->parts[i][p].image != SQ_KEYED_AS_IS)
				return true;
	return false;
}
