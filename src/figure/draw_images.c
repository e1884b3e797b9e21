/* draw_images.c -- a page of images as cells. A cell is about twice as high as wide, so
 * one cell shows two square pixels (half blocks), or 2x2 narrow ones where an image is
 * shrunk to a thumbnail (quadrants), or one ASCII character whose ink is the average of
 * both. Sizes are tried from large to small until all images that should stand in a row
 * fit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/colour.h"
#include "figure/draw.h"
#include "figure/map.h"
#include "figure/sample.h"

enum { FULL = 28, THUMB = 14, GAP = 2, BAR = 15, BAR_MIN_WIDTH = 48, PER_CELL = 4 };

typedef enum Render { RENDER_ASCII, RENDER_HALF, RENDER_QUAD } Render;

typedef struct Page {
    const Figure *f;
    int first, end;    /* images shown */
    int max_rows;      /* of a single image's panel; 0: no limit */
    Map map;
    Render render;
    int panels;        /* 2: positive and negative part, where one cannot show both */
    int cols, rows;    /* cells of one panel */
    int across, down;  /* samples of one panel */
    int slot, per_row; /* columns of one image with all panels; images in a row */
    ImageFacts *facts; /* [n] */
    double *t;         /* [down, across] of the image at hand, a plane a channel */
} Page;

/* Sizes one panel so that its longer side has `side` pixels, or an integer multiple of
 * the image's own that is not larger. Returns how many images then fit in a row. */
static int fit_side(Page *p, int side, bool ascii, int width)
{
    const Figure *f = p->f;
    int own = at_least(f->h, f->w), k = side / own;
    int64_t w = k > 0 ? (int64_t)k * f->w : ((int64_t)f->w * side + own / 2) / own;
    int64_t h = k > 0 ? (int64_t)k * f->h : ((int64_t)f->h * side + own / 2) / own;
    p->cols = at_least((int)w, 1);
    p->rows = at_least((int)(h + 1) / 2, 1);
    p->render = ascii ? RENDER_ASCII : RENDER_HALF;
    if (!ascii && k == 0 && side <= THUMB && p->map.level == LEVEL_TRUE)
        p->render = RENDER_QUAD;
    p->across = p->render == RENDER_QUAD ? 2 * p->cols : p->cols;
    p->down = p->render == RENDER_ASCII  ? p->rows
              : p->render == RENDER_QUAD ? 2 * p->rows
                                         : at_least((int)h, 1);
    p->slot = at_least(p->panels * (p->cols + 1) - 1, THUMB);
    return at_least((width + GAP) / (p->slot + GAP), 1);
}

/* Whole groups where one fits. */
static int whole_groups(const Figure *f, int per_row)
{
    return f->group > 1 && per_row > f->group ? per_row / f->group * f->group : per_row;
}

static Map map_of(const Figure *f, const DrawStyle *style)
{
    Tone tone = f->rgb ? TONE_SHADES : f->tone;
    return (Map){style->level, style->light, f->is_signed, tone};
}

/* The colours of signed pixels take more than the few of a terminal can tell apart. */
static int panels_of(const Figure *f, const DrawStyle *style)
{
    return f->is_signed && style->level < (f->rgb ? LEVEL_256 : LEVEL_ANSI) ? 2 : 1;
}

static void choose_size(Page *p, const Canvas *c)
{
    const Figure *f = p->f;
    bool ascii = c->style.level < LEVEL_256 || !c->style.utf8;
    int room = (c->width + 1) / p->panels - 1, shown = p->end - p->first;
    int want = f->per_row > 0 ? at_most(f->per_row, shown) : shown;
    int side[] = {at_least(at_least(f->h, f->w), FULL), FULL, THUMB};
    int fit = 0;
    for (size_t i = 0; i < ARRAY_LEN(side) && c->side > 0; i++)
        side[i] = i == 0 ? c->side : at_most(side[i], c->side);
    for (size_t i = 0; i < ARRAY_LEN(side) && fit < want && p->max_rows == 0; i++)
        fit = fit_side(p, at_most(side[i], room), ascii, c->width);
    for (int s = room; p->max_rows > 0 && s > 0; s--) {
        fit = fit_side(p, s, ascii, c->width);
        if (p->rows <= p->max_rows)
            break;
    }
    p->per_row = whole_groups(f, at_most(fit, want));
}

