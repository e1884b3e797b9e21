/* cellview.h -- what a notebook's cell looks like at a width: its text and its outputs
 * as two grids that are drawn once and kept until something changes. A view owns both.
 * Outputs are bounded, however much a cell printed or drew: head and tail are shown,
 * how much is hidden is said, and the log pane has all of it. */
#ifndef CLEAVE_UI_CELLVIEW_H
#define CLEAVE_UI_CELLVIEW_H
#include "kernel/document.h"
#include "lab/journal.h"
#include "ui/paint.h"

enum { GUTTER = 7 };
typedef enum Fold { FOLD_NONE, FOLD_OUTPUT, FOLD_FULL } Fold; /* FULL: more of it */

typedef struct CellView {
    int id;
    Grid source, output; /* without the gutter's marks */
    int cols;            /* they were drawn for; 0: draw anew */
    bool output_old, source_old;
    bool fold_source;
    Fold fold;
    char *expect; /* text that was sent and has not come back; NULL: the cell's own */
} CellView;

typedef struct CellLook {
    Painter paint; /* without a grid */
    DrawStyle draw;
    JournalReader *reader; /* for output text and pixels */
    bool highlight;
    bool still; /* no times */
} CellLook;
/* Brings both grids up to date. Memory running out leaves them short. */
void cellview_update(CellView *v, const Cell *c, const CellLook *look, int cols);
void cellview_done(CellView *v);
/* Lines of the cell: text, outputs. */
int cellview_rows(const CellView *v);
/* The text that is shown. */
const char *cellview_text(const CellView *v, const Cell *c);
#endif
