/* jout.h -- the files of a cell's printed text. The first execution of a cell writes
 * out-<cell>.log; the next one that finds text there writes out-<cell>.2.log and so on,
 * and removes what is older: at any time a cell keeps one text, that of its newest
 * execution, whole. The number is in the `start` event ("log", left out when 1), so that
 * a reader of old events never takes a newer text for theirs. Inside lab/ only. */
#ifndef CLEAVE_LAB_JOUT_H
#define CLEAVE_LAB_JOUT_H
#include <stdbool.h>
#include <stdint.h>

enum { JOUT_NAME = 64 };

void jout_name(int cell, int64_t log, char dst[JOUT_NAME]);
/* The highest number that a file of the cell has; 0: there is none. Files with a number
 * below `keep` are removed. */
int64_t jout_newest(const char *dir, int cell, int64_t keep);
/* Newlines in bytes [from, to) of an open file. */
int64_t jout_lines(int fd, int64_t from, int64_t to);
#endif
