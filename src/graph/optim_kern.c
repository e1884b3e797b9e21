/* optim_kern.c -- see optim_kern.h. Written on vectors of the variant's width; a ragged
 * end goes through the same vector code on a padded copy, so a lane's arithmetic is one
 * and the same everywhere. Every multiply-add is spelled as vfma() and no product feeds
 * a plain addition: the compiler has no freedom to contract differently in the fused
 * and in the plain form. */
#include "graph/optim_kern.h"

#include <stdbool.h>

#include "graph/vec_kern.h"

/* Columns of X that stay in the first-level cache, for all rows of the batch
 * together. */
enum { TILE_BYTES = 32768 };
/* Pieces of weights from this size on (they come in 16 pieces) are fetched that far
 * ahead. */
enum { FAR_BYTES = 512 << 10, FETCH_BYTES = 4096 };

typedef struct Coef {
    vec scale, l2, keep, beta1, beta2, rest1, rest2, minus_rate, inv_sqrt, eps;
} Coef;

static Coef coef_of(const StepCoef *c)
{
    return (Coef){
        .scale = splat(c->scale),
        .l2 = splat(c->l2),
        .keep = splat(c->keep),
        .beta1 = splat(c->beta1),
        .beta2 = splat(c->beta2),
        .rest1 = splat(1 - c->beta1),
        .rest2 = splat(1 - c->beta2),
        .minus_rate = splat(-c->rate),
        .inv_sqrt = splat(c->inv_sqrt),
        .eps = splat(c->eps),
    };
}

typedef struct Lane {
    vec w, m, v;
} Lane;

ALWAYS Lane update(StepKind kind, const Coef *c, vec g, Lane x)
{
    g = vfma(c->l2, x.w, g * c->scale);
    vec w = x.w * c->keep;
    if (kind == STEP_SGD) {
        x.w = vfma(c->minus_rate, g, w);
    } else if (kind == STEP_MOMENTUM) {
        x.m = vfma(c->beta1, x.m, g);
        x.w = vfma(c->minus_rate, x.m, w);
    } else {
        x.m = vfma(c->beta1, x.m, c->rest1 * g);
        x.v = vfma(c->beta2, x.v, c->rest2 * g * g);
        vec denominator = vfma(vsqrt(x.v), c->inv_sqrt, c->eps);
        x.w = vfma(c->minus_rate, x.m / denominator, w);
    }
    return x;
}

/* Pointers to one place of a weight; those that the kind lacks are not looked at. */
typedef struct Place {
    real *w, *m, *v;
} Place;

ALWAYS Place place(StepMem mem, int64_t i)
{
    return (Place){(real *)mem.w + i, mem.m ? (real *)mem.m + i : NULL,
                   mem.v ? (real *)mem.v + i : NULL};
}

ALWAYS void apply(StepKind kind, const Coef *c, vec g, Place p, int64_t i)
{
    Lane x = {load(p.w + i), kind >= STEP_MOMENTUM ? load(p.m + i) : (vec){0},
              kind == STEP_ADAM ? load(p.v + i) : (vec){0}};
    x = update(kind, c, g, x);
    store(p.w + i, x.w);
    if (kind >= STEP_MOMENTUM)
        store(p.m + i, x.m);
    if (kind == STEP_ADAM)
        store(p.v + i, x.v);
}

ALWAYS void apply_part(StepKind kind, const Coef *c, vec g, Place p, int64_t i,
                       int64_t n)
{
    Lane x = {load_part(p.w + i, n), kind >= STEP_MOMENTUM ? load_part(p.m + i, n) : g,
              kind == STEP_ADAM ? load_part(p.v + i, n) : g};
    x = update(kind, c, g, x);
    store_part(p.w + i, x.w, n);
    if (kind >= STEP_MOMENTUM)
        store_part(p.m + i, x.m, n);
    if (kind == STEP_ADAM)
        store_part(p.v + i, x.v, n);
}

/* One core alone does not ask for memory early enough without being told. */
ALWAYS void fetch(StepKind kind, Place p, int64_t i)
{
    for (int u = 0; u < 4; u++) {
        int64_t at = i + FETCH_BYTES / (int64_t)sizeof(real) + u * LANES;
        __builtin_prefetch(p.w + at, 1);
        if (kind >= STEP_MOMENTUM)
            __builtin_prefetch(p.m + at, 1);
        if (kind == STEP_ADAM)
            __builtin_prefetch(p.v + at, 1);
    }
}

ALWAYS void step_any(StepKind kind, bool far, const StepCoef *sc, StepMem mem,
                     const void *gv, int64_t first, int64_t n)
{
    const Coef c = coef_of(sc);
    const real *g = (const real *)gv + first;
    Place p = place(mem, first);
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        if (far)
            fetch(kind, p, i);
        for (int u = 0; u < 4; u++)
            apply(kind, &c, load(g + i + u * LANES), p, i + u * LANES);
    }
    for (; i + LANES <= n; i += LANES)
        apply(kind, &c, load(g + i), p, i);
    if (i < n)
        apply_part(kind, &c, load_part(g + i, n - i), p, i, n - i);
}

/* ---- weight gradient ------------------------------------------------------------- */

typedef struct Column { /* one row of dW: the batch's dY at one output, and X */
    vec dy[DW_MAX_BATCH];
    const real *x;
    int64_t B, I;
} Column;

