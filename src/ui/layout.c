/* layout.c -- rows are taken from the top and bottom, the rest is divided. */
#include "ui/layout.h"

enum {
    MIN_COLS = 20,
    MIN_ROWS = 5,
    ONE_COLS = 60,
    ONE_ROWS = 10,
    WIDE = 120,
    TALL = 40,
    STRIP_ROWS = 14
};

static void add(Layout *l, PaneId pane, Area a, bool ruled)
{
    if (a.rows < 2 || a.cols < 10)
        return;
    l->part[l->n].pane = pane;
    l->part[l->n].area = a;
    l->part[l->n++].ruled = ruled;
}

int layout_part(const Layout *l, PaneId pane)
{
    for (int i = 0; i < l->n; i++) {
        if (l->part[i].pane == pane)
            return i;
    }
    return -1;
}

static Area cut_bottom(Area *a, int rows)
{
    a->rows -= rows;
    return (Area){a->row + a->rows, a->col, rows, a->cols};
}

static Area cut_right(Area *a, int cols)
{
    a->cols -= cols;
    return (Area){a->row, a->col + a->cols, a->rows, cols};
}

void layout_make(const LayoutWish *w, Layout *l)
{
    *l = (Layout){.too_small = w->rows < MIN_ROWS || w->cols < MIN_COLS};
    if (l->too_small)
        return;
    Area body = {1, 0, w->rows - 2, w->cols};
    l->tabs = (Area){0, 0, 1, w->cols};
    l->status = (Area){w->rows - 1, 0, 1, w->cols};
    l->message = l->status;
    if (w->rows >= 16) {
        l->message = cut_bottom(&body, 1);
        l->status.row = w->rows - 2;
        l->message.row = w->rows - 1;
    }
    if (w->zoomed || w->cols < ONE_COLS || w->rows < ONE_ROWS) {
        add(l, w->focus, body, false);
        return;
    }
    PaneId main = w->main == PANE_LOG ? PANE_NOTEBOOK : w->main;
    bool parts = main == PANE_COMPONENTS || main == PANE_CONTROLS; /* need the width as well */
    bool wide = w->cols >= WIDE && w->science && !parts;
    if (wide && (main == PANE_RUNS || main == PANE_PLOTS))
        main = PANE_NOTEBOOK;
    /* pictures need the rows more than the log does */
    bool picture = (main == PANE_IMAGES || main == PANE_PLOTS || parts) &&
                   w->focus != PANE_LOG;
    int log_rows = w->rows >= TALL ? 8 : picture ? 0 : w->rows >= 20 ? 5 : 3;
    Area log = cut_bottom(&body, log_rows);
    Area strip = {0};
    bool images = w->rows >= TALL && w->images && main != PANE_IMAGES && !parts;
    if (images)
        strip = cut_bottom(&body, STRIP_ROWS + (w->rows - TALL) / 6);
    if (wide) {
        Area right = cut_right(&body, w->cols * 2 / 5);
        l->split_col = right.col;
        right.col++;
        right.cols--;
        Area plots = cut_bottom(&right, right.rows * 11 / 20);
        add(l, main, body, false);
        add(l, PANE_RUNS, right, true);
        add(l, PANE_PLOTS, plots, true);
    } else {
        add(l, main, body, false);
    }
    if (images)
        add(l, PANE_IMAGES, strip, true);
    add(l, PANE_LOG, log, true);
}
