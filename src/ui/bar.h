/* bar.h -- progress on the error stream: on a terminal one line that rewrites itself,
 * elsewhere a plain line now and then (after each 10 % but at most one a second, or
 * after 5 s). It keeps time by the events' own clock, so a replay prints what the live
 * run did. */
#ifndef CLEAVE_UI_BAR_H
#define CLEAVE_UI_BAR_H
#include <jansson.h>

#include "ui/style.h"

typedef struct Bar {
    json_t *event;    /* the last one, owned; NULL: nothing to show */
    bool on_screen;   /* the line is there and must be cleared before other output */
    double said_at;   /* of the last plain line, in the events' time */
    double said_part; /* done / total then */
} Bar;

void bar_event(Bar *b, const json_t *event); /* remembers it */
void bar_forget(Bar *b);                     /* the work is over */
/* One line of at most `width` columns: bar, share, count, rate, time left, text. */
void bar_format(const json_t *event, int width, bool graphic, Str *out);
/* Appends what the stream should get now: on a terminal the redrawn line. */
void bar_draw(Bar *b, const Stream *s, Str *out);
void bar_clear(Bar *b, const Stream *s, Str *out); /* takes the line away, if there */
#endif
