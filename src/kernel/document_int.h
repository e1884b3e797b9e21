/* document_int.h -- what document.c, outputs.c and percent.c share. Inside kernel/
 * only. */
#ifndef CLEAVE_KERNEL_DOCUMENT_INT_H
#define CLEAVE_KERNEL_DOCUMENT_INT_H
#include "kernel/document.h"

Cell *cell_new(int id, Err *err); /* an empty code cell */
void cell_free(Cell *c);
/* Replaces *slot by a copy of s (NULL: by NULL); *slot stays as it is on failure. */
bool cell_put(char **slot, const char *s, Err *err);
json_t *cell_to_json(const Cell *c);
/* Puts a cell in at `index`; d owns it then. */
bool document_put(Document *d, Cell *taken, int index, Err *err);
/* The file's bytes of a text. */
void cell_encode(CellType type, bool crlf, const char *text, Str *out);
/* Adds an event to the cell's outputs, merging what continues the one before. */
bool cell_output(Cell *c, const json_t *event, Err *err);
#endif
