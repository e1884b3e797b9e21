/* clean.h -- a session's folder without what no cell shows any longer: pictures of
 * earlier executions, journals from before the last shortening, texts of cells that were
 * deleted. The cells, their outputs and edits that were not saved stay. */
#ifndef CLEAVE_KERNEL_CLEAN_H
#define CLEAVE_KERNEL_CLEAN_H
#include "kernel/client.h"

typedef struct Cleaned {
    int figures, journals, texts; /* files that are gone, or would be */
    int64_t bytes;                /* of all of them */
} Cleaned;
/* only_count: nothing is taken away. ERR_STATE: the file has no session folder, or its
 * session lives. Nothing goes where the journal cannot be read to its end. */
bool session_clean(const char *file, bool only_count, Cleaned *out, Err *err);
#endif
