/* compact.h -- a journal that has grown long is written anew when a kernel begins: the
 * document, what each cell shows, and nothing else. The long one stays beside it as
 * events-<last number>.jsonl; logs, blobs and numbering go on. */
#ifndef CLEAVE_KERNEL_COMPACT_H
#define CLEAVE_KERNEL_COMPACT_H
#include <stdint.h>

#include "base/err.h"
#include "kernel/document.h"

enum { COMPACT_AT = 64 << 20 };

/* Does nothing while events.jsonl in dir is shorter than `at` bytes. No kernel may be
 * using it. */
bool journal_compact(const char *dir, int64_t at, Err *err);
/* The document that the journal of dir tells, with outputs; the caller's. ERR_IO: it
 * cannot be read to its end. */
Document *journal_document(const char *dir, Err *err);
#endif
