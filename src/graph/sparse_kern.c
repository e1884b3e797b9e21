/* sparse_kern.c -- see sparse_kern.h. A row is scanned in runs of 16 elements, most of
 * which hold nothing; what is found is listed, and the list drives sums in registers
 * over the columns of the dense factor. Sizes of elements are compared as integers:
 * the bits of floats that are not negative are in their order. */
#include "graph/sparse_kern.h"

#include "graph/vec_kern.h"

enum {
    RUN = 16,
    LIST = 512,    /* elements of a row that are worked on together */
    ENTRIES = 4096, /* of a strip */
    KEY_SHIFT = 8 * (int)sizeof(real) - 13
};
typedef struct Entry {
    int32_t row;
    int32_t lane;
    real value;
} Entry;

ALWAYS int_of_real key_of(real x, int sign)
{
    int_of_real u;
    memcpy(&u, &x, sizeof u);
    if (sign)
        return u & (int_of_real)(((uint64_t)1 << (8 * sizeof u - 1)) - 1);
    return u > 0 ? u : 0;
}

/* ---- selection ------------------------------------------------------------------- */

static void bins(int64_t n, const void *xp, int sign, int32_t *bin)
{
    const real *x = xp;
    for (int64_t i = 0; i < n; i += RUN) {
        int_of_real key[RUN];
        int64_t m = n - i < RUN ? n - i : RUN;
        for (int64_t k = 0; k < m; k++)
            key[k] = key_of(x[i + k], sign) >> KEY_SHIFT;
        for (int64_t k = 0; k < m; k++)
            if (key[k]) /* the lowest bin is what the others leave */
                bin[key[k]]++;
    }
}

static int64_t split(int64_t first, int64_t n, const void *xp, int sign, int bin,
                     void *yp, int32_t *place)
{
    const real *x = xp;
    real *y = yp;
    int64_t found = 0;
    for (int64_t i = first; i < first + n; i += RUN) {
        int64_t m = first + n - i < RUN ? first + n - i : RUN;
        int_of_real any = 0;
        for (int64_t k = 0; k < m; k++) {
            int_of_real at = key_of(x[i + k], sign) >> KEY_SHIFT;
            y[i + k] = at > bin ? x[i + k] : 0;
            any |= at == bin;
        }
        for (int64_t k = 0; any && k < m; k++) {
            place[found] = (int32_t)(i + k);
            found += (key_of(x[i + k], sign) >> KEY_SHIFT) == bin;
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
    if (k <= 0)
        return;
    for (int64_t i = 0; i < n; i++)
        key[i] = key_of(x[place[i]], sign);
    int_of_real t = k < n ? kth_key(n, key, k) : 0;
    for (int64_t i = 0; i < n; i++)
        k -= key[i] > t;
    for (int64_t i = 0; i < n; i++)
        if (key[i] > t || (key[i] == t && t > 0 && k-- > 0))
            y[place[i]] = x[place[i]];
}

static void topk(int64_t rows, int64_t M, const void *xp, int sign, int64_t k, void *yp)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = (const real *)xp + r * M;
        real *y = (real *)yp + r * M;
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
            y[i] = keep ? x[i] : 0;
        }
    }
}

/* ---- products -------------------------------------------------------------------- */

/* Places of elements that are not 0, from *at on, at most LIST; *at moves on. */
ALWAYS int scan(const real *f, int64_t M, int64_t *at, int32_t *list)
{
    int n = 0;
    int64_t i = *at;
    for (; i + RUN <= M && n + RUN <= LIST; i += RUN) {
        int_of_real any = 0;
        for (int k = 0; k < RUN; k++)
            any |= f[i + k] != 0;
        for (int k = 0; any && k < RUN; k++) {
            list[n] = (int32_t)(i + k);
            n += f[i + k] != 0;
        }
    }
    for (; i + RUN > M && i < M && n < LIST; i++)
        if (f[i] != 0)
            list[n++] = (int32_t)i;
    *at = i;
    return n;
}