static GridCell half_cell(Map m, double top, double bottom, bool has_bottom)
{
    GridCell c = {.rune = 0x2580, .fg = map_colour(m, top), .bg = GRID_DEFAULT};
    if (isnan(top) || (has_bottom && isnan(bottom)))
        return map_missing(m);
    if (!has_bottom)
        return c;
    c.bg = map_colour(m, bottom);
    if (c.fg == c.bg)
        c = (GridCell){.rune = ' ', .fg = GRID_DEFAULT, .bg = c.bg};
    return c;
}

/* Sum of squared differences from the mean of those of v[0..3] that `mask` picks. */
static double spread(const double v[4], unsigned mask, double *mean)
{
    double sum = 0, square = 0;
    int n = 0;
    for (int i = 0; i < 4; i++)
        if (mask >> i & 1) {
            sum += v[i];
            n++;
        }
    *mean = n > 0 ? sum / n : 0;
    for (int i = 0; i < 4; i++)
        if (mask >> i & 1)
            square += (v[i] - *mean) * (v[i] - *mean);
    return square;
}

/* Two colours for four values (upper left, upper right, lower left, lower right): the
 * split with the least spread. The lower right one is always in the background, so 8
 * splits are all. */
static GridCell quad_cell(Map m, const double v[4])
{
    static const uint16_t rune[8] = {' ',    0x2598, 0x259D, 0x2580,
                                     0x2596, 0x258C, 0x259E, 0x259B};
    double least = INFINITY, fg = 0, bg = 0;
    unsigned best = 0;
    if (isnan(v[0]) || isnan(v[1]) || isnan(v[2]) || isnan(v[3]))
        return map_missing(m);
    for (unsigned mask = 0; mask < 8; mask++) {
        double a, b;
        double s = spread(v, mask, &a) + spread(v, 15u & ~mask, &b);
        if (s < least) {
            least = s;
            best = mask;
            fg = a;
            bg = b;
        }
    }
    GridCell c = {rune[best], map_colour(m, fg), map_colour(m, bg), 0};
    if (best == 0 || c.fg == c.bg)
        c = (GridCell){.rune = ' ', .fg = GRID_DEFAULT, .bg = c.bg};
    return c;
}

/* The channels of a sample: the planes lie one behind the other. */
static void channels(const Page *p, int y, int x, double t[3])
{
    int64_t at = (int64_t)y * p->across + x, plane = (int64_t)p->down * p->across;
    for (int c = 0; c < 3; c++)
        t[c] = p->t[c * plane + at];
}

static GridCell colour_cell(const Page *p, int y, int x, int panel)
{
    double t[4][3];
    if (p->render == RENDER_QUAD) {
        for (int i = 0; i < 4; i++)
            channels(p, 2 * y + i / 2, 2 * x + i % 2, t[i]);
        return colour_quad(p->map, t);
    }
    if (p->render == RENDER_HALF) {
        bool two = 2 * y + 1 < p->down;
        channels(p, 2 * y, x, t[0]);
        if (two)
            channels(p, 2 * y + 1, x, t[1]);
        return colour_half(p->map, t[0], two ? t[1] : NULL);
    }
    channels(p, y, x, t[0]);
    return colour_ascii(p->map, t[0], panel == 1);
}

