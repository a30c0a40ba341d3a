/*
 * keyed_file.c
 *		Snapshot files of tables: writing them, and beginning again from them.
 *
 * A file is written by the launcher, as a reader of the table: it copies the
 * positions first and then claims, so the rows are those of the positions or
 * of a little later, and applying the records in between again gives the same
 * rows. It writes in small steps, so that it does its other work meanwhile, to
 * a temporary file that takes the other's place when it is whole and safe on
 * disk. The writer of the table and its readers don't notice.
 *
 * Files are in the folder streamsql of the data directory, one a table, named
 * after database and relation. What a file must be of to be believed is its
 * identity (keyed_loader.c makes it).
 *
 * Memory: a context of its own for the file being written. Locks: the
 * registry's, shared, to open a view.
 */
#include "keyed/keyed_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guc.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FOLDER "streamsql"
/* Rows written between two looks at the clock, and how long a step may be. */
#define STEP_ROWS 512
#define STEP_MS   5
#define IDLE_MS   1000
/* After a failure: full disks don't empty at once. */
#define RETRY_MS 60000

/* The file being written; one at a time. */
typedef struct SqSaving
{
	int number;
	int fd; /* a transient file of fd.c would close with a transaction */
	char path[MAXPGPATH]; /* of the temporary file, while it is there */
	SqTableView view;
	SqTableLayout layout; /* as much of it as is needed */
	SqTableScan scan;
	SqTableFileWriter *writer;
	MemoryContext context;
} SqSaving;

static SqSaving saving = {.number = -1, .fd = -1};

static void
file_path(char *path, Oid database, Oid relid, const char *ending)
{
	snprintf(path, MAXPGPATH, FOLDER "/%u_%u.%s", database, relid, ending);
}

/* ---- Beginning again ---- */

static SqStatus
restore_rows(SqTableFileReader *reader, SqTableWriter *writer, SqError *error)
{
	SqSlice image;
	SqStatus status;

	while ((status = sq_table_file_read(reader, &image, error)) == SQ_OK)
		if (sq_table_put_image(writer, image, error) != SQ_OK)
			return SQ_ERROR;
	return status;
}

static bool
restore_from(int fd, SqTableWriter *writer, const SqTableIdentity *identity,
			 SqTablePosition **positions, int *npositions, SqError *error)
{
	SqTableFileReader *reader = sq_table_file_open(fd, identity, error);
	const SqTablePosition *from;
	bool whole;

	if (reader == NULL)
		return false;
	from = sq_table_file_positions(reader, npositions);
	*positions = palloc(Max(*npositions, 1) * sizeof(SqTablePosition));
	memcpy(*positions, from, *npositions * sizeof(SqTablePosition));
	whole = restore_rows(reader, writer, error) == SQ_DONE;
	sq_table_file_close(reader);
	return whole;
}

bool
sq_keyed_file_restore(int number, SqTableWriter *writer,
					  const SqTableIdentity *identity,
					  SqTablePosition **positions, int *npositions, char **why)
{
	const SqKeyedEntry *entry = &sq_keyed_registry->entries[number];
	char path[MAXPGPATH];
	SqError error;
	bool restored;
	int fd;

	*why = NULL;
	file_path(path, entry->database, entry->relid, "table");
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return false;
	restored =
		restore_from(fd, writer, identity, positions, npositions, &error);
	CloseTransientFile(fd);
	if (!restored)
	{
		sq_table_clear(writer);
		*why = pstrdup(error.message);
	}
	sq_table_publish(writer);
	return restored;
}

/* ---- Writing ---- */

static void
abandon(void)
{
	if (saving.number < 0)
		return;
	if (saving.view.table != NULL)
		sq_table_view_close(&saving.view);
	if (saving.fd >= 0)
		close(saving.fd);
	if (saving.path[0] != '\0')
		unlink(saving.path);
	if (saving.context != NULL)
		MemoryContextDelete(saving.context);
	saving = (SqSaving){.number = -1, .fd = -1};
}

static long
fail(const char *what, const char *why)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[saving.number];

	ereport(LOG, (errmsg("could not %s the snapshot file of table %u in "
						 "database %u: %s",
						 what, entry->relid, entry->database, why)));
	entry->saved_at = TimestampTzPlusMilliseconds(
		GetCurrentTimestamp(), RETRY_MS - sq_snapshot_interval * 1000L);
	abandon();
	return 0;
}

/* Has the table changed, and is it time to write it? */
static bool
is_due(int number)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];

	if (!OidIsValid(entry->database) || entry->dropped ||
		entry->identity.length == 0)
		return false;
	if (entry->saved_at != 0 &&
		!TimestampDifferenceExceeds(entry->saved_at, GetCurrentTimestamp(),
									sq_snapshot_interval * 1000))
		return false;
	return sq_table_stats(sq_keyed_registry->arena, number).sequence !=
			   entry->saved_sequence &&
		   sq_keyed_progress(number).state == SQ_KEYED_READY;
}

/* Claim the state of the table to be written, with its positions from just
 * before; false if it is gone. */
