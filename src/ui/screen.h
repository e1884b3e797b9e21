/* screen.h -- a grid on the terminal: only cells that changed since the last one are
 * handed on, in colours and characters that the terminal has. */
#ifndef CLEAVE_UI_SCREEN_H
#define CLEAVE_UI_SCREEN_H
#include "figure/grid.h"

typedef struct Screen {
    Grid shown; /* what the terminal has */
    Level level;
    bool utf8;
} Screen;
void screen_init(Screen *s, Level level, bool utf8);
void screen_done(Screen *s);
void screen_forget(Screen *s); /* the next one is drawn whole */
/* Shows the grid with the cursor at (row, col), hidden when row < 0. */
void screen_show(Screen *s, const Grid *g, int row, int col);
/* A cell as the terminal can show it. */
GridCell screen_cell(const Screen *s, const GridCell *c);
#endif