static GridCell cell_of(const Page *p, int y, int x, int panel)
{
    const double *t = p->t;
    if (p->f->rgb)
        return colour_cell(p, y, x, panel);
    if (p->render == RENDER_QUAD) {
        const double *up = t + (int64_t)2 * y * p->across + 2 * x;
        const double *low = up + p->across;
        return quad_cell(p->map, (double[4]){up[0], up[1], low[0], low[1]});
    }
    if (p->render == RENDER_HALF) {
        bool two = 2 * y + 1 < p->down;
        const double *up = t + (int64_t)2 * y * p->across + x;
        return half_cell(p->map, up[0], two ? up[p->across] : 0, two);
    }
    double v = t[(int64_t)y * p->across + x];
    if (p->panels == 2 && !isnan(v))
        v = fmax(panel == 0 ? v : -v, 0);
    return map_ascii(p->map, v);
}

static void draw_one(const Page *p, Canvas *c, int image, int row, int col)
{
    const Figure *f = p->f;
    int64_t m = (int64_t)f->h * f->w, samples = (int64_t)p->down * p->across;
    const float *from = f->pixels + (size_t)image * figure_plane(f);
    int n = f->rgb ? 3 : 1;
    for (int k = 0; k < n; k++)
        sample_area(from + k * m, f->h, f->w, p->t + k * samples, p->down, p->across);
    for (int64_t i = 0; i < n * samples; i++)
        p->t[i] = sample_share(p->t[i], p->facts[image].limit);
    for (int panel = 0; panel < p->panels; panel++)
        for (int y = 0; y < p->rows; y++)
            for (int x = 0; x < p->cols; x++) {
                int at = col + panel * (p->cols + 1) + x;
                GridCell *cell = grid_at(c->grid, row + y, at);
                if (cell)
                    *cell = cell_of(p, y, x, panel);
            }
}

/* A label cut to the slot with the oddity behind it. */
static void draw_label(const Page *p, Canvas *c, int image, int row, int col)
{
    const char *label = p->f->labels && p->f->labels[image] ? p->f->labels[image] : "";
    const char *odd = sample_oddity(&p->facts[image]);
    int odd_cols = *odd ? (int)strlen(odd) + (*label != '\0') : 0;
    int used = canvas_cut(c, row, col, label, p->slot - odd_cols, GRID_DEFAULT, 0);
    if (*odd)
        canvas_piece(c, row, col + used + (used > 0), odd, strlen(odd), CELL_BOLD);
}

static void draw_limit(const Page *p, Canvas *c, int image, int row, int col)
{
    char number[32], text[40];
    figure_number(p->facts[image].limit, number);
    snprintf(text, sizeof text, "%s%s", p->f->is_signed ? "+/-" : "0..", number);
    canvas_piece(c, row, col, text, strlen(text), CELL_DIM);
}

static bool draw_row(const Page *p, Canvas *c, int first, bool labels, Err *err)
{
    bool limits = p->f->scale == SCALE_EACH, signs = p->panels == 2;
    if (!canvas_need(c, signs + p->rows + labels + limits, err))
        return false;
    for (int k = 0; k < p->per_row && first + k < p->end; k++) {
        int col = k * (p->slot + GAP), row = c->row;
        if (signs) {
            canvas_piece(c, row, col, "+", 1, 0);
            canvas_piece(c, row++, col + p->cols + 1, "-", 1, 0);
        }
        draw_one(p, c, first + k, row, col);
        row += p->rows;
        if (labels)
            draw_label(p, c, first + k, row++, col);
        if (limits)
            draw_limit(p, c, first + k, row, col);
    }
    c->row += signs + p->rows + labels + limits;
    return true;
}

