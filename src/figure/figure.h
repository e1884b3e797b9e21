/* figure.h -- figures as plain data: described once, drawn to cells by each viewer at
 * its own size and colours, and to PNG, SVG, PDF, CSV, Markdown and LaTeX. A Figure
 * owns all its arrays and parts (through base/mem.h). Knows no tensor and no screen.
 * NaN is missing. Images and heat maps are signed (diverging map, symmetric about 0) or
 * unsigned (grey or a tone, 0..limit). Scale: "shared" (largest |v| of the page, or
 * the limit given), "each", "p99" (99th percentile of |v|, clipped cells at full
 * level). The limit is printed; zero, NaN and infinite images say so, and so do plots
 * about values they cannot show. */
#ifndef CLEAVE_FIGURE_FIGURE_H
#define CLEAVE_FIGURE_FIGURE_H
#include "figure/grid.h"
#include "figure/map.h"

typedef enum FigKind {
    FIG_IMAGES,
    FIG_TABLE,
    FIG_TEXT,
    FIG_PLOT,       /* lines, points and histograms over two axes */
    FIG_BARS,       /* named bars in groups */
    FIG_HEAT,       /* a matrix with names of rows and columns */
    FIG_BIPARTITE,  /* two columns of names and weighted edges between them */
    FIG_BETWEEN,    /* metrics between their null and their limit */
    FIG_PAGE,       /* figures together */
    FIG_COMPONENTS, /* a dictionary's parts: pictures, bars and metrics of each */
    FIG_DIAGRAM,    /* columns of nodes and weighted edges between neighbours */
} FigKind;
enum { FIG_KINDS = FIG_DIAGRAM + 1, FIG_DEPTH = 4 /* pages within pages */ };
const char *figure_kind_name(FigKind kind); /* "images", "table" ... */

typedef enum FigScale { SCALE_SHARED, SCALE_EACH, SCALE_P99 } FigScale;
typedef enum Mark { MARK_LINE, MARK_POINTS, MARK_BINS } Mark;

typedef struct FigAxis {
    char *label; /* NULL: none */
    bool log;    /* values <= 0 cannot be shown and are counted */
    double lo, hi; /* lo < hi: fixed; else from the data */
} FigAxis;

typedef struct Series {
    char *name; /* in the legend; NULL: none */
    Mark mark;
    int n;
    double *x;       /* [n], for MARK_BINS [n + 1] edges, rising; NULL in FIG_BARS */
    double *y;       /* [n] */
    double *lo, *hi; /* [n] band or interval about y; both NULL: none */
    char **label;    /* [n], beside points; NULL: none */
} Series;

typedef struct Edge {
    int left, right; /* 0-based; FIG_DIAGRAM: among all nodes, column after column */
    double weight;
} Edge;

/* What a metric reaches by chance (null, with its interval where it was sampled) and
 * the best it can be. The limit may be below the null: less is better then. */
typedef struct Between {
    char *name;
    double value, lo, hi;            /* lo, hi: interval of the value; NaN: none */
    double null, null_lo, null_hi;   /* NaN band: the null is known exactly */
    double limit;
} Between;
typedef enum Verdict {
    VERDICT_SHARE,   /* a share of the way from null to limit */
    VERDICT_NULL,    /* value or its interval touches the null band: refused */
    VERDICT_NO_ROOM, /* the limit itself is inside the null band: refused */
    VERDICT_BEYOND,  /* past the limit: the metric or the limit is wrong */
    VERDICT_WORSE,   /* on the far side of the null */
    VERDICT_MISSING, /* a number is missing or infinite: refused */
} Verdict;

