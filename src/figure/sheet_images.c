/* sheet_images.c -- pages of images, and cells (tables and texts) in a font of fixed
 * width, on paper. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/sample.h"
#include "figure/sheet.h"

enum {
    UPSCALE = 8,       /* of an image of ordinary size, in pixels of a PNG */
    SMALL_SIDE = 112,  /* smaller images are enlarged to about this */
    LARGE_SIDE = 1024, /* larger ones are enlarged less, to stay below */
    PAGE = 1280,       /* columns of images are added up to this width */
    TALL = 24000,      /* and beyond it where the page would be higher than this */
    TABLE_COLS = 110,
};
#define GAP    10.0
#define LEAST  280.0 /* room for the title and the scale */
#define COLUMN 6.0   /* a character of a table */

typedef struct Layout {
    int k, per_row; /* factor in pixels; images in a row */
    double w, h, slot;
} Layout;

static Layout plan(const Figure *f)
{
    Layout l = {.k = UPSCALE};
    int side = f->h > f->w ? f->h : f->w;
    double gap = GAP * PAPER_SCALE;
    if (side < SMALL_SIDE / UPSCALE)
        l.k = SMALL_SIDE / side;
    else if (side * UPSCALE > LARGE_SIDE)
        l.k = LARGE_SIDE / side > 1 ? LARGE_SIDE / side : 1;
    /* thousands of images: smaller, as long as that helps */
    while (l.k > 1 && (double)f->n * (f->w * l.k + gap) * (f->h * l.k + 3 * gap) > 1e8)
        l.k--;
    l.w = (double)f->w * l.k / PAPER_SCALE;
    l.h = (double)f->h * l.k / PAPER_SCALE;
    l.slot = fmax(l.w, (double)SMALL_SIDE / PAPER_SCALE);
    double fit = floor(((double)PAGE / PAPER_SCALE - 14) / (l.slot + GAP));
    double wide = ceil(f->n * (l.h + 4 * GAP) * PAPER_SCALE / TALL);
    double want = f->per_row > 0 ? f->per_row : fmax(fmax(fit, wide), 1);
    l.per_row = want < f->n ? (int)want : f->n;
    return l;
}

double images_width(const Figure *f)
{
    Layout l = plan(f);
    return fmax(l.per_row * (l.slot + GAP) - GAP, LEAST);
}

/* Label, oddity and own limit below an image; returns their height. */
static double image_words(Sheet *s, const Figure *f, const ImageFacts *a, int i,
                          double x, double y, double room)
{
    Ink ink = ink_of(0, sheet_ink), bold = ink;
    const char *label = f->labels && f->labels[i] ? f->labels[i] : "";
    bold.flags = TEXT_BOLD;
    double h = paper_wrap(s->paper, x, y, room, label, ink);
    h += paper_wrap(s->paper, x, y + h, room, sample_oddity(a), bold);
    if (f->scale == SCALE_EACH) {
        char number[32], text[40];
        figure_number(a->limit, number);
        snprintf(text, sizeof text, "%s%s", f->is_signed ? "\xC2\xB1" : "0..", number);
        h += paper_wrap(s->paper, x, y + h, room, text, ink_of(0, sheet_soft));
    }
    return h;
}

static bool image_rows(Sheet *s, const Figure *f, const ImageFacts *facts, Err *err)
{
    Layout l = plan(f);
    /* beside something else there may be less room than the page wanted */
    int fit = (int)floor((s->room + GAP) / (l.slot + GAP) + 1e-9);
    int per_row = fit < 1 ? 1 : fit < l.per_row ? fit : l.per_row;
    if (f->group > 1 && per_row > f->group)
        per_row = per_row / f->group * f->group;
    size_t m = figure_plane(f);
    s->y = ceil(s->y * PAPER_SCALE) / PAPER_SCALE; /* whole pixels stay sharp */
    for (int i = 0; i < f->n; i += per_row) {
        double words = 0;
        for (int k = 0; k < per_row && i + k < f->n; k++) {
            double x = s->x + k * (l.slot + GAP);
            if (!intr_check(err) ||
                !sheet_matrix(s, f, f->pixels + (size_t)(i + k) * m, facts[i + k].limit,
                              l.k, x, s->y, err))
                return false;
            words = fmax(words, image_words(s, f, &facts[i + k], i + k, x,
                                            s->y + l.h + 3, l.slot));
        }
        s->y += l.h + 3 + words + GAP / 2; /* all of them multiples of half a unit */
    }
    return true;
}

