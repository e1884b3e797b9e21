/* ansi.h -- colours in printed text. Of all escape sequences one kind is understood,
 * SGR (ESC [ digits and ; m), and of it bold, dim, reverse, their ends, and the 8, 16,
 * 256 and 24-bit colours; other numbers (blinking, concealed ...) change nothing. The
 * sequences leave the text and become looks that are drawn as any other; everything
 * else stays and is shown as ^[. A colour ends with its line. */
#ifndef CLEAVE_UI_ANSI_H
#define CLEAVE_UI_ANSI_H
#include "ui/paint.h"

typedef struct AnsiSpan {
    size_t at; /* byte of the line from which on it holds */
    Look look;
} AnsiSpan;

/* Takes the sequences out of a NUL-terminated line, in place; returns how many spans
 * there are. Those beyond `max` are taken out and change nothing. */
int ansi_take(char *line, AnsiSpan *span, int max);
#endif
