/* draw_heat.c -- a matrix with names. Cells are as wide as the width allows; from six
 * columns on the number stands in them. A matrix that is too wide or too high is
 * averaged like an image, and names then stand where their first row or column is.
 * Without colour a sign stands beside the ink, or, where a cell has one column only,
 * negative ink is in reverse video. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/draw.h"
#include "figure/map.h"
#include "figure/multiples.h"

enum { NUMBER = 7, MOST_ROWS = 64, UPRIGHT = 8, BAR = 15 };

typedef struct Heat {
    const Figure *f;
    Map map;
    ImageFacts facts;
    int name;               /* columns of the names of rows */
    int across, down, each; /* samples, and columns of a sample */
    double *t;              /* [down, across] */
} Heat;

static void plan(Heat *h, const Canvas *c)
{
    const Figure *f = h->f;
    int longest = 0;
    for (int i = 0; i < f->h; i++)
        h->name = at_least(h->name, clean_width(f->left[i]));
    for (int j = 0; j < f->w; j++)
        longest = at_least(longest, clean_width(f->right[j]));
    h->name = at_most(h->name, c->width / 3);
    int room = c->width - h->name - (h->name > 0);
    h->across = at_most(f->w, room);
    h->down = at_most(f->h, MOST_ROWS);
    int widest = at_least(NUMBER + 1, at_most(longest + 1, 12));
    h->each = at_most(room / h->across, widest);
    if (h->each < NUMBER && h->each > 2 && longest < h->each)
        h->each = at_least(longest + 1, 2);
}

/* A number in at most NUMBER - 1 characters: the sign, and digits as there is room. */
static void short_number(double v, char dst[32])
{
    for (int digits = 3; digits > 0; digits--) {
        if (isfinite(v))
            figure_digits(v, digits, dst);
        else
            figure_number(v, dst);
        if (strlen(dst) < NUMBER)
            return;
    }
}

static bool is_bright(int32_t colour)
{
    int r = colour >> 16 & 255, g = colour >> 8 & 255, b = colour & 255;
    return 299 * r + 587 * g + 114 * b > 128000;
}

/* Ink that can be read on the colour of t: the map's lightness is the same for both
 * signs, so its positive side decides for all levels. */
static int32_t ink_on(Map m, double t)
{
    uint8_t c[3];
    map_rgb(m, fabs(t), c);
    bool bright = is_bright(GRID_RGB(c[0], c[1], c[2]));
    if (m.level == LEVEL_256)
        return bright ? 16 : 231;
    return bright ? GRID_RGB(0, 0, 0) : GRID_RGB(255, 255, 255);
}

static void draw_value(const Heat *h, Canvas *c, int i, int j, int at)
{
    const Figure *f = h->f;
    double t = h->t[(size_t)i * (size_t)h->across + (size_t)j];
    bool colour = canvas_fine(c), whole = h->across == f->w && h->down == f->h;
    GridCell ink = isnan(t) ? map_missing(h->map) : map_ascii(h->map, t);
    char text[32] = "";
    if (h->each >= NUMBER && whole && !isnan(t))
        short_number((double)f->pixels[(size_t)i * (size_t)f->w + (size_t)j], text);
    for (int k = 0; k < h->each; k++) {
        GridCell *cell = grid_at(c->grid, c->row, at + k);
        if (!cell)
            continue;
        if (colour && !isnan(t))
            *cell = (GridCell){' ', ink_on(h->map, t), map_colour(h->map, t), 0};
        else if (colour || h->each == 1)
            *cell = ink;
        if (!colour && h->each == 1 && h->map.level == LEVEL_MONO && t < 0)
            cell->attr = CELL_REVERSE;
        if (!colour && h->each > 1 && *text == '\0' && k > 0 && k < at_most(h->each, 3))
            *cell = ink;
    }
    if (!colour && h->each > 1 && *text == '\0' && f->is_signed && ink.rune != ' ' &&
        !isnan(t))
        canvas_put(c, c->row, at, t < 0 ? '-' : '+', ink.fg);
    int n = (int)strlen(text), start = at + (h->each - n) / 2;
    for (int k = 0; k < n; k++) {
        GridCell *cell = grid_at(c->grid, c->row, start + k);
        if (cell)
            cell->rune = (unsigned char)text[k];
        if (cell && !colour)
            cell->fg = ink.fg;
    }
}

static int first_of(int64_t k, int n, int shown)
{
    return (int)(k * n / shown);
}

static bool draw_row(const Heat *h, Canvas *c, int i, Err *err)
{
    int at = h->name + (h->name > 0);
    if (!canvas_need(c, 1, err) || !intr_check(err))
        return false;
    canvas_cut(c, c->row, 0, h->f->left[first_of(i, h->f->h, h->down)], h->name,
               GRID_DEFAULT, 0);
    for (int j = 0; j < h->across; j++)
        draw_value(h, c, i, j, at + j * h->each);
    c->row++;
    return true;
}

