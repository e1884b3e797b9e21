/* export.h -- a notebook with its outputs as a Jupyter notebook (nbformat 4.5),
 * Markdown with pictures beside it, or one HTML file; and a Jupyter notebook as a Lua
 * file. Everything is read from the session's journal, live or not; without one the
 * file's cells are written without outputs. */
#ifndef CLEAVE_KERNEL_EXPORT_H
#define CLEAVE_KERNEL_EXPORT_H
#include "kernel/client.h"
#include "kernel/document.h"
#include "lab/journal.h"

enum { IPYNB_MAX = 256 << 20 };

/* A document with outputs and the reader of its journal (NULL: none). */
typedef struct Notebook {
    SessionPlace place;
    Document *doc;
    JournalReader *reader;
} Notebook;
/* file: a notebook, or the folder of a run. */
bool notebook_open(const char *file, Notebook *nb, Err *err);
void notebook_close(Notebook *nb);

/* Writes in the format of the path's suffix: .ipynb, .md, .html, .lua. Markdown puts
 * its pictures into "<name>_files/". */
bool notebook_export(const Notebook *nb, const char *path, Err *err);

/* A document from the text of a Jupyter notebook; outputs are not taken. ERR_FORMAT
 * says what is wrong with it. */
Document *ipynb_read(const char *text, size_t n, Err *err);
/* A document as the text of a Jupyter notebook, with outputs. */
bool ipynb_write(const Notebook *nb, Str *out, Err *err);
bool markdown_write(const Notebook *nb, const char *files, Str *out, Err *err);
bool html_write(const Notebook *nb, Str *out, Err *err);

/* --- shared by the writers -------------------------------------------------------- */

/* The text of an `out` entry, with a remark in the place of its middle when it is
 * longer than `max` bytes; always valid UTF-8. */
bool output_text(const Notebook *nb, const Cell *c, const json_t *out_entry, size_t max,
                 Str *out, Err *err);
/* The picture of a figure event; *data is the caller's. */
bool output_png(const Notebook *nb, const json_t *figure, char **data, size_t *n,
                Err *err);
/* The figure's PNG file as base64, without line breaks. */
bool output_png64(const Notebook *nb, const json_t *figure, Str *out, Err *err);
/* A metric entry as the printer shows it. */
void output_metric(const json_t *entry, Str *out);
#endif
