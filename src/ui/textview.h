/* textview.h -- a text to read: wrapped, scrolled, searched. Owns its text. */
#ifndef CLEAVE_UI_TEXTVIEW_H
#define CLEAVE_UI_TEXTVIEW_H
#include "ui/paint.h"

typedef struct TextView {
    char *title, *text; /* NULL: empty */
    int top;            /* first line shown */
    int lines;          /* at the width it was last drawn */
    int rows;           /* of the area it was last drawn in */
    int found;          /* line of the last match, -1: none */
    char *match;        /* what is marked */
} TextView;

bool textview_set(TextView *v, const char *title, const char *text, Err *err);
void textview_done(TextView *v);
void textview_draw(TextView *v, const Painter *p, Area a);
void textview_scroll(TextView *v, int lines);
/* The next line that holds the text, from the last match on; step -1: backwards. */
bool textview_find(TextView *v, const char *text, int step);
#endif
