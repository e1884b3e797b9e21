/* sheet.c -- the frame of every exported figure, the parts they share, and the three
 * files made of it. */
#include "figure/sheet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/axis.h"
#include "figure/clean.h"
#include "figure/colour.h"
#include "figure/multiples.h"
#include "figure/sample.h"

#define MARGIN 12.0
#define GAP    10.0
#define TITLED 280.0
#define PLOT   400.0 /* figures without a width of their own */
#define TILE      150.0 /* a plot or a diagram of small multiples */
#define WIDE_TILE 250.0 /* a plot without equal units */
#define TILES     760.0 /* a row of them, where nothing says how many */
#define BAR_W  128.0
#define BAR_H  7.0
enum { OVERVIEW = 40 /* components of a set */ };

const Rgb sheet_ink = {32, 32, 36}, sheet_soft = {96, 96, 100};
const Rgb sheet_frame = {190, 190, 190}, sheet_faint = {228, 228, 230};

Rgb series_rgb(int i)
{
    uint8_t c[3];
    map_series_rgb(i, c);
    return (Rgb){c[0], c[1], c[2]};
}

Map sheet_map(const Figure *f)
{
    return (Map){LEVEL_TRUE, true, f->is_signed, f->rgb ? TONE_SHADES : f->tone};
}

Rgb map_on_paper(Map m, double t)
{
    uint8_t c[3];
    map_rgb(m, t, c);
    return (Rgb){c[0], c[1], c[2]};
}

Rgb map_paper(bool is_signed, double t)
{
    return map_on_paper((Map){LEVEL_TRUE, true, is_signed, TONE_GREY}, t);
}

void sheet_words(Sheet *s, const char *text, Ink ink)
{
    s->y += paper_wrap(s->paper, s->x, s->y, s->room, text, ink);
}

/* Half a unit outside the rectangle, over what a viewer rounds up of a raster. */
static void frame(Paper *p, double x, double y, double w, double h)
{
    paper_fill(p, x - 0.5, y - 0.5, w + 1, 0.5, sheet_frame);
    paper_fill(p, x - 0.5, y + h, w + 1, 0.5, sheet_frame);
    paper_fill(p, x - 0.5, y, 0.5, h, sheet_frame);
    paper_fill(p, x + w, y, 0.5, h, sheet_frame);
}

void sheet_bar(Sheet *s, Map m, const char *limit, const char *words)
{
    Paper *p = s->paper;
    Ink ink = ink_of(0, sheet_ink), soft = ink_of(0, sheet_soft);
    double x = s->x, y = s->y, w = fmin(BAR_W, s->room / 2);
    char end[2][40] = {"0", ""};
    if (m.is_signed)
        snprintf(end[0], sizeof end[0], "-%s", limit);
    snprintf(end[1], sizeof end[1], "%s%s", m.is_signed ? "+" : "", limit);
    x = ceil(x + paper_text(p, x, y, end[0], ink) + 5);
    uint8_t rgb[256 * 3];
    for (int i = 0; i < 256; i++) {
        Rgb c = map_on_paper(m, m.is_signed ? i / 127.5 - 1 : i / 255.0);
        memcpy(rgb + (size_t)3 * (size_t)i, (uint8_t[3]){c.r, c.g, c.b}, 3);
    }
    paper_raster(p, x, y + 3, w, BAR_H, rgb, 256, 1);
    frame(p, x, y + 3, w, BAR_H);
    x += w + 5;
    x += paper_text(p, x, y, end[1], ink) + 10;
    double room = s->x + s->room - x;
    if (room < 110 || paper_width(p, words, soft) > 2 * room) {
        s->y += paper_leading(ink);
        sheet_words(s, words, soft);
    } else {
        s->y += fmax(paper_wrap(p, x, y, room, words, soft), paper_leading(ink));
    }
}

static double legend_mark(Sheet *s, const Figure *f, int i, double x)
{
    Paper *p = s->paper;
    Mark mark = f->kind == FIG_PLOT ? f->series[i].mark : MARK_BINS;
    Rgb c = series_rgb(i);
    double mid = s->y + 6.5;
    if (mark == MARK_LINE)
        paper_line(p, x, mid, x + 14, mid, 1.6, c);
    else if (mark == MARK_POINTS)
        paper_mark(p, x + 7, mid, 2.6, i, c);
    else
        paper_fill(p, x + 3, mid - 4, 8, 8, c);
    return 18;
}

void sheet_legend(Sheet *s, const Figure *f)
{
    Ink ink = ink_of(0, sheet_ink);
    double x = s->x;
    bool any = false;
    for (int i = 0; i < f->n_series; i++) {
        const char *name = f->series[i].name;
        if (!name)
            continue;
        double w = 18 + paper_width(s->paper, name, ink) + 14;
        if (any && x + w > s->x + s->room) {
            x = s->x;
            s->y += paper_leading(ink);
        }
        double at = x + legend_mark(s, f, i, x);
        paper_text(s->paper, at, s->y, name, ink);
        x += w;
        any = true;
    }
    s->y += any ? paper_leading(ink) + 4 : 0;
}

