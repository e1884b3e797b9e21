/* term.h -- the only door to curses and terminfo. For plain printing it asks the
 * terminal's description a few questions and never touches the screen. */
#ifndef CLEAVE_UI_TERM_H
#define CLEAVE_UI_TERM_H
#include <stdbool.h>

typedef struct TermInfo {
    bool known; /* $TERM (or its stand-in) has a description */
    int colors; /* 0: none */
    bool rgb;   /* the description promises 24 bits */
    bool can_reverse;
} TermInfo;
/* Describes $TERM. A name that is not installed but belongs to a terminal that is at
 * least xterm-256color is taken as that. */
TermInfo term_info(int fd);
/* Columns of the terminal behind fd; else $COLUMNS; else 80. */
int term_width(int fd);
#endif