typedef struct Figure {
    FigKind kind;
    char *title;   /* NULL: none */
    char *caption; /* one paragraph below; NULL: none */
    /* FIG_IMAGES; a FIG_HEAT is one image: n is 1 */
    int n, h, w;
    float *pixels;  /* [n, h, w], of colours [n, 3, h, w] */
    bool rgb;       /* red, green and blue planes: 0..1, or signed with 0 mid grey */
    char **labels;  /* [n], one line each; NULL: none */
    bool is_signed; /* FIG_BARS: colours by sign */
    FigScale scale;
    Tone tone;      /* of unsigned values */
    double limit;   /* of the shared scale, or of edges; 0: the largest |v| */
    int per_row;    /* 0: as many as fit */
    int group;      /* so many images stay together in a row; 0, 1: each for itself */
    /* FIG_TABLE: rows x cols texts; numeric columns are right-aligned on the decimal
     * point */
    int n_rows, n_cols;
    char **head;    /* [n_cols] */
    char **cell;    /* [n_rows*n_cols], "" for none */
    bool *numeric;  /* [n_cols] */
    /* FIG_TEXT */
    char *text;
    /* FIG_PLOT, FIG_BARS: y is the axis of values */
    FigAxis x, y;
    int n_series;
    Series *series;
    /* FIG_BARS: the bars; FIG_HEAT: h and w; FIG_BIPARTITE: the nodes */
    int n_left, n_right;
    char **left, **right; /* "" for none */
    /* FIG_BIPARTITE, FIG_DIAGRAM */
    int n_edges;
    Edge *edges;
    /* FIG_DIAGRAM: nodes of each column; `left` has the names of all of them */
    int n_stages;
    int *stage;
    /* FIG_BETWEEN; FIG_COMPONENTS: metrics of the whole set */
    int n_between;
    Between *between;
    /* FIG_PAGE: per_row columns where there is room; multiples: tiles of one width in
     * rows, with the legend or the scale of the first below all of them.
     * FIG_COMPONENTS: the left names are the components and the series their metrics (y
     * the value, lo its null, hi its limit, NaN unknown; no x) */
    bool multiples;
    int n_parts;
    struct Figure **parts;
    /* A part of FIG_COMPONENTS with something for each component, in their order: a
     * FIG_IMAGES has n / n_left images for each, a FIG_HEAT one row (shown as bars), a
     * FIG_PLOT one series. false: the part is about all of them. */
    bool each;
} Figure;

Figure *figure_images(int n, int h, int w, const float *pixels, bool is_signed,
                      Err *err);
/* The same of n images in red, green and blue planes, [n, 3, h, w]. A shared scale of
 * unsigned ones ends at 1 unless a value is above it. */
Figure *figure_colours(int n, int h, int w, const float *pixels, bool is_signed,
                       Err *err);
/* n images of f's size, colours, sign and scale. */
Figure *figure_images_like(const Figure *f, int n, const float *pixels, Err *err);
/* Numbers of one image in `pixels`. */
size_t figure_plane(const Figure *f);
Figure *figure_table(int n_rows, int n_cols, Err *err); /* all texts empty */
Figure *figure_text(const char *text, Err *err);
Figure *figure_plot(Err *err); /* add series */
/* n named bars a series; add series with x NULL. */
Figure *figure_bars(int n, Err *err);
Figure *figure_heat(int h, int w, const float *values, bool is_signed, Err *err);
Figure *figure_bipartite(int n_left, int n_right, Err *err);
/* Columns of sizes[n_stages] nodes, 2 to 16 of them; names as left nodes. */
Figure *figure_diagram(int n_stages, const int *sizes, bool is_signed, Err *err);
Figure *figure_between(Err *err); /* add metrics */
Figure *figure_page(Err *err);    /* add parts */
Figure *figure_copy(const Figure *f, Err *err); /* deep */
void figure_free(Figure *f);      /* NULL is fine */
bool figure_set_title(Figure *f, const char *text, Err *err);
bool figure_set_caption(Figure *f, const char *text, Err *err);
bool figure_set_label(Figure *f, int image, const char *text, Err *err);
bool figure_set_head(Figure *f, int col, const char *text, bool numeric, Err *err);
bool figure_set_cell(Figure *f, int row, int col, const char *text, Err *err);
bool figure_set_axis(Figure *f, bool is_y, const char *label, bool log, Err *err);
/* The name of a bar, row or left node; of a column or right node. */
bool figure_set_left(Figure *f, int i, const char *text, Err *err);
bool figure_set_right(Figure *f, int i, const char *text, Err *err);

/* Copies a series into a plot or a bar chart. lo and hi may be NULL (both). For
 * MARK_BINS x holds n + 1 rising finite edges; in FIG_BARS n must be the number of bars
 * and x NULL. ERR_SHAPE otherwise. */
bool figure_add_series(Figure *f, const char *name, Mark mark, int n, const double *x,
                       const double *y, const double *lo, const double *hi, Err *err);
/* A text beside point i of the last series. */
bool figure_set_point(Figure *f, int i, const char *text, Err *err);
/* Counts values in `bins` equal bins from lo to hi (lo >= hi: the finite range of the
 * data; the last bin is closed) and adds them as a MARK_BINS series. Values outside and
 * not finite are left out; *left_out (may be NULL) says how many. */
