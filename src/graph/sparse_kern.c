/* sparse_kern.c -- see sparse_kern.h. A row is scanned in runs of 16 elements, most of
 * which hold nothing; what is found of many rows is listed, and the list drives sums in
 * registers over panels of columns of the dense factor: a panel of all its rows stays
 * in the second-level cache while the list passes over it. Sizes of elements are
 * compared as integers: the bits of floats that are not negative are in their order. */
#include "graph/sparse_kern.h"

#include "graph/vec_kern.h"

enum {
    RUN = 16,
    ENTRIES = 8192, /* that are worked on together */
    GROUP = 512,    /* and the rows they may come from */
    PANEL = 8 * LANES,
    KEY_SHIFT = 8 * (int)sizeof(real) - 13
};

ALWAYS int_of_real key_of(real x, int sign)
{
    int_of_real u;
    memcpy(&u, &x, sizeof u);
    if (sign)
        return u & (int_of_real)(((uint64_t)1 << (8 * sizeof u - 1)) - 1);
    return u > 0 ? u : 0;
}

#if defined(__AVX512F__) && !defined(KERN_F64)
/* first + the places of set bits; writes 16 values, returns how many count. */
ALWAYS int put_places(__mmask16 k, int first, int32_t *to)
{
    const __m512i lane =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i place = _mm512_add_epi32(lane, _mm512_set1_epi32(first));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(k, place));
    return __builtin_popcount(k);
}
#endif

/* ---- selection ------------------------------------------------------------------- */

static void bins(int64_t n, const void *xp, int sign, int64_t every, int32_t *bin)
{
    const real *x = xp;
    for (int64_t i = 0; i < n; i += RUN * every) {
        int64_t m = n - i < RUN ? n - i : RUN;
        for (int64_t k = 0; k < m; k++)
            bin[key_of(x[i + k], sign) >> KEY_SHIFT]++;
    }
}

static int64_t candidates(int64_t first, int64_t n, const void *xp, int sign, int bin,
                          void *yp, int32_t *place)
{
    const real *x = xp;
    const int_of_real least = (int_of_real)bin << KEY_SHIFT;
    int64_t found = 0;
    int64_t i = first;
    memset((real *)yp + first, 0, (size_t)n * sizeof *x);
#if defined(__AVX512F__) && !defined(KERN_F64)
    for (; i + RUN <= first + n; i += RUN) {
        __m512i u = _mm512_loadu_si512(x + i);
        u = sign ? _mm512_and_si512(u, _mm512_set1_epi32(0x7fffffff))
                 : _mm512_max_epi32(u, _mm512_setzero_si512());
        __m512 v = _mm512_loadu_ps(x + i);
        found += put_places(_mm512_cmpge_epi32_mask(u, _mm512_set1_epi32(least)) |
                                _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
                            (int)i, place + found);
    }
#endif
    for (; i < first + n; i += RUN) {
        int64_t m = first + n - i < RUN ? first + n - i : RUN;
        int_of_real any = 0;
        for (int64_t k = 0; k < m; k++)
            any |= (key_of(x[i + k], sign) >= least) | (x[i + k] != x[i + k]);
        for (int64_t k = 0; any && k < m; k++) {
            place[found] = (int32_t)(i + k);
            found += (key_of(x[i + k], sign) >= least) | (x[i + k] != x[i + k]);
        }
    }
    return found;
}

/* The largest t that at least k of the keys reach, bit by bit. */
static int_of_real kth_key(int64_t n, const int_of_real *key, int64_t k)
{
    int_of_real t = 0;
    for (int bit = (int)(8 * sizeof t) - 2; bit >= 0; bit--) {
        int_of_real trial = t | (int_of_real)1 << bit, count = 0;
        for (int64_t i = 0; i < n; i++)
            count += key[i] >= trial;
        t = count >= k ? trial : t;
    }
    return t;
}

static void pick(int64_t n, const int32_t *place, const void *xp, int sign, int64_t k,
                 void *keyp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    int_of_real *key = keyp;
    for (int64_t i = 0; i < n; i++)
        key[i] = key_of(x[place[i]], sign);
    int_of_real t = k < n ? kth_key(n, key, k) : 0;
    for (int64_t i = 0; i < n; i++)
        k -= key[i] > t;
    for (int64_t i = 0; i < n; i++)
        if (key[i] > t || (key[i] == t && t > 0 && k-- > 0) ||
            x[place[i]] != x[place[i]])
            y[place[i]] = x[place[i]];
}

