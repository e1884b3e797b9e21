/* outlog.h -- the text of one execution of a cell, however long: its first and last
 * lines in memory, the true number of lines, and the rest on disk. Follows the log as
 * it grows, reading each byte once; memory is bounded by OUTLOG_BYTES each for head and
 * tail. Belongs to one thread. */
#ifndef CLEAVE_KERNEL_OUTLOG_H
#define CLEAVE_KERNEL_OUTLOG_H
#include "base/str.h"
#include "lab/journal.h"

enum { OUTLOG_LINES = 500, OUTLOG_BYTES = 256 << 10 };

typedef struct OutLog {
    int cell;
    int64_t from, to; /* bytes of the log that were read */
    int64_t lines;    /* of all of it; an unfinished last line counts */
    bool mid_line;    /* the last byte is no newline */
    Str head;         /* the first lines: at most OUTLOG_LINES, OUTLOG_BYTES */
    int64_t head_lines;
    Str tail;           /* the last lines behind the head; its first may be cut */
    int64_t tail_lines; /* an unfinished last line counts */
} OutLog;

void outlog_start(OutLog *o, int cell, int64_t from);
void outlog_done(OutLog *o);
/* Reads on to byte `to` of the log (-1: to its end now). */
bool outlog_follow(OutLog *o, JournalReader *r, int64_t to, Err *err);
/* Lines between head and tail that are only on disk. */
int64_t outlog_hidden(const OutLog *o);
/* A page of the log from disk: at most `max` bytes from the start of line `line` (from
 * 0) of this execution. For scrolling; reads the file from the nearest known place. */
bool outlog_page(const OutLog *o, JournalReader *r, int64_t line, size_t max, Str *out,
                 Err *err);
#endif
