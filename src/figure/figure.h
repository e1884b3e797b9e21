/* figure.h -- figures as plain data: described once, drawn to cells by each viewer at
 * its own size and colours, and to PNG. A Figure owns all its arrays (through
 * base/mem.h). Knows no tensor and no screen. Values are float; NaN is missing.
 * Images: `n` images of h x w, signed (diverging map, symmetric about 0) or unsigned
 * (grey, 0..limit). Scale: "shared" (largest |v| of the page), "each", "p99" (99th
 * percentile of |v|, clipped cells at full level). The limit is printed; zero, NaN and
 * infinite images say so. */
#ifndef CLEAVE_FIGURE_FIGURE_H
#define CLEAVE_FIGURE_FIGURE_H
#include "figure/grid.h"

typedef enum FigKind { FIG_IMAGES, FIG_TABLE, FIG_TEXT } FigKind;
typedef enum FigScale { SCALE_SHARED, SCALE_EACH, SCALE_P99 } FigScale;

typedef struct Figure {
    FigKind kind;
    char *title;   /* NULL: none */
    char *caption; /* one paragraph below; NULL: none */
    /* FIG_IMAGES */
    int n, h, w;
    float *pixels;  /* [n, h, w] */
    char **labels;  /* [n], one line each; NULL: none */
    bool is_signed;
    FigScale scale;
    int per_row;    /* 0: as many as fit */
    /* FIG_TABLE: rows x cols texts; numeric columns are right-aligned on the decimal
     * point */
    int n_rows, n_cols;
    char **head;    /* [n_cols] */
    char **cell;    /* [n_rows*n_cols], "" for none */
    bool *numeric;  /* [n_cols] */
    /* FIG_TEXT */
    char *text;
} Figure;

Figure *figure_images(int n, int h, int w, const float *pixels, bool is_signed,
                      Err *err);
Figure *figure_table(int n_rows, int n_cols, Err *err); /* all texts empty */
Figure *figure_text(const char *text, Err *err);
void figure_free(Figure *f); /* NULL is fine */
bool figure_set_title(Figure *f, const char *text, Err *err);
bool figure_set_caption(Figure *f, const char *text, Err *err);
bool figure_set_label(Figure *f, int image, const char *text, Err *err);
bool figure_set_head(Figure *f, int col, const char *text, bool numeric, Err *err);
bool figure_set_cell(Figure *f, int row, int col, const char *text, Err *err);

/* Draws into a new grid of style->width columns and as many rows as it takes. A
 * narrow width drops to fewer images a row, thumbnails (14x7), then wraps tables
 * into blocks; never fails for width >= 20 (below that the layout for 20 is cut off
 * at the right). */
bool figure_draw(const Figure *f, const DrawStyle *style, Grid *out, Err *err);
/* One image of a page (0-based) as large as fits into the width and `max_rows` rows,
 * captions included, enlarged by an integer; its scale stays the page's. ERR_SHAPE when
 * there is no such image. */
bool figure_zoom(const Figure *f, int image, int max_rows, const DrawStyle *style,
                 Grid *out, Err *err);
/* PNG: 8x integer upscaling (more below 14 pixels a side, less above 128), the light
 * colour map, labels, colour bar, title and caption; written atomically. Tables and
 * texts are drawn with the built-in font. */
bool figure_png(const Figure *f, const char *path, Err *err);
/* GitHub Markdown (tables; images as a reference to `png_name`). */
bool figure_markdown(const Figure *f, const char *png_name, Str *out, Err *err);
/* A number as the tables print it: 4 significant digits, integers below 1e12 and
 * numbers from 1000 to 1e5 without decimals, "-" for NaN, "inf". */
void figure_number(double v, char dst[32]);
#endif