/* The colour of value `at` of an image; false: it is missing. */
static bool value_colour(const Figure *f, const float *v, size_t at, double limit,
                         Rgb *c)
{
    double t[3] = {sample_share((double)v[at], limit)};
    size_t plane = (size_t)f->h * (size_t)f->w;
    if (!f->rgb) {
        *c = map_on_paper(sheet_map(f), t[0]);
        return !isnan(t[0]);
    }
    for (size_t i = 1; i < 3; i++)
        t[i] = sample_share((double)v[at + i * plane], limit);
    if (colour_missing(t))
        return false;
    uint8_t rgb[3];
    colour_rgb(f->is_signed, t, rgb);
    *c = (Rgb){rgb[0], rgb[1], rgb[2]};
    return true;
}

/* One picture for a value, k x k of its pixels. Missing values are hatched: no colour
 * of a map looks like that. */
bool sheet_matrix(Sheet *s, const Figure *f, const float *v, double limit, int k,
                  double x, double y, Err *err)
{
    double unit = (double)k / PAPER_SCALE;
    int h = f->h, w = f->w;
    if (paper_is_dry(s->paper))
        return true;
    Pix pix;
    if (!pix_new(w * k, h * k, (Rgb){200, 200, 200}, &pix, err))
        return false;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            Rgb c;
            size_t at = (size_t)i * (size_t)w + (size_t)j;
            bool known = value_colour(f, v, at, limit, &c);
            if (known)
                pix_fill(&pix, j * k, i * k, k, k, c);
            for (int a = 0; !known && a < k * k; a++)
                if ((j * k + i * k + a / k + a % k) % 4 == 0)
                    pix_fill(&pix, j * k + a % k, i * k + a / k, 1, 1,
                             (Rgb){110, 110, 110});
        }
    paper_raster(s->paper, x, y, w * unit, h * unit, pix.rgb, pix.w, pix.h);
    frame(s->paper, x, y, w * unit, h * unit);
    pix_done(&pix);
    return true;
}

/* --- the frame --- */

static bool is_beside(const Figure *page, int i)
{
    return i + 1 < page->n_parts && page->parts[i + 1]->kind == FIG_BARS &&
           page->parts[i]->kind == FIG_IMAGES;
}

static bool page_width(Paper *p, const Figure *f, double *w, Err *err);
static bool sheet_page(Sheet *s, const Figure *f, Err *err);

/* A set is written as the page that figure_overview() makes of it: its width with p,
 * the page itself with s. */
static bool with_overview(Paper *p, Sheet *s, const Figure *f, double *w, Err *err)
{
    Figure *page = figure_overview(f, OVERVIEW, err);
    bool ok = page && (s ? sheet_page(s, page, err) : page_width(p, page, w, err));
    figure_free(page);
    return ok;
}

/* Tiles of small multiples: what one needs, and how many stand in a row. */
static bool tile_width(Paper *p, const Figure *f, double *w, int *per_row, Err *err)
{
    *w = TILE;
    for (int i = 0; i < f->n_parts; i++) {
        FigKind kind = f->parts[i]->kind;
        double one = kind == FIG_PLOT && !plot_is_plane(f->parts[i]) ? WIDE_TILE : TILE;
        if (kind != FIG_PLOT && kind != FIG_DIAGRAM &&
            !sheet_width(p, f->parts[i], &one, err))
            return false;
        *w = fmax(*w, one);
    }
    int fit = (int)fmax(TILES / (*w + GAP), 1);
    *per_row = f->per_row > 0 ? f->per_row : fit;
    *per_row = *per_row > f->n_parts ? f->n_parts : *per_row;
    return true;
}

/* The widest part, or the widest two that stand beside each other. */
static bool page_width(Paper *p, const Figure *f, double *w, Err *err)
{
    *w = f->n_parts > 0 ? 0 : PLOT;
    if (f->multiples && f->n_parts > 0) {
        int n;
        if (!tile_width(p, f, w, &n, err))
            return false;
        *w = *w * n + 2 * GAP * (n - 1);
        return true;
    }
    for (int i = 0; i < f->n_parts; i++) {
        double one;
        if (!sheet_width(p, f->parts[i], &one, err))
            return false;
        *w = fmax(*w, one + (is_beside(f, i) ? 2 * GAP + PLOT * 0.6 : 0));
    }
    return true;
}

bool sheet_width(Paper *p, const Figure *f, double *w, Err *err)
{
    *w = PLOT;
    switch (f->kind) {
    case FIG_IMAGES: *w = images_width(f); break;
    case FIG_HEAT: *w = heat_width(p, f); break;
    case FIG_TABLE:
    case FIG_TEXT: return cells_width(f, w, err);
    case FIG_PAGE: return page_width(p, f, w, err);
    case FIG_COMPONENTS: return with_overview(p, NULL, f, w, err);
    case FIG_PLOT:
    case FIG_BARS:
    case FIG_BIPARTITE:
    case FIG_DIAGRAM:
    case FIG_BETWEEN: break;
    }
    return true;
}

