/* ansi.c -- one pass that moves the rest of the line together. */
#include "ui/ansi.h"

#include <string.h>

enum { NUMBERS = 16, LONGEST = 64 };

/* The numbers of "ESC [ 1 ; 31 m" at s; the sequence's length, 0: it is none. */
static size_t numbers_of(const char *s, int *v, int *n)
{
    size_t i = 2;
    *n = 0;
    v[0] = 0;
    if (s[0] != 033 || s[1] != '[')
        return 0;
    for (; i < LONGEST && ((s[i] >= '0' && s[i] <= '9') || s[i] == ';'); i++) {
        if (s[i] == ';') {
            if (++*n == NUMBERS)
                return 0;
            v[*n] = 0;
        } else if (v[*n] < 1000) {
            v[*n] = v[*n] * 10 + (s[i] - '0');
        }
    }
    if (s[i] != 'm')
        return 0;
    ++*n;
    return i + 1;
}

/* A colour behind 38 or 48; how many numbers it took. */
static int long_colour(const int *v, int n, int32_t *colour)
{
    if (n >= 2 && v[0] == 5 && v[1] < 256) {
        *colour = v[1];
        return 2;
    }
    if (n >= 4 && v[0] == 2 && v[1] < 256 && v[2] < 256 && v[3] < 256) {
        *colour = GRID_RGB(v[1], v[2], v[3]);
        return 4;
    }
    return n;
}

static void change(Look *k, const int *v, int n)
{
    for (int i = 0; i < n; i++) {
        int a = v[i];
        if (a == 0)
            *k = (Look){GRID_DEFAULT, GRID_DEFAULT, 0};
        else if (a == 1)
            k->attr |= CELL_BOLD;
        else if (a == 2)
            k->attr |= CELL_DIM;
        else if (a == 7)
            k->attr |= CELL_REVERSE;
        else if (a == 22)
            k->attr &= (uint8_t) ~(CELL_BOLD | CELL_DIM);
        else if (a == 27)
            k->attr &= (uint8_t)~CELL_REVERSE;
        else if (a == 38)
            i += long_colour(v + i + 1, n - i - 1, &k->fg);
        else if (a == 48)
            i += long_colour(v + i + 1, n - i - 1, &k->bg);
        else if (a == 39)
            k->fg = GRID_DEFAULT;
        else if (a == 49)
            k->bg = GRID_DEFAULT;
        else if ((a >= 30 && a <= 37) || (a >= 90 && a <= 97))
            k->fg = a < 90 ? a - 30 : a - 90 + 8;
        else if ((a >= 40 && a <= 47) || (a >= 100 && a <= 107))
            k->bg = a < 100 ? a - 40 : a - 100 + 8;
    }
}

int ansi_take(char *line, AnsiSpan *span, int max)
{
    Look k = {GRID_DEFAULT, GRID_DEFAULT, 0};
    int v[NUMBERS + 1], n, spans = 0;
    char *to = strchr(line, 033);
    if (!to)
        return 0;
    for (const char *s = to; *s;) {
        size_t len = numbers_of(s, v, &n);
        if (len == 0) {
            *to++ = *s++;
            continue;
        }
        s += len;
        if (spans < max) {
            change(&k, v, n);
            span[spans++] = (AnsiSpan){(size_t)(to - line), k};
        }
    }
    *to = '\0';
    return spans;
}
