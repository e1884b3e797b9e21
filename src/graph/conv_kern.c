/* conv_kern.c -- tiles of a few planes by two vectors whose sums stay in registers: a
 * vector of the input is loaded once for all planes of the tile, a weight once for both
 * vectors. The order of the sums is that of the planes and taps, whatever the tile. */
#include "graph/conv_kern.h"

#include "graph/vec_kern.h"

/* A result of TILE planes by two vectors, from plane j and element q on. */
typedef struct Spot {
    const ConvFlat *c;
    const real *x, *w, *bias;
    real *y;
    int64_t J, j, q;
} Spot;

ALWAYS void flat_tile(const Spot *s, int planes)
{
    const ConvFlat *c = s->c;
    vec sum[8][2];
    for (int k = 0; k < planes; k++) {
        real b = s->bias && s->j + k < c->n_out ? s->bias[s->j + k] : 0;
        sum[k][0] = sum[k][1] = b + (vec){0};
    }
    const real *w = s->w + s->j;
    for (int64_t i = 0; i < c->n_in; i++) {
        const real *plane = s->x + i * c->in_stride + s->q;
        for (int64_t t = 0; t < c->taps; t++, w += s->J) {
            const real *x = plane + c->at[t];
            vec a = load(x), b = load(x + LANES);
            for (int k = 0; k < planes; k++) {
                vec v = w[k] + (vec){0};
                sum[k][0] = vfma(v, a, sum[k][0]);
                sum[k][1] = vfma(v, b, sum[k][1]);
            }
        }
    }
    for (int k = 0; k < planes && s->j + k < c->n_out; k++) {
        real *y = s->y + (s->j + k) * c->out_stride + s->q;
        store(y, sum[k][0]);
        store(y + LANES, sum[k][1]);
    }
}

static void KERN(flat)(const ConvFlat *c, const void *x, const void *w,
                       const void *bias, void *y)
{
    Spot s = {.c = c, .x = x, .w = w, .bias = bias, .y = y};
    s.J = (c->n_out + CONV_TILE - 1) / CONV_TILE * CONV_TILE;
    int64_t end = (c->length + CONV_STRIP - 1) / CONV_STRIP * CONV_STRIP;
#if defined(__AVX512F__)
    for (; s.j + 8 <= s.J; s.j += 8)
        for (s.q = 0; s.q < end; s.q += 2 * LANES)
            flat_tile(&s, 8);
#endif
    for (; s.j < s.J; s.j += CONV_TILE)
        for (s.q = 0; s.q < end; s.q += 2 * LANES)
            flat_tile(&s, CONV_TILE);
}

/* What a weight gradient reads: planes of dy and columns of x. */
typedef struct Weigh {
    const real *dy, *x;
    real *dw;
    int64_t dy_stride, end, columns;
    int64_t off[4];
} Weigh;

/* planes rows and `wide` columns of dw at once, from row j and column n on. */
ALWAYS void weigh_tile(const Weigh *g, int planes, int wide, int64_t j, int64_t n)
{
    vec sum[4][4];
    const real *dy = g->dy + j * g->dy_stride;
    for (int k = 0; k < planes; k++)
        for (int m = 0; m < wide; m++)
            sum[k][m] = (vec){0};
    for (int64_t q = 0; q < g->end; q += LANES) {
        vec a[4];
        for (int k = 0; k < planes; k++)
            a[k] = load(dy + k * g->dy_stride + q);
        for (int m = 0; m < wide; m++) {
            vec b = load(g->x + g->off[m] + q);
            for (int k = 0; k < planes; k++)
                sum[k][m] = vfma(a[k], b, sum[k][m]);
        }
    }
    for (int k = 0; k < planes; k++)
        for (int m = 0; m < wide; m++)
            g->dw[(j + k) * g->columns + n + m] += vsum(sum[k][m]);
}

ALWAYS void weigh_column(const Weigh *g, int wide, int64_t rows, int64_t n)
{
    int64_t j = 0;
    for (; j + 4 <= rows; j += 4)
        weigh_tile(g, 4, wide, j, n);
    if (j + 2 <= rows) {
        weigh_tile(g, 2, wide, j, n);
        j += 2;
    }
    if (j < rows)
        weigh_tile(g, 1, wide, j, n);
}

#if defined(__AVX512F__)
enum { WIDE = 4 };
#else
enum { WIDE = 2 };
#endif

static void KERN(weigh)(const ConvFlat *c, const void *x, const void *dy, void *dw)
{
    Weigh g = {.dy = dy, .x = x, .dw = dw, .dy_stride = c->out_stride};
    g.columns = c->n_in * c->taps;
    g.end = (c->length + CONV_STRIP - 1) / CONV_STRIP * CONV_STRIP;
    for (int64_t n = 0; n < g.columns;) {
        int wide = g.columns - n >= WIDE ? WIDE : 1;
        for (int m = 0; m < wide; m++)
            g.off[m] = (n + m) / c->taps * c->in_stride + c->at[(n + m) % c->taps];
        if (wide == WIDE)
            weigh_column(&g, WIDE, c->n_out, n);
        else
            weigh_column(&g, 1, c->n_out, n);
        n += wide;
    }
}

static void KERN(pack)(const ConvFlat *c, const int64_t *tap, int64_t all_taps,
                       int swap, const void *wp, void *dp)
{
    const real *w = wp;
    real *d = dp;
    int64_t J = (c->n_out + CONV_TILE - 1) / CONV_TILE * CONV_TILE;
    for (int64_t i = 0; i < c->n_in; i++)
        for (int64_t t = 0; t < c->taps; t++)
            for (int64_t j = 0; j < J; j++) {
                int64_t plane = swap ? i * c->n_out + j : j * c->n_in + i;
                *d++ = j < c->n_out ? w[plane * all_taps + tap[t]] : 0;
            }
}

static void KERN(move)(int64_t n, const void *sp, int64_t from, void *dp, int64_t to)
{
    const real *s = sp;
    real *d = dp;
    if (from == 1 && to == 1)
        memcpy(d, s, (size_t)n * sizeof *d);
    else
        for (int64_t k = 0; k < n; k++)
            d[k * to] = s[k * from];
}

static void KERN(add)(int64_t n, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        y[k] += x[k];
}

const ConvTable KERN(conv_table) = {
    .flat = KERN(flat),
    .weigh = KERN(weigh),
    .pack = KERN(pack),
    .move = KERN(move),
    .add = KERN(add),
};