static bool sheet_common(Sheet *s, const Figure *page, Err *err)
{
    const Figure *f = multiples_common(page);
    if (!multiples_told(f, f))
        return true;
    if (f->kind == FIG_PLOT)
        sheet_legend(s, f);
    return f->kind == FIG_PLOT ||
           (f->kind == FIG_HEAT ? sheet_heat_scale(s, page, f, err)
                                : sheet_diagram_scale(s, page, f, err));
}

/* Rows of tiles that start level. On a narrower sheet than asked for they shrink. */
static bool sheet_multiples(Sheet *s, const Figure *f, Err *err)
{
    double x = s->x, room = s->room, w, end;
    int n;
    if (!tile_width(s->paper, f, &w, &n, err))
        return false;
    w = fmin(w, (room - 2 * GAP * (n - 1)) / n);
    for (int i = 0; i < f->n_parts; i += n) {
        double top = end = s->y;
        for (int k = 0; k < n && i + k < f->n_parts; k++) {
            Sheet tile = {s->paper, x + k * (w + 2 * GAP), top, w, true,
                          multiples_common(f)};
            if (!sheet_figure(&tile, f->parts[i + k], err))
                return false;
            end = fmax(end, tile.y);
        }
        s->y = end + (i + n < f->n_parts ? GAP : GAP / 2);
    }
    return sheet_common(s, f, err);
}

static bool sheet_page(Sheet *s, const Figure *f, Err *err)
{
    double x = s->x, room = s->room;
    if (f->multiples && f->n_parts > 0)
        return sheet_multiples(s, f, err);
    for (int i = 0; i < f->n_parts; i++) {
        double top = s->y, w;
        bool two = is_beside(f, i);
        if (!sheet_width(s->paper, f->parts[i], &w, err))
            return false;
        s->room = two ? fmin(w, room - 2 * GAP - PLOT * 0.4) : room;
        if (!sheet_figure(s, f->parts[i], err))
            return false;
        if (two) {
            double end = s->y;
            s->y = top;
            s->x = x + s->room + 2 * GAP;
            s->room = x + room - s->x;
            if (!sheet_figure(s, f->parts[++i], err))
                return false;
            s->y = fmax(s->y, end);
        }
        s->x = x;
        s->room = room;
        s->y += i + 1 < f->n_parts ? 1.5 * GAP : 0;
    }
    return true;
}

static bool sheet_body(Sheet *s, const Figure *f, Err *err)
{
    switch (f->kind) {
    case FIG_IMAGES: return sheet_images(s, f, err);
    case FIG_PLOT: return sheet_plot(s, f, err);
    case FIG_BARS: return sheet_bars(s, f, err);
    case FIG_DIAGRAM: return sheet_diagram(s, f, err);
    case FIG_HEAT: return sheet_heat(s, f, err);
    case FIG_BIPARTITE: return sheet_bipartite(s, f, err);
    case FIG_BETWEEN: return sheet_between(s, f, err);
    case FIG_PAGE: return sheet_page(s, f, err);
    case FIG_COMPONENTS: return with_overview(NULL, s, f, NULL, err);
    case FIG_TABLE:
    case FIG_TEXT: break;
    }
    return sheet_cells(s, f, err);
}

bool sheet_figure(Sheet *s, const Figure *f, Err *err)
{
    if (f->title) {
        Ink bold = ink_of(0, sheet_ink);
        bold.flags = TEXT_BOLD;
        sheet_words(s, f->title, bold);
        s->y += GAP / 2;
    }
    if (!intr_check(err) || !sheet_body(s, f, err))
        return false;
    if (f->caption) {
        s->y += GAP / 2;
        sheet_words(s, f->caption, ink_of(0, sheet_ink));
    }
    return true;
}

static bool run(Paper *p, const Figure *f, double room, double *height, Err *err)
{
    Sheet s = {p, MARGIN, MARGIN, room, false, NULL};
    bool ok = sheet_figure(&s, f, err) && paper_ok(p, err);
    *height = ceil(s.y + MARGIN);
    return ok;
}

/* Words in sentences need more room than a narrow table. */
static bool titled(const Figure *f)
{
    return f->title || f->caption;
}

static bool export(const Figure *f, PaperFormat format, const char *path, Err *err)
{
    double height = 0, room = 0;
    Paper *dry = paper_new(format, 0, 0, err), *p = NULL;
    bool ok = dry && sheet_width(dry, f, &room, err);
    room = ceil(fmax(room, titled(f) ? TITLED : 0));
    ok = ok && run(dry, f, room, &height, err) &&
         (p = paper_new(format, room + 2 * MARGIN, height, err)) != NULL &&
         run(p, f, room, &height, err) && paper_write(p, path, err);
    paper_free(p);
    paper_free(dry);
    return ok;
}

bool figure_png(const Figure *f, const char *path, Err *err)
{
    return export(f, PAPER_PNG, path, err);
}

bool figure_svg(const Figure *f, const char *path, Err *err)
{
    return export(f, PAPER_SVG, path, err);
}

bool figure_pdf(const Figure *f, const char *path, Err *err)
{
    return export(f, PAPER_PDF, path, err);
}
