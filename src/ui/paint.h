/* paint.h -- drawing into a part of a grid: text, lines, bars and grids, clipped to
 * the area and filtered (figure/clean.h), in looks that a theme gives to roles.
 * Nothing here knows a screen, so everything drawn can be compared as text. */
#ifndef CLEAVE_UI_PAINT_H
#define CLEAVE_UI_PAINT_H
#include "figure/grid.h"

typedef enum Role {
    ROLE_TEXT,
    ROLE_DIM,
    ROLE_STRONG,
    ROLE_BAR, /* status bar */
    ROLE_BAR_STRONG,
    ROLE_TITLE, /* of panes */
    ROLE_TITLE_FOCUS,
    ROLE_SELECT, /* the selected row or cell's marker */
    ROLE_CURSOR_LINE,
    ROLE_BOX, /* overlays */
    ROLE_BOX_STRONG,
    ROLE_ERROR,
    ROLE_WARN,
    ROLE_GOOD,
    ROLE_MATCH,  /* found text, matching brackets */
    ROLE_REGION, /* selected text */
    ROLE_KEYWORD,
    ROLE_STRING,
    ROLE_NUMBER,
    ROLE_COMMENT,
    ROLE_NAME, /* of the library */
    ROLE_COUNT
} Role;
typedef struct Look {
    int32_t fg, bg;
    uint8_t attr;
} Look;
typedef struct Theme {
    const char *name;
    bool light;
    Look look[ROLE_COUNT];
} Theme;
extern const Theme themes[];
extern const int n_themes;
/* NULL: there is none of that name. */
const Theme *theme_find(const char *name);

typedef struct Area {
    int row, col, rows, cols;
} Area;
typedef struct Painter {
    Grid *grid;
    const Theme *theme;
    Level level;
    bool utf8; /* box lines and ellipses beyond ASCII */
} Painter;

Look paint_look(const Painter *p, Role role);
/* Clears the area in a role's look. */
void paint_clear(const Painter *p, Area a, Role role);
/* The first n bytes of a text in one line from (row, col) of the area; returns the
 * columns used. A look with no colour of its own keeps the background that is there. */
int paint_text(const Painter *p, Area a, int row, int col, const char *s, size_t n,
               Look look);
int paint_str(const Painter *p, Area a, int row, int col, const char *s, Role role);
/* The same ending at column `end`; cut at the left when it is too long. */
void paint_right(const Painter *p, Area a, int row, int end, const char *s, Role role);
/* Cut to `room` columns; a ~ marks the cut. */
int paint_cut(const Painter *p, Area a, int row, int col, const char *s, int room,
              Role role);
/* Rows [from, from + a.rows) of a grid, at the area's corner plus (row, col). */
void paint_grid(const Painter *p, Area a, int row, int col, const Grid *g, int from,
                int n_rows);
/* A horizontal rule with a title in it, as panes have. */
void paint_rule(const Painter *p, Area a, int row, const char *title, Role role);
/* A frame with a title; returns the inside. */
Area paint_box(const Painter *p, Area a, const char *title);
/* The look of one whole row (attributes and background only). */
void paint_row(const Painter *p, Area a, int row, Role role);
#endif
