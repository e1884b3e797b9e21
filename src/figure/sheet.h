/* sheet.h -- inside the folder: figures laid out on paper from top to bottom. Every
 * sheet_ function draws in the room from x to x + room starting at s->y, and leaves y
 * below what it drew. Layouts run twice: dry, to learn the height, then for good. */
#ifndef CLEAVE_FIGURE_SHEET_H
#define CLEAVE_FIGURE_SHEET_H
#include "figure/figure.h"
#include "figure/map.h"
#include "figure/paper.h"

typedef struct Sheet {
    Paper *paper;
    double x, y, room;
    bool tile; /* of small multiples */
    const Figure *common; /* what is told below all tiles: multiples.h; NULL: nothing */
} Sheet;

extern const Rgb sheet_ink, sheet_soft, sheet_frame, sheet_faint;
#define SHEET_FONT 9.5

static inline Ink ink_of(double align, Rgb colour)
{
    return (Ink){.size = SHEET_FONT, .align = align, .colour = colour};
}

Rgb series_rgb(int i);
Rgb map_paper(bool is_signed, double t);
/* The map of a figure, on paper. */
Map sheet_map(const Figure *f);
Rgb map_on_paper(Map m, double t);
/* The room a figure asks for, in units. */
bool sheet_width(Paper *p, const Figure *f, double *w, Err *err);
/* Title, body and caption of a figure and its parts. */
bool sheet_figure(Sheet *s, const Figure *f, Err *err);
/* Colour bar from -limit or 0 to limit, and words beside or below it. */
void sheet_bar(Sheet *s, Map m, const char *limit, const char *words);
/* The names of the series with their marks. */
void sheet_legend(Sheet *s, const Figure *f);
/* A paragraph over the room; y moves. */
void sheet_words(Sheet *s, const char *text, Ink ink);

double images_width(const Figure *f);
bool sheet_images(Sheet *s, const Figure *f, Err *err);
bool sheet_plot(Sheet *s, const Figure *f, Err *err);
bool sheet_bars(Sheet *s, const Figure *f, Err *err);
double heat_width(Paper *p, const Figure *f);
bool sheet_heat(Sheet *s, const Figure *f, Err *err);
bool sheet_bipartite(Sheet *s, const Figure *f, Err *err);
bool sheet_diagram(Sheet *s, const Figure *f, Err *err);
/* The scale of `f` below the small multiples that have it in common: multiples.h. */
bool sheet_heat_scale(Sheet *s, const Figure *page, const Figure *f, Err *err);
bool sheet_diagram_scale(Sheet *s, const Figure *page, const Figure *f, Err *err);
bool sheet_between(Sheet *s, const Figure *f, Err *err);
bool cells_width(const Figure *f, double *w, Err *err);
bool sheet_cells(Sheet *s, const Figure *f, Err *err);
/* A matrix as a raster of k x k pixels a value; missing values are hatched. */
bool sheet_matrix(Sheet *s, const Figure *f, const float *v, double limit, int k,
                  double x, double y, Err *err);
#endif
