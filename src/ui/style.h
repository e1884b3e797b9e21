/* style.h -- what the two output streams can take, found out once: whether each is a
 * terminal, which drawing level it has, its width, and whether text is UTF-8. NO_COLOR,
 * TERM=dumb, an unknown TERM and a locale without UTF-8 all lower the level. */
#ifndef CLEAVE_UI_STYLE_H
#define CLEAVE_UI_STYLE_H
#include "figure/grid.h"

typedef struct Stream {
    int fd;
    bool tty;     /* text is filtered; progress rewrites its line */
    bool escapes; /* SGR sequences are understood */
    bool utf8;
    int width; /* columns */
} Stream;
typedef struct PrintStyle {
    Stream out, err;
    DrawStyle draw; /* for figures, on out */
    bool forced;    /* the level was asked for: escapes even into a pipe */
    int width;      /* asked for; 0: the terminal's */
} PrintStyle;

/* Sets the character type from the environment; falls back to C.UTF-8 when the
 * variables ask for UTF-8 but name a locale that is not installed. Numbers stay in C
 * form. */
void style_locale(void);
bool style_utf8(void); /* whether the character type is UTF-8 */
/* level: NULL or "" to find out, else a name of level_parse(); width 0: the
 * terminal's. */
bool style_detect(const char *level, int width, PrintStyle *st, Err *err);
/* Asks for the widths again, after SIGWINCH. */
void style_resize(PrintStyle *st);

/* Appends text as the stream may show it. A terminal gets no control characters but
 * newline and tab: they become visible (^[), C1 and bidirectional controls and invalid
 * bytes become U+FFFD (or
 * '?'). Anything else gets the bytes. Returns the bytes used: fewer than n when a code
 * point is cut off at the end and `last` is false. */
size_t style_text(const Stream *s, const char *text, size_t n, bool last, Str *out);
#endif
