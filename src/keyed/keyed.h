/*
 * keyed.h
 *		The door of room keyed: keyed topics as tables, on the server.
 *
 * Background workers keep the tables (keyed_launcher.c, keyed_worker.c,
 * keyed_loader.c); everyone else finds them in the registry and reads them
 * through a view. Room table holds the rows and knows nothing of PostgreSQL;
 * the shape of a table says how its attributes lie there.
 *
 * Errors are thrown. What is held (shapes, views) ends with a memory context.
 */
#ifndef SQ_KEYED_H
#define SQ_KEYED_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "feed/feed.h"
#include "fmgr.h"
#include "table/table.h"

extern PGDLLEXPORT Datum streamsql_table_states(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum streamsql_wait_for(PG_FUNCTION_ARGS);

/* Set up shared memory, hooks and the launcher; called once by _PG_init, does
 * all of it only in shared_preload_libraries. */
extern void sq_keyed_init(void);

/* Was the library preloaded, so that there can be tables? */
extern bool sq_keyed_available(void);
/* Throw if not: 55000 with a hint. */
extern void sq_keyed_require(void);

/* ---- Shape: a relation's attributes in rows of room table ---- */

/* How the bytes that rows are found by are made of a value. */
typedef enum SqKeyedImage
{
	SQ_KEYED_AS_IS,   /* the value's own: equal values have equal bytes */
	SQ_KEYED_FLOAT,   /* float4, float8: one zero, one NaN */
	SQ_KEYED_NUMERIC, /* numeric of any scale: without trailing zeros */
	SQ_KEYED_BPCHAR   /* char(n): without trailing spaces */
} SqKeyedImage;

/* A column of an index. */
typedef struct SqKeyedPart
{
	int attr;   /* attribute number - 1 */
	int column; /* of the layout: the attribute's own, or one of its image */
	SqKeyedImage image;
} SqKeyedPart;

typedef struct SqKeyedPlace
{
	int column;   /* of the layout; -1: dropped */
	int16 typlen; /* of the attribute's type */
	bool typbyval;
	bool scaled; /* numeric(p <= 18, s) as an integer scaled by scale */
	int scale;
} SqKeyedPlace;

typedef struct SqKeyedShape
{
	const SqRelation *rel;
	uint64 fingerprint[2]; /* of all that the contents depend on */
	List *row_types;       /* relations of those that columns are made of */
	SqTableLayout *layout;
	SqKeyedPlace *places; /* by attribute number - 1 */
	/* by index of the layout: 0 is the key */
	SqKeyedPart parts[SQ_TABLE_INDEXES][SQ_TABLE_KEY_COLUMNS];
} SqKeyedShape;

/* The shape of a relation of kind table; throws what it cannot be (types that
 * can't be keys). Palloc'd in the current context, with its SqRelation. */
extern SqKeyedShape *sq_keyed_shape_create(Relation relation);
/* The same from this backend's cache, held until owner is reset. */
extern const SqKeyedShape *sq_keyed_shape_acquire(Relation relation,
												  MemoryContext owner);

/* An attribute of a row as a datum; points into the row where it can. */
extern Datum sq_keyed_shape_datum(const SqKeyedShape *shape, int attr,
								  const SqTableRow *row, bool *isnull);
/* A value of the attribute's type into the cell of its layout column; may
 * point into the value or be palloc'd. */
extern void sq_keyed_shape_store(const SqKeyedShape *shape, int attr,
								 Datum value, SqTableCell *cell);
/* Of a valid value of a batch. */
extern void sq_keyed_shape_take(const SqKeyedShape *shape, int attr,
								const SqColumn *column, int row,
								SqTableCell *cell);
/* The cell that part of an index is found by, of a value of the attribute's
 * type; false if no row can have it. */
extern bool sq_keyed_shape_probe(const SqKeyedShape *shape,
								 const SqKeyedPart *part, Datum value,
								 SqTableCell *cell);
/* The same of a float for a column that is one, of either width. */
extern void sq_keyed_shape_probe_float(float8 value, SqTableCell *cell);
/* The cells of image columns, once the attributes' own are there; values are
 * those of the attributes that have one. */
extern void sq_keyed_shape_images(const SqKeyedShape *shape,
								  const Datum *values, SqTableCell *cells);
/* Must an attribute's value be a datum, because an image is made of it? */
extern bool sq_keyed_shape_wants_datum(const SqKeyedShape *shape, int attr);

/* ---- Registry ---- */

typedef enum SqKeyedState
{
	SQ_KEYED_LOADING,
	SQ_KEYED_READY,
	SQ_KEYED_FULL,
	SQ_KEYED_ERROR
} SqKeyedState;

extern const char *sq_keyed_state_name(SqKeyedState state);

/* ---- Views ---- */

typedef struct SqKeyedView
{
	const SqKeyedShape *shape;
	SqTableView view;
	MemoryContextCallback callback;
} SqKeyedView;

/*
 * The state of a table as of now, once it has been loaded; under
 * read_consistency latest, once it has applied what its topic held at the
 * call (userid: whose mapping asks the cluster). Waits up to
 * streamsql.table_wait. Throws 55000: not loaded or not caught up in time, not
 * kept up to date, or changed by this transaction; 53400: memory is full, or
 * too many views. Closed when owner is reset.
 */
extern SqKeyedView *sq_keyed_view_open(const SqKeyedShape *shape, Oid userid,
									   MemoryContext owner);

/* A view, for another process: it may be open there for as long as it is open
 * here when it is joined. */
typedef struct SqKeyedShared
{
	int number;
	uint64 sequence;
	uint64 fingerprint[2];
} SqKeyedShared;

extern void sq_keyed_view_share(const SqKeyedView *view, SqKeyedShared *shared);
/* The same state here. Throws 53400 as above, 55000 if the table's definition
 * is another one. Closed when owner is reset. */
extern SqKeyedView *sq_keyed_view_join(const SqKeyedShape *shape,
									   const SqKeyedShared *shared,
									   MemoryContext owner);
/* Wait until the table has applied what its topic holds now; throws as
 * sq_keyed_view_open. */
extern void sq_keyed_wait(const SqKeyedShape *shape, Oid userid,
						  int64 timeout_ms);
/* Rows that the table has, or -1 if it is not there: for the planner. */
extern double sq_keyed_known_rows(const SqKeyedShape *shape);

#endif
