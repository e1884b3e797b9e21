/* term.h -- the only door to curses and terminfo. For plain printing it asks the
 * terminal's description a few questions and never touches the screen; for the notebook
 * it is the screen and the keyboard. One screen a process. */
#ifndef CLEAVE_UI_TERM_H
#define CLEAVE_UI_TERM_H
#include "figure/grid.h"
#include "ui/key.h"

typedef struct TermInfo {
    bool known; /* $TERM (or its stand-in) has a description */
    int colors; /* 0: none */
    bool rgb;   /* the description promises 24 bits */
    bool can_reverse;
    bool can_move; /* the cursor */
} TermInfo;
/* Describes $TERM. A name that is not installed but belongs to a terminal that is at
 * least xterm-256color is taken as that. */
TermInfo term_info(int fd);
/* Columns of the terminal behind fd; else $COLUMNS; else 80. */
int term_width(int fd);

/* --- the screen ------------------------------------------------------------------- */

typedef struct TermScreen {
    int rows, cols;
    int colors;    /* 0: none */
    bool direct;   /* colours are 24 bits, not a palette */
    bool xterm;    /* paste brackets, OSC 52 and the like are understood */
    bool stand_in; /* the description is that of xterm-256color */
} TermScreen;
/* Takes the terminal over: full screen, keys one by one, nothing echoed. false: it has
 * no description or cannot move the cursor; nothing has changed then. */
bool term_open(TermScreen *out, Err *err);
void term_close(void); /* as it was before; does nothing when not open */
/* Gives the terminal back for a while (a shell, an editor) and takes it again. */
void term_leave(void);
void term_return(void);
/* Asks for the size again, after SIGWINCH. */
void term_resize(int *rows, int *cols);
/* n cells from (row, col) on, in colours that the terminal has; sent by term_show(). */
void term_put(int row, int col, const GridCell *cell, int n);
/* Sends what changed; the cursor at (row, col), hidden when row < 0. */
void term_show(int row, int col);
void term_redraw(void); /* the next term_show() sends everything */
void term_mouse(bool on);
/* The next key that has come. false: none now. gone: the terminal has hung up. */
bool term_key(KeyEvent *out, bool *gone);
/* Text for the terminal's clipboard, by OSC 52, where it is understood. */
bool term_clipboard(const char *text, size_t n);
#endif
