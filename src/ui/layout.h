/* layout.h -- which panes are on the screen and where, from its size alone. Below 20 x
 * 5 nothing fits; below 60 columns or 10 rows there is the focused pane only; 80
 * columns show one pane over a strip of the log; 120 and more a column at the right;
 * 40 rows and more a strip of images. */
#ifndef CLEAVE_UI_LAYOUT_H
#define CLEAVE_UI_LAYOUT_H
#include "ui/paint.h"

typedef enum PaneId {
    PANE_NOTEBOOK,
    PANE_LOG,
    PANE_RUNS,
    PANE_IMAGES,
    PANE_PLOTS,
    PANE_VARS,
    PANE_HELP,
    PANE_COMPONENTS,
    PANE_CONTROLS,
    PANE_COUNT
} PaneId;

typedef struct LayoutWish {
    int rows, cols;
    PaneId focus, main; /* main: the pane that has the large place */
    bool zoomed;        /* the focused pane only */
    bool images;        /* there are some */
    bool science;       /* there are runs or metrics */
} LayoutWish;
typedef struct Layout {
    bool too_small;
    Area tabs, status, message; /* message may lie on the status bar */
    struct {
        PaneId pane;
        Area area;  /* rule included */
        bool ruled; /* its first row is a rule with its name */
    } part[PANE_COUNT];
    int n;
    int split_col; /* column of a vertical line, 0: none; over rows of part[0] */
} Layout;
void layout_make(const LayoutWish *w, Layout *out);
/* The part a pane has; -1: it is not shown. */
int layout_part(const Layout *l, PaneId pane);
#endif