bool sheet_images(Sheet *s, const Figure *f, Err *err)
{
    ImageFacts *facts = mem_array((size_t)f->n, sizeof *facts, err);
    Str t;
    str_init(&t);
    bool ok = facts && sample_facts(f, facts, err) && image_rows(s, f, facts, err);
    if (ok) {
        char limit[32] = "limit";
        if (f->scale != SCALE_EACH)
            figure_number(facts[0].limit, limit);
        s->y += GAP / 2;
        sample_words(f, facts, &t);
        if (f->rgb && f->is_signed)
            str_add(&t, "; grey is 0");
        sheet_bar(s, sheet_map(f), limit, t.s);
        ok = str_ok(&t, err);
    }
    str_done(&t);
    mem_free(facts);
    return ok;
}

/* --- tables and texts --- */

static int used_columns(const Grid *g)
{
    int most = 1;
    for (int i = 0; i < g->rows; i++)
        for (int j = most; j < g->cols; j++)
            if (g->cell[(size_t)i * (size_t)g->cols + (size_t)j].rune != ' ')
                most = j + 1;
    return most;
}

/* The frame draws title and caption. */
static bool body_cells(const Figure *f, int cols, Grid *g, Err *err)
{
    const DrawStyle style = {
        .level = LEVEL_TRUE, .width = cols, .light = true, .utf8 = true};
    Figure body = *f;
    body.title = body.caption = NULL;
    return figure_draw(&body, &style, g, err);
}

bool cells_width(const Figure *f, double *w, Err *err)
{
    Grid g;
    if (!body_cells(f, TABLE_COLS, &g, err))
        return false;
    *w = used_columns(&g) * COLUMN;
    grid_done(&g);
    return true;
}

static bool paint_cell(Sheet *s, const GridCell *c, double x, double y, double w,
                       Err *err)
{
    bool turned = c->attr & CELL_REVERSE;
    Ink ink = {
        SHEET_FONT, TEXT_MONO, 0, turned ? (Rgb){255, 255, 255}
             : sheet_ink
    };
    Str t;
    if (c->attr & CELL_BOLD)
        ink.flags |= TEXT_BOLD;
    if (turned)
        paper_fill(s->paper, x, y, w, paper_leading(ink), sheet_ink);
    if (c->rune == 0x2500) { /* a rule without gaps */
        paper_fill(s->paper, x, y + 6, w, 0.5, sheet_soft);
        return true;
    }
    str_init(&t);
    str_add_rune(&t, c->rune);
    paper_text(s->paper, x, y, t.s, ink);
    bool ok = str_ok(&t, err);
    str_done(&t);
    return ok;
}

bool sheet_cells(Sheet *s, const Figure *f, Err *err)
{
    Grid g;
    int cols = (int)(s->room / COLUMN + 0.5);
    double line = paper_leading(ink_of(0, sheet_ink));
    if (!body_cells(f, cols < TABLE_COLS ? cols : TABLE_COLS, &g, err))
        return false;
    bool ok = true;
    for (int i = 0; ok && i < g.rows && !paper_is_dry(s->paper); i++)
        for (int j = 0; ok && j < g.cols; j++) {
            const GridCell *c = grid_at(&g, i, j), *right = grid_at(&g, i, j + 1);
            bool wide = right && right->rune == 0;
            if (c->rune != 0 && (c->rune != ' ' || c->attr & CELL_REVERSE))
                ok = paint_cell(s, c, s->x + j * COLUMN, s->y + i * line,
                                COLUMN * (1 + wide), err);
        }
    s->y += g.rows * line;
    grid_done(&g);
    return ok;
}
