/* show.h -- figures and texts on the standard output of commands that are no run: at
 * the level and width of the stream, filtered for a terminal. Writing fails once, at
 * the end: show_end() flushes and says so. */
#ifndef CLEAVE_UI_SHOW_H
#define CLEAVE_UI_SHOW_H
#include "figure/figure.h"
#include "ui/style.h"

bool show_figure(const Figure *f, const PrintStyle *style, Err *err);
/* Text as it is into a pipe, with control characters made visible on a terminal. */
void show_text(const char *text, const PrintStyle *style);
/* false (ERR_IO) when something could not be written. A reader that has gone away is
 * no error. */
bool show_end(Err *err);

/* A table made row by row: all cells are texts, columns of numbers are told apart. */
typedef struct Listing {
    char **head;
    char **cell; /* [rows * cols] */
    size_t cols, rows, cap;
} Listing;
bool listing_column(Listing *s, const char *head, Err *err); /* before the first row */
bool listing_cell(Listing *s, const char *text, Err *err);   /* left to right */
void listing_done(Listing *s);                               /* zeroed is fine */
/* Keeps the first columns that fit into `width`, at least `least` of them; returns how
 * many were dropped. */
size_t listing_fit(Listing *s, size_t least, int width);
bool listing_show(const Listing *s, const char *title, const char *caption,
                  const PrintStyle *style, Err *err);
void listing_csv(const Listing *s, Str *out); /* RFC 4180 */
#endif
