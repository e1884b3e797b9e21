/* png.c -- figures as pictures on white paper. A sheet is laid out from top to bottom
 * by one function that runs twice: on a raster without pixels to learn the height, then
 * for good. Tables and texts are drawn to cells first and the cells painted with the
 * font. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/figure.h"
#include "figure/map.h"
#include "figure/pix.h"
#include "figure/sample.h"

enum {
    MARGIN = 24,
    GAP = 20,
    UPSCALE = 8,     /* of an image of ordinary size */
    SMALL_SIDE = 112, /* smaller images are enlarged to about this */
    LARGE_SIDE = 1024, /* larger ones are enlarged less, to stay below */
    PAGE = 1280,     /* columns of images are added up to this width */
    LEAST = 560,     /* room for the title and the scale */
    TEXT = 2,        /* font scale */
    COLUMN = FONT_W * TEXT,
    LINE = FONT_H * TEXT + 4,
    BAR_W = 256,
    BAR_H = 14,
    TABLE_COLS = 110,
};

static const Rgb paper = {255, 255, 255}, ink = {32, 32, 36}, frame = {190, 190, 190};
static const Rgb soft = {96, 96, 100};

typedef struct Sheet {
    const Figure *f;
    const ImageFacts *facts; /* [n] */
    Map map;
    Pix pix;
    int width, y;
    int k, iw, ih, slot, per_row; /* factor, image in pixels, column, images in a row */
} Sheet;

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

/* A wrapped paragraph at (x, y) in `room` pixels; returns its height. */
static int paragraph(Pix *p, int x, int y, int room, const char *text, bool bold, Rgb c)
{
    int cols = at_least(room / (COLUMN), 1), height = 0;
    while (*text) {
        int used;
        size_t skip, n = clean_line(text, cols, &used, &skip);
        pix_text(p, x, y + height, text, n, TEXT, bold, c);
        height += LINE;
        text += skip;
    }
    return height;
}

/* Missing values are hatched: no colour of a map looks like that. */
static void hatch(Pix *p, int x, int y, int k)
{
    pix_fill(p, x, y, k, k, (Rgb){200, 200, 200});
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++)
            if ((x + y + i + j) % 4 == 0)
                pix_fill(p, x + j, y + i, 1, 1, (Rgb){110, 110, 110});
}

static void paint_image(Sheet *s, int image, int x, int y)
{
    const Figure *f = s->f;
    const float *v = f->pixels + (size_t)image * (size_t)f->h * (size_t)f->w;
    if (!s->pix.rgb)
        return;
    pix_fill(&s->pix, x - 1, y - 1, s->iw + 2, s->ih + 2, frame);
    for (int i = 0; i < f->h; i++)
        for (int j = 0; j < f->w; j++) {
            double t = sample_share((double)v[(size_t)i * (size_t)f->w + (size_t)j],
                                    s->facts[image].limit);
            uint8_t c[3];
            map_rgb(s->map, t, c);
            if (isnan(t))
                hatch(&s->pix, x + j * s->k, y + i * s->k, s->k);
            else
                pix_fill(&s->pix, x + j * s->k, y + i * s->k, s->k, s->k,
                         (Rgb){c[0], c[1], c[2]});
        }
}

/* Label, oddity and own limit below an image; returns their height. */
static int paint_words(Sheet *s, int image, int x, int y)
{
    const Figure *f = s->f;
    const char *label = f->labels && f->labels[image] ? f->labels[image] : "";
    int h = paragraph(&s->pix, x, y, s->slot, label, false, ink);
    const char *odd = sample_oddity(&s->facts[image]);
    h += paragraph(&s->pix, x, y + h, s->slot, odd, true, ink);
    if (f->scale == SCALE_EACH) {
        char number[32], text[40];
        figure_number(s->facts[image].limit, number);
        snprintf(text, sizeof text, "%s%s", f->is_signed ? "\xC2\xB1" : "0..", number);
        h += paragraph(&s->pix, x, y + h, s->slot, text, false, soft);
    }
    return h;
}

static void paint_bar(Sheet *s, int x, int y)
{
    bool both = s->f->is_signed;
    pix_fill(&s->pix, x - 1, y - 1, BAR_W + 2, BAR_H + 2, frame);
    for (int i = 0; i < BAR_W; i++) {
        double t = i / (BAR_W - 1.0);
        uint8_t c[3];
        map_rgb(s->map, both ? 2 * t - 1 : t, c);
        pix_fill(&s->pix, x + i, y, 1, BAR_H, (Rgb){c[0], c[1], c[2]});
    }
}