/* "-0.21 [colours] +0.21  shared: ...": the numbers say what full colour means. */
static bool draw_scale(const Page *p, Canvas *c, Err *err)
{
    const Figure *f = p->f;
    bool both = f->is_signed && p->panels == 1, bar = c->width >= BAR_MIN_WIDTH;
    bool inked = p->render == RENDER_ASCII && !(f->rgb && c->style.level >= LEVEL_256);
    Map map = p->map;
    map.is_signed = map.is_signed && !(f->rgb && inked); /* the ink of a panel */
    char limit[32] = "limit";
    Str t;
    str_init(&t);
    if (f->scale != SCALE_EACH)
        figure_number(p->facts[0].limit, limit);
    if (bar)
        str_addf(&t, "%s%s ", both ? "-" : "0", both ? limit : "");
    int at = (int)t.len, row = c->row;
    if (bar)
        str_addf(&t, "%*s %s%s  ", BAR, "", both ? "+" : "", limit);
    else
        str_addf(&t, "%s%s ", f->is_signed ? "+/-" : "0..", limit);
    sample_words(f, p->facts, &t);
    if (f->rgb && both)
        str_add(&t, "; grey is 0");
    if (p->panels == 2)
        str_add(&t, "; left panel +, right panel -");
    else if (both && !bar && f->rgb)
        str_add(&t, ", bright +, dark -");
    else if (both && !bar)
        str_addf(&t, "; red +, %s -",
                 c->style.level == LEVEL_ANSI && !c->style.light ? "cyan" : "blue");
    bool ok = str_ok(&t, err) && canvas_text(c, t.s, 0, err);
    for (int i = 0; ok && bar && i < BAR; i++) {
        GridCell *cell = grid_at(c->grid, row, at + i);
        double v = both ? (i - BAR / 2) / (double)(BAR / 2) : i / (double)(BAR - 1);
        if (cell && inked)
            *cell = map_ascii(map, v);
        else if (cell)
            cell->bg = map_colour(map, v);
    }
    str_done(&t);
    return ok;
}

static bool draw_page(Page *p, Canvas *c, Err *err)
{
    bool labels = p->f->labels != NULL;
    for (int i = p->first; i < p->end; i++)
        labels = labels || *sample_oddity(&p->facts[i]);
    for (int i = p->first; i < p->end; i += p->per_row) {
        if (!intr_check(err) || !draw_row(p, c, i, labels, err))
            return false;
        c->row += labels || p->f->scale == SCALE_EACH; /* blank line */
    }
    if (c->bare) {
        c->row -= labels || p->f->scale == SCALE_EACH;
        return true;
    }
    return canvas_need(c, 1, err) && draw_scale(p, c, err);
}

int figure_per_row(const Figure *f, const DrawStyle *style)
{
    Canvas c = {.style = *style,
                .width = at_least(style->width, 20),
                .side = style->side};
    Page p = {.f = f, .end = f->n, .map = map_of(f, style)};
    p.panels = panels_of(f, style);
    choose_size(&p, &c);
    return at_least(p.per_row, 1);
}

int figure_row_at(const Figure *f, const DrawStyle *style, int side)
{
    Page p = {.f = f, .map = map_of(f, style)};
    bool ascii = style->level < LEVEL_256 || !style->utf8;
    p.panels = panels_of(f, style);
    int room = at_least((style->width + 1) / p.panels - 1, 1);
    return fit_side(&p, at_most(side, room), ascii, style->width);
}

bool draw_images(Canvas *c, const Figure *f, int only, int max_rows, Err *err)
{
    Page p = {.f = f, .map = map_of(f, &c->style)};
    p.panels = panels_of(f, &c->style);
    p.first = only < 0 ? 0 : only;
    p.end = only < 0 ? f->n : only + 1;
    if (only >= 0) /* signs, label, limit, blank, and two lines of scale */
        p.max_rows = at_least(max_rows - 6, 1);
    choose_size(&p, c);
    bool ok = false;
    p.t = mem_array((size_t)p.down * (size_t)p.across, (f->rgb ? 3 : 1) * sizeof *p.t,
                    err);
    p.facts = p.t ? mem_array((size_t)f->n, sizeof *p.facts, err) : NULL;
    if (p.facts)
        ok = sample_facts(f, p.facts, err) && draw_page(&p, c, err);
    mem_free(p.facts);
    mem_free(p.t);
    return ok;
}