static void topk(int64_t rows, int64_t M, const void *xp, int sign, int64_t most,
                 const void *limit, void *yp)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = (const real *)xp + r * M;
        real *y = (real *)yp + r * M;
        int64_t k = most;
        if (limit) {
            double own = (double)((const real *)limit)[r];
            k = own < (double)most ? (own > 0 ? (int64_t)(own + 0.5) : 0) : most;
        }
        int_of_real t = 0, above = 0;
        for (int64_t i = 0; i < M; i++)
            above += key_of(x[i], sign) > 0;
        int first = k > 0 && above > k ? (int)(8 * sizeof t) - 2 : -1;
        above = 0;
        for (int bit = first; bit >= 0; bit--) {
            int_of_real trial = t | (int_of_real)1 << bit, count = 0;
            for (int64_t i = 0; i < M; i++)
                count += key_of(x[i], sign) >= trial;
            t = count >= k ? trial : t;
        }
        for (int64_t i = 0; i < M; i++)
            above += key_of(x[i], sign) > t;
        int64_t ties = k - above;
        for (int64_t i = 0; i < M; i++) {
            int_of_real key = key_of(x[i], sign);
            int keep = k > 0 && (key > t || (key == t && t > 0 && ties-- > 0));
            y[i] = keep || x[i] != x[i] ? x[i] : 0;
        }
    }
}

/* ---- products -------------------------------------------------------------------- */

/* Places of elements that are not 0, from *at on, at most cap; list has room for RUN
 * more. *at moves on. */
ALWAYS int scan(const real *f, int64_t M, int64_t *at, int cap, int32_t *list)
{
    int n = 0;
    int64_t i = *at;
    for (; i + RUN <= M && n + RUN <= cap; i += RUN) {
#if defined(__AVX512F__) && !defined(KERN_F64)
        n += put_places(_mm512_cmp_ps_mask(_mm512_loadu_ps(f + i), _mm512_setzero_ps(),
                                           _CMP_NEQ_UQ),
                        (int)i, list + n);
#else
        int_of_real any = 0;
        for (int k = 0; k < RUN; k++)
            any |= f[i + k] != 0;
        for (int k = 0; any && k < RUN; k++) {
            list[n] = (int32_t)(i + k);
            n += f[i + k] != 0;
        }
#endif
    }
    for (; i + RUN > M && i < M && n < cap; i++)
        if (f[i] != 0)
            list[n++] = (int32_t)i;
    *at = i;
    return n;
}

/* What is not 0 in some rows of f, from a place in one row to a place in another. */
typedef struct Group {
    int rows;
    int64_t row[GROUP];
    int begin[GROUP + 1];
    int32_t place[ENTRIES + RUN];
    real value[ENTRIES];
} Group;

/* From column *at of row *r on, which both move on. */
static void collect(Group *g, int64_t rows, int64_t M, const real *f, int64_t *r,
                    int64_t *at)
{
    int n = 0;
    g->rows = 0;
    while (*r < rows && g->rows < GROUP && n + RUN <= ENTRIES) {
        const real *row = f + *r * M;
        int found = scan(row, M, at, ENTRIES - n, g->place + n);
        g->row[g->rows] = *r;
        g->begin[g->rows++] = n;
        for (int k = n; k < n + found; k++)
            g->value[k] = row[g->place[k]];
        n += found;
        if (*at < M)
            break;
        *at = 0;
        ++*r;
    }
    g->begin[g->rows] = n;
}

/* y[0..V vectors) += sum of value * row of w. */
#define GATHER(V)                                                                      \
    ALWAYS void gather_##V(int n, const int32_t *place, const real *value, int64_t O,  \
                           const real *w, real *y)                                     \
    {                                                                                  \
        vec s[V];                                                                      \
        for (int v = 0; v < V; v++)                                                    \
            s[v] = load(y + v * LANES);                                                \
        for (int i = 0; i < n; i++) {                                                  \
            const real *p = w + place[i] * O;                                          \
            vec a = value[i] - (vec){0};                                               \
            for (int v = 0; v < V; v++)                                                \
                s[v] = vfma(a, load(p + v * LANES), s[v]);                             \
        }                                                                              \
        for (int v = 0; v < V; v++)                                                    \
            store(y + v * LANES, s[v]);                                                \
    }