bool figure_add_counts(Figure *f, const char *name, const double *v, int64_t n,
                       int bins, double lo, double hi, int64_t *left_out, Err *err);
bool figure_add_edge(Figure *f, int left, int right, double weight, Err *err);
bool figure_add_between(Figure *f, const Between *b, Err *err); /* copied */
/* Takes the part, also when it fails. */
bool figure_add_part(Figure *f, Figure *taken, Err *err);

/* One component of a dictionary: its pattern pair (signed images), a bar per head, and
 * the examples that drive it most (unsigned). Each may be NULL and is taken, also on
 * failure. */
Figure *figure_component(const char *title, Figure *patterns, Figure *heads,
                         Figure *examples, Err *err);

/* A set of `n` components without names: then set them (figure_set_left), add metrics
 * (figure_add_series), metrics of the whole (figure_add_between) and parts. */
Figure *figure_components(int n, Err *err);
/* All about component r (0-based) as a page: its parts, then a table of its metrics
 * with rank, null and limit. */
Figure *figure_one_component(const Figure *f, int r, Err *err);
/* What can be said of the set on one page: metrics of the whole, parts about all, and
 * the first `most` components of the first pictures and bars. */
Figure *figure_overview(const Figure *f, int most, Err *err);
/* order[n_left]: components by falling metric (`by`, -1: as they are), NaN last, ties
 * as they are; rising: the other way round, NaN still last. */
void figure_component_order(const Figure *f, int by, bool rising, int *order);
/* Draws component r in about `rows` rows: its first pictures as large as that allows,
 * bars and metrics beside them, further pictures below; taller where it cannot be. */
bool figure_draw_component(const Figure *f, int r, int rows, const DrawStyle *style,
                           Grid *out, Err *err);

/* Where a metric stands, in *share (0 at the null, 1 at the limit; NaN when it cannot
 * be said). */
Verdict between_verdict(const Between *b, double *share);
/* The verdict as one sentence without a full stop. */
void between_words(const Between *b, Str *out);

/* Draws into a new grid of style->width columns and as many rows as it takes. A
 * narrow width drops to fewer images a row, thumbnails (14x7), then wraps tables
 * into blocks; never fails for width >= 20 (below that the layout for 20 is cut off
 * at the right). Lines and edges are braille where half blocks are allowed, else
 * characters, one for each series. */
bool figure_draw(const Figure *f, const DrawStyle *style, Grid *out, Err *err);
/* One image of a page (0-based) as large as fits into the width and `max_rows` rows,
 * captions included, enlarged by an integer; its scale stays the page's. ERR_SHAPE when
 * there is no such image. */
bool figure_zoom(const Figure *f, int image, int max_rows, const DrawStyle *style,
                 Grid *out, Err *err);
/* How many images figure_draw() puts in a row. */
int figure_per_row(const Figure *f, const DrawStyle *style);
/* PNG: 8x integer upscaling (more below 14 pixels a side, less above 128), the light
 * colour map, labels, colour bar, title and caption; written atomically. */
bool figure_png(const Figure *f, const char *path, Err *err);
bool figure_svg(const Figure *f, const char *path, Err *err); /* the same, vectors */
bool figure_pdf(const Figure *f, const char *path, Err *err);
/* The numbers behind the figure, RFC 4180; values read back to the same bits. */
bool figure_csv(const Figure *f, Str *out, Err *err);
/* GitHub Markdown (tables and texts; all else as a reference to `png_name`). */
bool figure_markdown(const Figure *f, const char *png_name, Str *out, Err *err);
/* LaTeX with booktabs (tables and texts; all else as \includegraphics). */
bool figure_latex(const Figure *f, const char *picture, Str *out, Err *err);
/* Tables and texts are written into documents as they are; all else is a picture. */
bool figure_is_picture(const Figure *f);
/* Writes path in the format of its suffix: .png .svg .pdf .csv .md .tex. A picture in
 * .md or .tex refers to (and writes) the .png or .pdf beside it. */
bool figure_save(const Figure *f, const char *path, Err *err);
/* A number as the tables print it: 4 significant digits, integers below 1e12 and
 * numbers from 1000 to 1e5 without decimals, "-" for NaN, "inf". */
void figure_number(double v, char dst[32]);
/* A finite number with 1 to 17 significant digits at most, "1.5e-7". */
void figure_digits(double v, int digits, char dst[32]);
#endif