/* Colour bar with its limits, and beside it what they are. */
static bool paint_scale(Sheet *s, Err *err)
{
    const Figure *f = s->f;
    char limit[32] = "limit", low[40], high[40];
    if (f->scale != SCALE_EACH)
        figure_number(s->facts[0].limit, limit);
    snprintf(low, sizeof low, f->is_signed ? "-%s" : "0", limit);
    snprintf(high, sizeof high, "%s%s", f->is_signed ? "+" : "", limit);
    int low_w = text_width(low) * COLUMN, high_w = text_width(high) * COLUMN;
    int x = MARGIN, y = s->y;
    pix_text(&s->pix, x, y, low, strlen(low), TEXT, false, ink);
    x += low_w + COLUMN;
    paint_bar(s, x, y);
    x += BAR_W + COLUMN;
    pix_text(&s->pix, x, y, high, strlen(high), TEXT, false, ink);
    x += high_w + 2 * COLUMN;
    if (s->width - MARGIN - x < 20 * COLUMN) { /* no room for words beside it */
        x = MARGIN;
        s->y = y += LINE + 2;
    }
    Str t;
    str_init(&t);
    sample_words(f, s->facts, &t);
    bool ok = str_ok(&t, err);
    int h = paragraph(&s->pix, x, y, s->width - MARGIN - x, t.s, false, soft);
    s->y += at_least(h, LINE);
    str_done(&t);
    return ok;
}

static bool paint_sheet(Sheet *s, Err *err)
{
    const Figure *f = s->f;
    int room = s->width - 2 * MARGIN;
    s->y = MARGIN;
    if (f->title)
        s->y += paragraph(&s->pix, MARGIN, s->y, room, f->title, true, ink) + GAP / 2;
    for (int i = 0; i < f->n; i += s->per_row) {
        int words = 0;
        if (!intr_check(err))
            return false;
        for (int k = 0; k < s->per_row && i + k < f->n; k++) {
            int x = MARGIN + k * (s->slot + GAP);
            paint_image(s, i + k, x, s->y);
            int h = paint_words(s, i + k, x, s->y + s->ih + 6);
            words = at_least(words, h);
        }
        s->y += s->ih + 6 + words + GAP / 2;
    }
    s->y += GAP / 2;
    if (!paint_scale(s, err))
        return false;
    if (f->caption) {
        s->y += GAP / 2;
        s->y += paragraph(&s->pix, MARGIN, s->y, room, f->caption, false, ink);
    }
    s->y += MARGIN - 4;
    return true;
}

static void plan_sheet(Sheet *s)
{
    const Figure *f = s->f;
    int side = at_least(f->h, f->w);
    s->k = side < SMALL_SIDE / UPSCALE ? SMALL_SIDE / side
           : side * UPSCALE > LARGE_SIDE ? at_least(LARGE_SIDE / side, 1)
                                         : UPSCALE;
    s->iw = f->w * s->k;
    s->ih = f->h * s->k;
    s->slot = at_least(s->iw, SMALL_SIDE);
    int fit = at_least((PAGE - 2 * MARGIN + GAP) / (s->slot + GAP), 1);
    s->per_row = at_most(f->per_row > 0 ? f->per_row : fit, f->n);
    int64_t w = (int64_t)s->per_row * (s->slot + GAP) - GAP;
    s->width = (int)(w < LEAST ? LEAST : w > 1 << 20 ? 1 << 20 : w) + 2 * MARGIN;
}

static bool images_png(const Figure *f, const char *path, Err *err)
{
    ImageFacts *facts = mem_array((size_t)f->n, sizeof *facts, err);
    Sheet s = {.f = f, .facts = facts, .map = {LEVEL_TRUE, true, f->is_signed}};
    bool ok = facts && sample_facts(f, facts, err);
    if (ok) {
        plan_sheet(&s);
        ok = paint_sheet(&s, err) && pix_new(s.width, s.y, paper, &s.pix, err) &&
             paint_sheet(&s, err) && pix_png(&s.pix, path, err);
    }
    pix_done(&s.pix);
    mem_free(facts);
    return ok;
}

static int used_columns(const Grid *g)
{
    int most = 1;
    for (int i = 0; i < g->rows; i++)
        for (int j = most; j < g->cols; j++)
            if (g->cell[(size_t)i * (size_t)g->cols + (size_t)j].rune != ' ')
                most = j + 1;
    return most;
}

static void paint_cell(Pix *p, const Cell *c, bool wide, int x, int y)
{
    bool turned = c->attr & CELL_REVERSE;
    if (turned)
        pix_fill(p, x, y - 2, COLUMN * (1 + wide), LINE, ink);
    if (c->rune != 0)
        pix_rune(p, x, y, c->rune, 1 + wide, TEXT, c->attr & CELL_BOLD,
                 turned ? paper : ink);
}

static bool cells_png(const Figure *f, const char *path, Err *err)
{
    const DrawStyle style = {LEVEL_TRUE, TABLE_COLS, true, true};
    Pix p = {0};
    Grid g;
    if (!figure_draw(f, &style, &g, err))
        return false;
    int w = used_columns(&g) * COLUMN + 2 * MARGIN;
    int h = g.rows * LINE + 2 * MARGIN;
    bool ok = pix_new(w, h, paper, &p, err);
    for (int i = 0; ok && i < g.rows; i++)
        for (int j = 0; j < g.cols; j++) {
            const Cell *right = grid_at(&g, i, j + 1);
            paint_cell(&p, grid_at(&g, i, j), right && right->rune == 0,
                       MARGIN + j * COLUMN, MARGIN + i * LINE);
        }
    ok = ok && pix_png(&p, path, err);
    pix_done(&p);
    grid_done(&g);
    return ok;
}

bool figure_png(const Figure *f, const char *path, Err *err)
{
    return f->kind == FIG_IMAGES ? images_png(f, path, err) : cells_png(f, path, err);
}