GATHER(8)
GATHER(4)
GATHER(1)

/* The same for a panel of n_cols columns. */
ALWAYS void gather(int n, const int32_t *place, const real *value, int64_t O,
                   int64_t n_cols, const real *w, real *y)
{
    int64_t o = 0;
    if (n_cols == PANEL) {
        gather_8(n, place, value, O, w, y);
        return;
    }
    for (; o + 4 * LANES <= n_cols; o += 4 * LANES)
        gather_4(n, place, value, O, w + o, y + o);
    for (; o + LANES <= n_cols; o += LANES)
        gather_1(n, place, value, O, w + o, y + o);
    if (o < n_cols) {
        vec s = load_part(y + o, n_cols - o);
        for (int i = 0; i < n; i++)
            s = vfma(value[i] - (vec){0}, load_part(w + place[i] * O + o, n_cols - o),
                     s);
        store_part(y + o, s, n_cols - o);
    }
}

ALWAYS int64_t panel_at(int64_t O, int64_t o)
{
    return O - o < PANEL ? O - o : PANEL;
}

static void decode(int64_t rows, int64_t M, int64_t O, const void *f, const void *w,
                   const void *b, void *yp)
{
    Group g;
    real *y = yp;
    for (int64_t r = 0; r < rows; r++)
        if (b)
            memcpy(y + r * O, b, (size_t)O * sizeof *y);
        else
            memset(y + r * O, 0, (size_t)O * sizeof *y);
    for (int64_t r = 0, at = 0; r < rows;) {
        collect(&g, rows, M, f, &r, &at);
        for (int64_t o = 0; o < O; o += PANEL)
            for (int k = 0; k < g.rows; k++)
                gather(g.begin[k + 1] - g.begin[k], g.place + g.begin[k],
                       g.value + g.begin[k], O, panel_at(O, o), (const real *)w + o,
                       y + g.row[k] * O + o);
    }
}

ALWAYS real dot(int64_t O, const real *a, const real *b)
{
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int64_t o = 0;
    for (; o + 4 * LANES <= O; o += 4 * LANES) {
        s0 = vfma(load(a + o), load(b + o), s0);
        s1 = vfma(load(a + o + LANES), load(b + o + LANES), s1);
        s2 = vfma(load(a + o + 2 * LANES), load(b + o + 2 * LANES), s2);
        s3 = vfma(load(a + o + 3 * LANES), load(b + o + 3 * LANES), s3);
    }
    for (; o + LANES <= O; o += LANES)
        s0 = vfma(load(a + o), load(b + o), s0);
    if (o < O)
        s1 = vfma(load_part(a + o, O - o), load_part(b + o, O - o), s1);
    return vsum((s0 + s1) + (s2 + s3));
}

static void df(int64_t rows, int64_t M, int64_t O, const void *f, const void *wp,
               const void *dyp, void *dfp)
{
    Group g;
    const real *w = wp, *dy = dyp;
    real *d = dfp;
    memset(d, 0, (size_t)(rows * M) * sizeof *d);
    for (int64_t r = 0, at = 0; r < rows;) {
        collect(&g, rows, M, f, &r, &at);
        memset(g.value, 0, (size_t)g.begin[g.rows] * sizeof *g.value);
        for (int64_t o = 0; o < O; o += PANEL)
            for (int k = 0; k < g.rows; k++)
                for (int i = g.begin[k]; i < g.begin[k + 1]; i++)
                    g.value[i] += dot(panel_at(O, o), dy + g.row[k] * O + o,
                                      w + g.place[i] * O + o);
        for (int k = 0; k < g.rows; k++)
            for (int i = g.begin[k]; i < g.begin[k + 1]; i++)
                d[g.row[k] * M + g.place[i]] = g.value[i];
    }
}

typedef struct Strip {
    int64_t O;
    const real *x;
    real *y; /* [n,O] */
    int n, found;
    int32_t row[ENTRIES + RUN], lane[ENTRIES + RUN];
    real value[ENTRIES + RUN], sum[SPARSE_STRIP];
} Strip;

