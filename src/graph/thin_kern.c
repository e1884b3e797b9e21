/* thin_kern.c -- two rows of w against up to ROWS rows of x at a time: every element of
 * w is loaded once and multiplied ROWS times, every element of x is used twice per
 * load, and the sums stay in registers. */
#include "graph/thin_kern.h"

#include <stdbool.h>

#include "graph/vec_kern.h"

#if defined(__AVX512F__)
enum { ROWS = 8 }; /* 16 sums in 32 registers */
#else
enum { ROWS = 4 }; /* 8 sums in 16 registers */
#endif

typedef struct Thin {
    const real *x, *w, *b;
    real *y;
    int64_t O, I;
} Thin;

/* Two columns (one, if not `two`) of `rows` rows of y. */
ALWAYS void pair(const Thin *t, int rows, bool two, int64_t b0, int64_t o)
{
    vec s0[ROWS], s1[ROWS];
    const real *x = t->x + b0 * t->I, *w0 = t->w + o * t->I, *w1 = two ? w0 + t->I : w0;
    int64_t i = 0;
    for (int b = 0; b < rows; b++)
        s0[b] = s1[b] = (vec){0};
    for (; i + LANES <= t->I; i += LANES) {
        vec a0 = load(w0 + i), a1 = load(w1 + i);
        __builtin_prefetch(w0 + i + 2 * t->I);
        __builtin_prefetch(w1 + i + 2 * t->I);
        for (int b = 0; b < rows; b++) {
            vec v = load(x + b * t->I + i);
            s0[b] = vfma(a0, v, s0[b]);
            if (two)
                s1[b] = vfma(a1, v, s1[b]);
        }
    }
    if (i < t->I) {
        vec a0 = load_part(w0 + i, t->I - i), a1 = load_part(w1 + i, t->I - i);
        for (int b = 0; b < rows; b++) {
            vec v = load_part(x + b * t->I + i, t->I - i);
            s0[b] = vfma(a0, v, s0[b]);
            if (two)
                s1[b] = vfma(a1, v, s1[b]);
        }
    }
    for (int b = 0; b < rows; b++) {
        real *y = t->y + (b0 + b) * t->O + o;
        y[0] = vsum(s0[b]) + (t->b ? t->b[o] : 0);
        if (two)
            y[1] = vsum(s1[b]) + (t->b ? t->b[o + 1] : 0);
    }
}

ALWAYS void block(const Thin *t, int rows, int64_t b0, int64_t first, int64_t n)
{
    int64_t o = first;
    for (; o + 2 <= first + n; o += 2)
        pair(t, rows, true, b0, o);
    if (o < first + n)
        pair(t, rows, false, b0, o);
}

/* One copy of the loops per number of rows, so that the sums are registers. */
static void rows_block(const Thin *t, int64_t rows, int64_t b0, int64_t first,
                       int64_t n)
{
    switch (rows) {
#if defined(__AVX512F__)
    case 8: block(t, 8, b0, first, n); break;
    case 7: block(t, 7, b0, first, n); break;
    case 6: block(t, 6, b0, first, n); break;
    case 5: block(t, 5, b0, first, n); break;
#endif
    case 4: block(t, 4, b0, first, n); break;
    case 3: block(t, 3, b0, first, n); break;
    case 2: block(t, 2, b0, first, n); break;
    default: block(t, 1, b0, first, n); break;
    }
}

/* A strip of w that stays in the cache while the blocks of x pass over it. */
enum { STRIP_BYTES = 131072 };

static void linear(int64_t B, int64_t O, int64_t I, const void *x, const void *w,
                   const void *b, void *y, int64_t first, int64_t n)
{
    const Thin t = {.x = x, .w = w, .b = b, .y = y, .O = O, .I = I};
    int64_t strip = STRIP_BYTES / (int64_t)sizeof(real) / (I > 0 ? I : 1) / 2 * 2;
    strip = strip < 2 ? 2 : strip;
    for (int64_t o = first; o < first + n; o += strip) {
        int64_t m = first + n - o < strip ? first + n - o : strip;
        for (int64_t b0 = 0; b0 < B; b0 += ROWS)
            rows_block(&t, B - b0 < ROWS ? B - b0 : ROWS, b0, o, m);
    }
}

const ThinTable KERN(thin_table) = {.linear = linear};
