/* jfigure.h -- a figure as the body of a `figure` event, and back. Inside lab/ only;
 * the public side is journal_figure() and jreader_figure(). */
#ifndef CLEAVE_LAB_JFIGURE_H
#define CLEAVE_LAB_JFIGURE_H
#include <jansson.h>

#include "figure/figure.h"

/* Kind, title, caption and everything else but the pixels. NULL: out of memory. */
json_t *jfigure_describe(const Figure *f);
/* The figure again; pixels are read from dir/<blob>. Every size is checked first. */
Figure *jfigure_rebuild(const json_t *event, const char *dir, Err *err);
#endif