/* Adds the entries, which are in the order of rows, lane after lane. */
static void strip_add(Strip *s)
{
    int32_t place[ENTRIES];
    real value[ENTRIES];
    int end[SPARSE_STRIP + 1] = {0}, next[SPARSE_STRIP];
    for (int i = 0; i < s->found; i++)
        end[s->lane[i] + 1]++;
    for (int k = 0; k < s->n; k++)
        end[k + 1] += end[k];
    memcpy(next, end, sizeof next);
    for (int i = 0; i < s->found; i++) {
        int to = next[s->lane[i]]++;
        place[to] = s->row[i];
        value[to] = s->value[i];
        s->sum[s->lane[i]] += s->value[i];
    }
    for (int64_t o = 0; o < s->O; o += PANEL)
        for (int k = 0; k < s->n; k++)
            gather(end[k + 1] - end[k], place + end[k], value + end[k], s->O,
                   panel_at(s->O, o), s->x + o, s->y + k * s->O + o);
    s->found = 0;
}

static void dw(int64_t rows, int64_t M, int64_t O, const void *fp, const void *x,
               const void *c, int64_t first, int64_t n, void *yp)
{
    Strip s = {.O = O, .x = x, .y = (real *)yp + first * O, .n = (int)n};
    memset(s.y, 0, (size_t)(n * O) * sizeof *s.y);
    for (int64_t r = 0; r < rows; r++) {
        const real *f = (const real *)fp + r * M + first;
        int64_t at = 0;
        if (s.found + SPARSE_STRIP > ENTRIES)
            strip_add(&s);
        int k = s.found, more = scan(f, n, &at, SPARSE_STRIP + RUN, s.lane + k);
        for (; k < s.found + more; k++) {
            s.row[k] = (int32_t)r;
            s.value[k] = f[s.lane[k]];
        }
        s.found += more;
    }
    strip_add(&s);
    for (int k = 0; c && k < s.n; k++)
        for (int64_t o = 0; o < O; o++)
            s.y[k * O + o] -= s.sum[k] * ((const real *)c)[o];
}

/* ---- the rest -------------------------------------------------------------------- */

static int64_t count(int64_t n, const void *xp)
{
    const real *x = xp;
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        found += x[i] != 0;
    return found;
}

static void pass(int64_t n, const void *dyp, const void *fp, void *yp)
{
    const real *dy = dyp, *f = fp;
    real *y = yp;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = f[i] != 0 ? dy[i] : 0;
}

static void marks(int64_t rows, int64_t M, const void *fp, int64_t first, int64_t n,
                  void *yp)
{
    real *y = yp;
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t r = 0; r < rows; r++) {
        const real *f = (const real *)fp + r * M + first;
#pragma omp simd
        for (int64_t m = 0; m < n; m++)
            y[m] = f[m] != 0 ? 1 : y[m];
    }
}

static void minus(int64_t rows, int64_t O, const void *xp, const void *cp, void *yp)
{
    const real *c = cp;
    for (int64_t r = 0; r < rows; r++) {
        const real *x = (const real *)xp + r * O;
        real *y = (real *)yp + r * O;
#pragma omp simd
        for (int64_t o = 0; o < O; o++)
            y[o] = x[o] - c[o];
    }
}

static void tangent(int64_t rows, int64_t O, const void *gp, const void *wp, void *yp)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *g = (const real *)gp + r * O, *w = (const real *)wp + r * O;
        real *y = (real *)yp + r * O, square = dot(O, w, w);
        real along = square > 0 ? dot(O, g, w) / square : 0;
#pragma omp simd
        for (int64_t o = 0; o < O; o++)
            y[o] = g[o] - along * w[o];
    }
}

static void unit(int64_t rows, int64_t O, void *wp)
{
    for (int64_t r = 0; r < rows; r++) {
        real *w = (real *)wp + r * O, square = dot(O, w, w);
        real k = square > 0 ? 1 / (real)sqrt((double)square) : 1;
#pragma omp simd
        for (int64_t o = 0; o < O; o++)
            w[o] *= k;
    }
}

const SparseTable KERN(sparse_table) = {
    .bins = bins,
    .candidates = candidates,
    .pick = pick,
    .topk = topk,
    .decode = decode,
    .df = df,
    .dw = dw,
    .count = count,
    .pass = pass,
    .marks = marks,
    .minus = minus,
    .tangent = tangent,
    .unit = unit,
};