static bool
claim_state(SqTableIdentity *identity, SqTablePosition **positions, int *count)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	SqKeyedEntry *entry = &registry->entries[saving.number];
	bool claimed = false;

	*count = sq_table_positions_read(registry->arena, saving.number,
									 sq_keyed_reader(), NULL, 0);
	*positions = palloc(Max(*count, 1) * sizeof(SqTablePosition));
	*count = Min(*count, sq_table_positions_read(registry->arena, saving.number,
												 sq_keyed_reader(), *positions,
												 *count));
	LWLockAcquire(registry->lock, LW_SHARED);
	if (OidIsValid(entry->database) && !entry->dropped &&
		entry->identity.length > 0)
	{
		*identity = entry->identity;
		saving.layout.bitmap = sq_table_layout_bitmap(entry->nindexes);
		claimed =
			sq_table_view_open(&saving.view, registry->arena, saving.number,
							   &saving.layout, sq_keyed_reader());
	}
	LWLockRelease(registry->lock);
	return claimed;
}

static long
begin(int number)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];
	SqTableIdentity identity;
	SqTablePosition *positions;
	SqError error;
	int count;

	saving.number = number;
	saving.context = AllocSetContextCreate(
		TopMemoryContext, "streamsql snapshot file", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(saving.context);
	if (!claim_state(&identity, &positions, &count))
	{
		abandon();
		return 0;
	}
	if (MakePGDirectory(FOLDER) < 0 && errno != EEXIST)
		return fail("write", strerror(errno));
	file_path(saving.path, entry->database, entry->relid, "tmp");
	saving.fd =
		BasicOpenFile(saving.path, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
	if (saving.fd < 0)
		return fail("write", strerror(errno));
	saving.writer =
		sq_table_file_create(saving.fd, &identity, positions, count, &error);
	if (saving.writer == NULL)
		return fail("write", error.message);
	return 0;
}

static long
finish(void)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[saving.number];
	char into[MAXPGPATH];
	SqError error;

	if (sq_table_file_finish(saving.writer, &error) != SQ_OK)
		return fail("write", error.message);
	/* whoever dropped the table meanwhile has removed its file already */
	if (entry->dropped)
	{
		abandon();
		return 0;
	}
	file_path(into, entry->database, entry->relid, "table");
	/* syncs the file and its folder */
	if (durable_rename(saving.path, into, LOG) != 0)
		return fail("rename", "see above");
	saving.path[0] = '\0';
	entry->saved_sequence = saving.view.sequence;
	entry->saved_at = GetCurrentTimestamp();
	abandon();
	return 0;
}

/* Write for a few milliseconds. */
static long
go_on(void)
{
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STEP_MS);

	do
	{
		const SqTableRow *rows[STEP_ROWS];
		int count =
			sq_table_scan_next(&saving.view, &saving.scan, rows, STEP_ROWS);
		SqError error;

		if (count == 0)
			return finish();
		for (int r = 0; r < count; r++)
			if (sq_table_file_add(saving.writer, &saving.layout, rows[r],
								  &error) != SQ_OK)
				return fail("write", error.message);
	} while (GetCurrentTimestamp() < end);
	return 0;
}

long
sq_keyed_file_step(void)
{
	MemoryContext old = CurrentMemoryContext;
	long next = IDLE_MS;

	if (saving.number >= 0)
	{
		MemoryContextSwitchTo(saving.context);
		/* a table that was dropped meanwhile is not worth it */
		if (sq_keyed_registry->entries[saving.number].dropped)
			abandon();
		else
			go_on();
		next = 0;
	}
	else if (sq_snapshot_interval > 0)
	{
		for (int n = 0; n < SQ_KEYED_TABLES && next > 0; n++)
			if (is_due(n))
				next = begin(n);
	}
	MemoryContextSwitchTo(old);
	return next;
}

/* ---- Removing ---- */

void
sq_keyed_file_remove(Oid database, Oid relid)
{
	char path[MAXPGPATH];

	file_path(path, database, relid, "table");
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not remove file \"%s\": %m", path)));
}

/* Remove the files of the folder that an ending and a beginning match. */
static void
remove_files(const char *beginning, const char *ending)
{
	DIR *folder = AllocateDir(FOLDER);
	struct dirent *file;

	if (folder == NULL)
		return;
	while ((file = ReadDir(folder, FOLDER)) != NULL)
	{
		size_t length = strlen(file->d_name);
		char path[MAXPGPATH];

		if (strncmp(file->d_name, beginning, strlen(beginning)) != 0 ||
			length < strlen(ending) ||
			strcmp(file->d_name + length - strlen(ending), ending) != 0)
			continue;
		snprintf(path, sizeof(path), FOLDER "/%s", file->d_name);
		unlink(path);
	}
	FreeDir(folder);
}

void
sq_keyed_file_remove_database(Oid database)
{
	char beginning[32];

	if (saving.number >= 0 &&
		sq_keyed_registry->entries[saving.number].database == database)
		abandon();
	snprintf(beginning, sizeof(beginning), "%u_", database);
	remove_files(beginning, "");
}

void
sq_keyed_file_clean(void)
{
	remove_files("", ".tmp");
}