/* Rune k of a name, for names written downwards. */
static uint32_t rune_at(const char *s, int k)
{
    size_t left = strlen(s);
    for (int col = 0; left > 0;) {
        Glyph g;
        size_t n = glyph_next(s, left, col, &g);
        for (int i = 0; i < g.n; i++, k--)
            if (k == 0)
                return g.width == g.n ? g.rune[i] : '?';
        col += g.width;
        s += n;
        left -= n;
    }
    return ' ';
}

static bool draw_column_names(const Heat *h, Canvas *c, Err *err)
{
    const Figure *f = h->f;
    int longest = 0, at = h->name + (h->name > 0);
    for (int j = 0; j < f->w; j++)
        longest = at_least(longest, clean_width(f->right[j]));
    if (longest == 0)
        return true;
    bool flat = longest < h->each || h->each > UPRIGHT;
    int height = flat ? 1 : at_most(longest, UPRIGHT);
    if (!canvas_need(c, height, err))
        return false;
    for (int j = 0; j < h->across; j++) {
        const char *s = f->right[first_of(j, f->w, h->across)];
        int col = at + j * h->each, used = at_most(clean_width(s), h->each - 1);
        if (flat)
            canvas_cut(c, c->row, col + (h->each - used) / 2, s, h->each - 1,
                       GRID_DEFAULT, 0);
        for (int k = 0; !flat && k < height; k++)
            canvas_put(c, c->row + k, col + h->each / 2, rune_at(s, k), GRID_DEFAULT);
    }
    c->row += height;
    return true;
}

static bool draw_words(const Heat *h, Canvas *c, Err *err)
{
    const Figure *f = h->f;
    char limit[32];
    Str t;
    str_init(&t);
    figure_number(h->facts.limit, limit);
    int at = 0, row = c->row;
    if (canvas_fine(c)) { /* room for the colour bar */
        str_addf(&t, "%s%s ", f->is_signed ? "-" : "0", f->is_signed ? limit : "");
        at = (int)t.len;
        str_addf(&t, "%*s %s%s  ", BAR, "", f->is_signed ? "+" : "", limit);
    } else {
        str_addf(&t, "%s%s ", f->is_signed ? "+/-" : "0..", limit);
    }
    sample_words(f, &h->facts, &t);
    if (h->facts.zero)
        str_add(&t, "; zero");
    if (h->across < f->w || h->down < f->h)
        str_addf(&t, "; %d x %d averaged to %d x %d", f->h, f->w, h->down, h->across);
    if (h->map.level == LEVEL_MONO && f->is_signed && h->each == 1)
        str_add(&t, "; reversed: negative");
    bool ok = str_ok(&t, err) && canvas_text(c, t.s, 0, err);
    for (int i = 0; ok && at > 0 && i < BAR; i++) {
        GridCell *cell = grid_at(c->grid, row, at + i);
        double v =
            f->is_signed ? (i - BAR / 2) / (double)(BAR / 2) : i / (double)(BAR - 1);
        if (cell)
            cell->bg = map_colour(h->map, v);
    }
    str_done(&t);
    return ok;
}

/* What the scale below all tiles cannot say of this one. */
static bool draw_averaged(const Heat *h, Canvas *c, Err *err)
{
    const Figure *f = h->f;
    char text[80];
    snprintf(text, sizeof text, "%d x %d averaged to %d x %d", f->h, f->w, h->down,
             h->across);
    return (h->across == f->w && h->down == f->h) || canvas_text(c, text, 0, err);
}

bool draw_heat(Canvas *c, const Figure *f, Err *err)
{
    Heat h = {
        .f = f, .map = {c->style.level, c->style.light, f->is_signed, f->tone}
    };
    if (!sample_facts(f, &h.facts, err))
        return false;
    plan(&h, c);
    int64_t n = (int64_t)h.down * h.across;
    h.t = mem_array((size_t)n, sizeof *h.t, err);
    if (!h.t)
        return false;
    sample_area(f->pixels, f->h, f->w, h.t, h.down, h.across);
    for (int64_t i = 0; i < n; i++)
        h.t[i] = sample_share(h.t[i], h.facts.limit);
    bool ok = draw_column_names(&h, c, err);
    for (int i = 0; ok && i < h.down; i++)
        ok = draw_row(&h, c, i, err);
    ok = ok && (multiples_told(c->common, f) ? draw_averaged(&h, c, err)
                                             : draw_words(&h, c, err));
    mem_free(h.t);
    return ok;
}

bool draw_heat_scale(Canvas *c, const Figure *page, const Figure *f, Err *err)
{
    Heat h = {
        .f = f, .map = {c->style.level, c->style.light, f->is_signed, f->tone}
    };
    if (!multiples_facts(page, f, &h.facts, err))
        return false;
    h.across = f->w;
    h.down = f->h;
    return draw_words(&h, c, err);
}
