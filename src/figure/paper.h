/* paper.h -- the vector door: lines, areas, texts and rasters on white paper, to PNG
 * (two pixels a unit), SVG and PDF (one point a unit). The only user of cairo. Texts
 * are set in DejaVu Sans where the machine has it, else in what stands in for it, else
 * in the font built into cairo (ASCII only); foreign characters become placeholders as
 * everywhere. A Paper of size 0 measures and swallows all drawing: layouts run once on
 * such a one to learn their height. Failures stick and are told by paper_ok(). */
#ifndef CLEAVE_FIGURE_PAPER_H
#define CLEAVE_FIGURE_PAPER_H
#include "figure/pix.h"

typedef struct Paper Paper;
typedef enum PaperFormat { PAPER_PNG, PAPER_SVG, PAPER_PDF } PaperFormat;
enum { PAPER_SCALE = 2 }; /* pixels of a PNG a unit */
enum { TEXT_BOLD = 1, TEXT_MONO = 2, TEXT_UP = 4 /* turned to read upwards */ };

typedef struct Ink {
    double size;  /* of the font, in units */
    int flags;    /* TEXT_ */
    double align; /* 0: x is the left end, 0.5: the middle, 1: the right end */
    Rgb colour;
} Ink;

Paper *paper_new(PaperFormat format, double w, double h, Err *err);
bool paper_ok(const Paper *p, Err *err); /* nothing has failed so far */
void paper_free(Paper *p);               /* NULL is fine */
bool paper_is_dry(const Paper *p);
/* Ends the drawing and writes the file atomically. */
bool paper_write(Paper *p, const char *path, Err *err);

void paper_fill(Paper *p, double x, double y, double w, double h, Rgb c);
void paper_line(Paper *p, double x0, double y0, double x1, double y1, double width,
                Rgb c);
/* xy[n][2]; a line through all of them, or the area inside with an opacity. */
void paper_curve(Paper *p, const double (*xy)[2], int n, double width, Rgb c);
void paper_area(Paper *p, const double (*xy)[2], int n, Rgb c, double opacity);
/* Mark i of a series: disc, square, triangle ... in a circle of radius r. */
void paper_mark(Paper *p, double x, double y, double r, int mark, Rgb c);
/* Everything from here to paper_unclip() stays inside the rectangle. */
void paper_clip(Paper *p, double x, double y, double w, double h);
void paper_unclip(Paper *p);
/* A raster of [ih, iw, 3] bytes over the rectangle, without smoothing. */
void paper_raster(Paper *p, double x, double y, double w, double h, const uint8_t *rgb,
                  int iw, int ih);
/* One line of text; y is the top of the line, (x, y) for TEXT_UP the middle of its
 * left side. Returns its width. */
double paper_text(Paper *p, double x, double y, const char *text, Ink ink);
double paper_width(Paper *p, const char *text, Ink ink);
/* The same cut to `room` units, a ~ marks the cut; align is from the uncut end. */
void paper_cut(Paper *p, double x, double y, double room, const char *text, Ink ink);
double paper_leading(Ink ink); /* from line to line, whole pixels */
/* A paragraph wrapped to `room` units; returns its height. */
double paper_wrap(Paper *p, double x, double y, double room, const char *text, Ink ink);
#endif
