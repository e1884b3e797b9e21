/* archive.h -- zip archives, as .npz and .pt files are. Reading goes through libzip
 * (this is its only door) from a file or from memory; members are read whole, never
 * larger than the memory budget allows. Written archives hold their members as they
 * are (stored, as NumPy does), without times, so equal contents give equal bytes; they
 * go through base/file.h. Names are kept as they stand: nothing is ever extracted to a
 * file, so they need no further checks. */
#ifndef CLEAVE_TENSOR_ARCHIVE_H
#define CLEAVE_TENSOR_ARCHIVE_H
#include <stdint.h>

#include "base/err.h"

typedef struct Archive Archive;
/* NULL with ERR_IO or ERR_FORMAT. The memory stays the caller's and must outlive it. */
Archive *archive_open(const char *path, Err *err);
Archive *archive_parse(const void *data, size_t n, const char *name, Err *err);
void archive_close(Archive *a); /* NULL is fine */
int64_t archive_count(const Archive *a);
const char *archive_name(const Archive *a, int64_t i);    /* borrowed; "": unreadable */
int64_t archive_find(const Archive *a, const char *name); /* -1: none */
/* Member i, whole and checked against its CRC; *data is freed with mem_free(). */
bool archive_read(Archive *a, int64_t i, void **data, size_t *n, Err *err);

typedef struct ArchiveOut ArchiveOut;
ArchiveOut *archiveout_open(const char *path, Err *err);
/* One member made of two pieces, such as a header and the elements. */
bool archiveout_add(ArchiveOut *o, const char *name, const void *head, size_t n_head,
                    const void *body, size_t n_body, Err *err);
/* Writes the directory and renames the file; frees o whether it worked or not. */
bool archiveout_commit(ArchiveOut *taken, Err *err);
void archiveout_abort(ArchiveOut *taken); /* NULL is fine */
#endif