ALWAYS void load_column(Column *k, const real *dy, int64_t O, int64_t o)
{
    for (int64_t b = 0; b < k->B; b++)
        k->dy[b] = dy[b * O + o] - (vec){0};
}

ALWAYS vec dot(const Column *k, int64_t i)
{
    vec acc = {0};
    const real *x = k->x + i;
    for (int64_t b = 0; b < k->B; b++, x += k->I)
        acc = vfma(k->dy[b], load(x), acc);
    return acc;
}

ALWAYS void dot4(const Column *k, int64_t i, vec acc[4])
{
    const real *x = k->x + i;
    vec a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};
    for (int64_t b = 0; b < k->B; b++, x += k->I) {
        a0 = vfma(k->dy[b], load(x), a0);
        a1 = vfma(k->dy[b], load(x + LANES), a1);
        a2 = vfma(k->dy[b], load(x + 2 * LANES), a2);
        a3 = vfma(k->dy[b], load(x + 3 * LANES), a3);
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

ALWAYS vec dot_part(const Column *k, int64_t i, int64_t n)
{
    vec acc = {0};
    const real *x = k->x + i;
    for (int64_t b = 0; b < k->B; b++, x += k->I)
        acc = vfma(k->dy[b], load_part(x, n), acc);
    return acc;
}

static int64_t tile_columns(int64_t B)
{
    return TILE_BYTES / (int64_t)sizeof(real) / B / (4 * LANES) * (4 * LANES);
}

static void dw_rows(int64_t B, int64_t O, int64_t I, const void *dy, const void *x,
                    void *dw, int64_t first, int64_t n)
{
    Column k = {.x = x, .B = B, .I = I};
    int64_t tile = B ? tile_columns(B) : I;
    for (int64_t i0 = 0; i0 < I; i0 += tile) {
        int64_t end = i0 + tile < I ? i0 + tile : I;
        for (int64_t o = first; o < first + n; o++) {
            real *out = (real *)dw + o * I;
            int64_t i = i0;
            load_column(&k, dy, O, o);
            for (; i + 4 * LANES <= end; i += 4 * LANES) {
                vec acc[4];
                dot4(&k, i, acc);
                for (int u = 0; u < 4; u++)
                    store(out + i + u * LANES, acc[u]);
            }
            for (; i + LANES <= end; i += LANES)
                store(out + i, dot(&k, i));
            if (i < end)
                store_part(out + i, dot_part(&k, i, end - i), end - i);
        }
    }
}

ALWAYS void step_dw_any(StepKind kind, bool far, const StepCoef *sc, StepMem mem,
                        int64_t B, int64_t O, int64_t I, const void *dy, const void *x,
                        int64_t first, int64_t n)
{
    const Coef c = coef_of(sc);
    Column k = {.x = x, .B = B, .I = I};
    int64_t tile = B ? tile_columns(B) : I;
    for (int64_t i0 = 0; i0 < I; i0 += tile) {
        int64_t end = i0 + tile < I ? i0 + tile : I;
        for (int64_t o = first; o < first + n; o++) {
            Place p = place(mem, o * I);
            int64_t i = i0;
            load_column(&k, dy, O, o);
            for (; i + 4 * LANES <= end; i += 4 * LANES) {
                vec acc[4];
                dot4(&k, i, acc);
                if (far)
                    fetch(kind, p, i);
                for (int u = 0; u < 4; u++)
                    apply(kind, &c, acc[u], p, i + u * LANES);
            }
            for (; i + LANES <= end; i += LANES)
                apply(kind, &c, dot(&k, i), p, i);
            if (i < end)
                apply_part(kind, &c, dot_part(&k, i, end - i), p, i, end - i);
        }
    }
}

#define STEP(name, kind)                                                               \
    static void name(const StepCoef *c, StepMem mem, const void *g, int64_t first,     \
                     int64_t n)                                                        \
    {                                                                                  \
        if (n * (int64_t)sizeof(real) >= FAR_BYTES)                                    \
            step_any(kind, true, c, mem, g, first, n);                                 \
        else                                                                           \
            step_any(kind, false, c, mem, g, first, n);                                \
    }                                                                                  \
    static void name##_dw(const StepCoef *c, StepMem mem, int64_t B, int64_t O,        \
                          int64_t I, const void *dy, const void *x, int64_t first,     \
                          int64_t n)                                                   \
    {                                                                                  \
        if (n * I * (int64_t)sizeof(real) >= FAR_BYTES)                                \
            step_dw_any(kind, true, c, mem, B, O, I, dy, x, first, n);                 \
        else                                                                           \
            step_dw_any(kind, false, c, mem, B, O, I, dy, x, first, n);                \
    }

STEP(sgd, STEP_SGD)
STEP(momentum, STEP_MOMENTUM)
STEP(adam, STEP_ADAM)

/* Lanes in double, combined in order: a block's sum does not depend on the others. */
static double sum_squares(const void *xv, int64_t n)
{
    const real *x = xv;
    double lane[16] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (int k = 0; i < n; i++, k++)
        lane[k] += (double)x[i] * (double)x[i];
    for (int k = 0; k < 16; k++)
        sum += lane[k];
    return sum;
}

const OptimTable KERN(optim_table) = {
    .step = {sgd, momentum, adam},
    .dw = dw_rows,
    .step_dw = {sgd_dw, momentum_dw, adam_dw},
    .sum_squares = sum_squares,
};