/* y[0..width) += sum over the list of value * row, for V vectors. */
#define GATHER(V)                                                                      \
    ALWAYS void gather_##V(int n, const int64_t *row, const real *value, const real *w,\
                           real *y)                                                    \
    {                                                                                  \
        vec s[V];                                                                      \
        for (int v = 0; v < V; v++)                                                    \
            s[v] = load(y + v * LANES);                                                \
        for (int i = 0; i < n; i++) {                                                  \
            const real *p = w + row[i];                                                \
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

static void gather(int n, const int64_t *row, const real *value, int64_t O,
                   const real *w, real *y)
{
    int64_t o = 0;
    for (; o + 8 * LANES <= O; o += 8 * LANES)
        gather_8(n, row, value, w + o, y + o);
    for (; o + 4 * LANES <= O; o += 4 * LANES)
        gather_4(n, row, value, w + o, y + o);
    for (; o + LANES <= O; o += LANES)
        gather_1(n, row, value, w + o, y + o);
    if (o < O) {
        vec s = load_part(y + o, O - o);
        for (int i = 0; i < n; i++)
            s = vfma(value[i] - (vec){0}, load_part(w + row[i] + o, O - o), s);
        store_part(y + o, s, O - o);
    }
}

static void decode(int64_t rows, int64_t M, int64_t O, const void *fp, const void *w,
                   const void *b, void *yp)
{
    int32_t list[LIST];
    int64_t at[LIST];
    real value[LIST];
    for (int64_t r = 0; r < rows; r++) {
        const real *f = (const real *)fp + r * M;
        real *y = (real *)yp + r * O;
        if (b)
            memcpy(y, b, (size_t)O * sizeof *y);
        else
            memset(y, 0, (size_t)O * sizeof *y);
        for (int64_t i = 0; i < M;) {
            int n = scan(f, M, &i, list);
            for (int k = 0; k < n; k++) {
                at[k] = list[k] * O;
                value[k] = f[list[k]];
            }
            gather(n, at, value, O, w, y);
        }
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

static void df(int64_t rows, int64_t M, int64_t O, const void *fp, const void *wp,
               const void *dyp, void *dfp)
{
    int32_t list[LIST];
    for (int64_t r = 0; r < rows; r++) {
        const real *f = (const real *)fp + r * M, *dy = (const real *)dyp + r * O;
        real *d = (real *)dfp + r * M;
        memset(d, 0, (size_t)M * sizeof *d);
        for (int64_t i = 0; i < M;) {
            int n = scan(f, M, &i, list);
            for (int k = 0; k < n; k++)
                d[list[k]] = dot(O, dy, (const real *)wp + list[k] * O);
        }
    }
}

typedef struct Strip {
    int64_t O;
    const real *x, *c;
    real *y; /* [n,O] */
    int n;
    real sum[SPARSE_STRIP];
} Strip;

/* Adds the entries, which are in the order of rows, lane after lane. */
static void strip_add(Strip *s, int n, const Entry *e)
{
    int64_t at[ENTRIES];
    real value[ENTRIES];
    int end[SPARSE_STRIP + 1] = {0};
    for (int i = 0; i < n; i++)
        end[e[i].lane + 1]++;
    for (int k = 0; k < s->n; k++)
        end[k + 1] += end[k];
    int next[SPARSE_STRIP];
    memcpy(next, end, sizeof next);
    for (int i = 0; i < n; i++) {
        int to = next[e[i].lane]++;
        at[to] = e[i].row * s->O;
        value[to] = e[i].value;
        s->sum[e[i].lane] += e[i].value;
    }
    for (int k = 0; k < s->n; k++)
        gather(end[k + 1] - end[k], at + end[k], value + end[k], s->O, s->x,
               s->y + k * s->O);
}

static void dw(int64_t rows, int64_t M, int64_t O, const void *fp, const void *x,
               const void *c, int64_t first, int64_t n, void *yp)
{
    Entry list[ENTRIES];
    Strip s = {.O = O, .x = x, .c = c, .y = (real *)yp + first * O, .n = (int)n};
    int found = 0;
    memset(s.y, 0, (size_t)(n * O) * sizeof *s.y);
    for (int64_t r = 0; r < rows; r++) {
        const real *f = (const real *)fp + r * M + first;
        if (found + SPARSE_STRIP > ENTRIES) {
            strip_add(&s, found, list);
            found = 0;
        }
        int_of_real any = 0;
        for (int k = 0; k < s.n; k++)
            any |= f[k] != 0;
        for (int k = 0; any && k < s.n; k++) {
            list[found] = (Entry){(int32_t)r, k, f[k]};
            found += f[k] != 0;
        }
    }
    strip_add(&s, found, list);
    for (int k = 0; c && k < s.n; k++)
        for (int64_t o = 0; o < O; o++)
            s.y[k * O + o] -= s.sum[k] * s.c[o];
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
    .split = split,
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
