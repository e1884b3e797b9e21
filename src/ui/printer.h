/* printer.h -- shows a run as plain text, from nothing but its journal: text output,
 * metrics, values, figures at the terminal's level and width, errors on the error
 * stream, progress. Borrows the reader. Works the same on a live and on a finished
 * journal. Text goes unchanged into a pipe; a terminal never gets a control character
 * that this program did not choose. */
#ifndef CLEAVE_UI_PRINTER_H
#define CLEAVE_UI_PRINTER_H
#include "lab/journal.h"
#include "ui/style.h"

typedef struct Printer Printer;
Printer *printer_new(JournalReader *borrowed, const PrintStyle *style, Err *err);
void printer_free(Printer *p); /* NULL is fine */
/* Shows every event that is there now. false: the journal cannot be read. An output
 * stream that nobody reads any more is not an error: nothing is written to it from then
 * on. */
bool printer_catch_up(Printer *p, Err *err);
/* After the end: text that no event describes any more (the kernel was killed), and the
 * progress line taken away. */
void printer_end(Printer *p);
/* A line of our own: on the output stream, or a remark on the error stream. */
void printer_line(Printer *p, const char *text);
void printer_remark(Printer *p, const char *text);
void printer_resize(Printer *p);
#endif
