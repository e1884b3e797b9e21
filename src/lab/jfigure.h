/* jfigure.h -- a figure as the body of a `figure` event, and back. Everything is JSON
 * but the pixels of images and heat maps: those of all parts lie one behind the other
 * in one blob of f32, little endian. Inside lab/ only; the public side is
 * journal_figure() and jreader_figure(). */
#ifndef CLEAVE_LAB_JFIGURE_H
#define CLEAVE_LAB_JFIGURE_H
#include <jansson.h>

#include "base/file.h"
#include "figure/figure.h"

/* All of it but the pixels. NULL: out of memory. */
json_t *jfigure_describe(const Figure *f);
/* How many pixels the figure and its parts have; writes them. */
size_t jfigure_pixels(const Figure *f);
bool jfigure_write_pixels(const Figure *f, FileOut *out, Err *err);

/* The figure again; pixels are read from dir/<blob>. An event comes from a file that
 * anybody may have written, so nothing in it is believed: sizes are bounded before
 * memory is asked for, lists must have the length the sizes say, the blob must have
 * exactly the bytes of the pixels, and its path must stay inside the folder. */
Figure *jfigure_rebuild(const json_t *event, const char *dir, Err *err);
#endif
