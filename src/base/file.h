/* file.h -- reading whole files, and writing them so that they are never half there:
 * a FileOut writes to "<path>.tmp-<pid>" in the same folder and renames on commit.
 * The I/O fault seam: file_fail_after(n) makes writes fail with ENOSPC after n more
 * bytes (tests); -1 switches it off. SIGXFSZ is ignored by the program, so a file-size
 * limit arrives here as EFBIG. All sentences name the path and the system's reason. */
#ifndef CLEAVE_BASE_FILE_H
#define CLEAVE_BASE_FILE_H
#include <stdint.h>

#include "base/err.h"

typedef struct FileOut FileOut;
FileOut *fileout_open(const char *path, Err *err);
bool fileout_write(FileOut *f, const void *data, size_t n, Err *err);
/* Flushes, syncs and renames; frees f whether it worked or not. */
bool fileout_commit(FileOut *taken, Err *err);
/* The same without waiting for the disk: readers see all or nothing, but after a crash
 * of the machine the file may be empty. For what is replaced many times a second. */
bool fileout_replace(FileOut *taken, Err *err);
void fileout_abort(FileOut *taken);            /* removes the temporary; NULL is fine */
bool file_write_all(const char *path, const void *data, size_t n, Err *err);

/* Reads at most `max` bytes; a larger file is an error that says so. *data is NUL-
 * terminated beyond *n and freed by the caller with mem_free(). */
bool file_read_all(const char *path, size_t max, char **data, size_t *n, Err *err);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
bool dir_make(const char *path, Err *err); /* like mkdir -p, mode 0777 & ~umask */
/* Appends with one write(2) so that lines never interleave; goes through the seam. A
 * piece that was written before a failure is cut off again where that is possible. */
bool fd_append(int fd, const void *data, size_t n, const char *path, Err *err);
void file_fail_after(int64_t bytes);
/* dir + "/" + name into dst; false (ERR_IO) when too long. */
bool path_join(char *dst, size_t cap, const char *dir, const char *name, Err *err);
#endif
