/* clean.c -- one decoder (glyph_next) that all drawing, measuring and wrapping share,
 * so that what is measured is what is drawn. Lines are found in one pass that remembers
 * the last blank. */
#include "figure/clean.h"

#include <string.h>

enum { TAB = 8, REPLACEMENT = 0xFFFD };

/* Zero width and not a combining mark: joiners, direction marks, tags, variation
 * selectors stay invisible on purpose, so they are made visible. */
static bool is_format(uint32_t r)
{
    return r == 0xAD || r == 0x61C || r == 0x180E || (r >= 0x600 && r <= 0x605) ||
           (r >= 0x200B && r <= 0x200F) || (r >= 0x2028 && r <= 0x202E) ||
           (r >= 0x2060 && r <= 0x206F) || r == 0xFEFF ||
           (r >= 0xFFF9 && r <= 0xFFFB) || (r >= 0x1BCA0 && r <= 0x1BCA3) ||
           (r >= 0x1D173 && r <= 0x1D17A) || (r >= 0xE0000 && r <= 0xE0FFF);
}

size_t glyph_next(const char *s, size_t n, int col, Glyph *g)
{
    uint32_t r;
    size_t len = (size_t)utf8_next(s, n, &r);
    bool real = len == 3 && memcmp(s, "\xEF\xBF\xBD", 3) == 0; /* U+FFFD written out */
    *g = (Glyph){.rune = {r}, .n = 1, .width = 1};
    if (r == '\t') {
        g->rune[0] = ' ';
        g->width = TAB - col % TAB;
    } else if (r < 0x20 || r == 0x7F) {
        *g = (Glyph){{'^', r ^ 0x40}, 2, 2, true};
    } else if ((r >= 0x80 && r < 0xA0) || is_format(r) || (r == REPLACEMENT && !real)) {
        g->rune[0] = REPLACEMENT;
        g->odd = true;
    } else {
        int w = rune_width(r);
        if (w < 0) {
            g->rune[0] = REPLACEMENT;
            g->odd = true;
        } else {
            g->width = w;
            g->n = w > 0;
        }
    }
    return len;
}

int clean_width(const char *s)
{
    int cols = 0;
    size_t left = strlen(s);
    Glyph g;
    while (left > 0) {
        size_t len = glyph_next(s, left, cols, &g);
        cols += g.width;
        s += len;
        left -= len;
    }
    return cols;
}

int clean_extent(const char *s)
{
    int cols = 0, most = 0;
    size_t left = strlen(s);
    Glyph g;
    while (left > 0) {
        size_t len = glyph_next(s, left, cols, &g);
        cols = *s == '\n' ? 0 : cols + g.width;
        most = cols > most ? cols : most;
        s += len;
        left -= len;
    }
    return most;
}

size_t clean_line(const char *s, int cols, int *used, size_t *skip)
{
    size_t left = strlen(s), at = 0;
    size_t show = 0;             /* end of the last word that fits */
    size_t gap = 0, gap_end = 0; /* the blanks before the word we are in */
    int col = 0, show_col = 0, gap_col = 0;
    while (at < left && s[at] != '\n') {
        Glyph g;
        size_t len = glyph_next(s + at, left - at, col, &g);
        bool blank = s[at] == ' ' || s[at] == '\t';
        if (!blank && col + g.width > cols && at > 0) {
            bool in_word = show == at && gap > 0;
            *used = in_word ? gap_col : show_col;
            *skip = in_word ? gap_end : at;
            return in_word ? gap : show;
        }
        if (!blank && show < at) {
            gap = show;
            gap_col = show_col;
            gap_end = at;
        }
        at += len;
        col += g.width;
        if (!blank) {
            show = at;
            show_col = col;
        }
    }
    *used = show_col;
    *skip = at < left ? at + 1 : at;
    return show;
}

void clean_text(const char *s, size_t n, Str *out)
{
    Glyph g;
    while (n > 0) {
        size_t len = glyph_next(s, n, 0, &g);
        if (*s == '\n' || *s == '\t')
            str_addc(out, *s);
        else if (g.n == 0)
            str_addn(out, s, len);
        for (int i = 0; i < g.n && *s != '\n' && *s != '\t'; i++)
            str_add_rune(out, g.rune[i]);
        s += len;
        n -= len;
    }
}
