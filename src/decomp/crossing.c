/* crossing.c -- see crossing.h. A Part is one connected piece with its own numbering;
 * all its arrays are in one block. */
#include "decomp/crossing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/lapack.h"
#include "tensor/rng.h"

enum { SIFT_ROUNDS = 50 };
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

const OptRow crossing_options[] = {
    {"restarts", OPT_INT, offsetof(CrossingCfg, restarts), "50", 0, 100000, NULL,
     "Random starts beside that of the indices and the spectral one."},
    {"sweeps", OPT_INT, offsetof(CrossingCfg, sweeps), "10", 1, 100000, NULL,
     "Times that each side is sorted, from each start."},
    {"sort", OPT_ENUM, offsetof(CrossingCfg, sort), "both", 0, 0, "median mean both",
     "By which place of the neighbours; both: every start once with each."},
    {"spectral", OPT_BOOL, offsetof(CrossingCfg, spectral), "true", 0, 0, NULL,
     "Also start from the second singular vectors."},
    {"sift", OPT_BOOL, offsetof(CrossingCfg, sift), "true", 0, 0, NULL,
     "At the end move single nodes to where they cross least."},
    {"seed", OPT_INT, offsetof(CrossingCfg, seed), "1", 0, 0, NULL,
     "Of the random starts."},
};
const size_t crossing_n_options = ARRAY_LEN(crossing_options);

typedef struct Side {
    int n;
    const int32_t *index; /* [n] of the whole graph, rising */
    int *first, *to;      /* [n+1], [edges]: neighbours on the other side */
    int *order, *pos;     /* [n] node at a place, place of a node */
    int *best;            /* [n] best order so far */
    double *key;          /* [n] */
} Side;
typedef struct Part {
    Side side[2];
    int edges, *tree; /* tree [right + 1] */
    int *near;        /* [edges] places of the neighbours of a side's nodes, rising */
    int *try[2];             /* best orders of this start */
    int64_t least;
    void *memory;
} Part;

/* Loops over all edges end early at an interrupt: what they leave is of no use, and
 * descend() says so. */

/* --- counting --------------------------------------------------------------------- */

static void tree_add(int *tree, int n, int at)
{
    for (int k = at + 1; k <= n; k += k & -k)
        tree[k]++;
}

static int tree_upto(const int *tree, int at) /* how many at places 0..at */
{
    int sum = 0;
    for (int k = at + 1; k > 0; k -= k & -k)
        sum += tree[k];
    return sum;
}

static int64_t count(Part *p)
{
    const Side *l = &p->side[0], *r = &p->side[1];
    int64_t sum = 0, seen = 0;
    memset(p->tree, 0, sizeof *p->tree * ((size_t)r->n + 1));
    for (int k = 0; k < l->n && !intr_pending(); k++) {
        int v = l->order[k];
        for (int e = l->first[v]; e < l->first[v + 1]; e++)
            sum += seen - tree_upto(p->tree, r->pos[l->to[e]]);
        for (int e = l->first[v]; e < l->first[v + 1]; e++)
            tree_add(p->tree, r->n, r->pos[l->to[e]]);
        seen += l->first[v + 1] - l->first[v];
    }
    return sum;
}

/* --- ordering --------------------------------------------------------------------- */

static int rising_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Fills near for the nodes of a side; good until the other side moves. */
static void places(Part *p, int side)
{
    const Side *s = &p->side[side], *o = &p->side[!side];
    for (int v = 0; v < s->n && !intr_pending(); v++) {
        int at = s->first[v], n = s->first[v + 1] - at;
        for (int k = 0; k < n; k++)
            p->near[at + k] = o->pos[s->to[at + k]];
        qsort(p->near + at, (size_t)n, sizeof *p->near, rising_int);
    }
}

static void set_order(Side *s, const int *order)
{
    memcpy(s->order, order, sizeof *order * (size_t)s->n);
    for (int k = 0; k < s->n; k++)
        s->pos[order[k]] = k;
}

/* Sorts by key; equal ones stay as they are. Binary insertion: a side is small. */
static void sort_by_key(Side *s)
{
    for (int k = 1; k < s->n; k++) {
        int v = s->order[k], lo = 0, hi = k;
        while (lo < hi) {
            int mid = (lo + hi) / 2;
            if (s->key[s->order[mid]] <= s->key[v])
                lo = mid + 1;
            else
                hi = mid;
        }
        memmove(s->order + lo + 1, s->order + lo, sizeof(int) * (size_t)(k - lo));
        s->order[lo] = v;
    }
    for (int k = 0; k < s->n; k++)
        s->pos[s->order[k]] = k;
}

static void sort_side(Part *p, int side, bool median)
{
    Side *s = &p->side[side];
    places(p, side);
    for (int v = 0; v < s->n && !intr_pending(); v++) {
        const int *near = p->near + s->first[v];
        int n = s->first[v + 1] - s->first[v];
        double sum = 0;
        for (int k = 0; k < n; k++)
            sum += near[k];
        s->key[v] = median ? 0.5 * (near[(n - 1) / 2] + near[n / 2]) : sum / n;
    }
    sort_by_key(s);
}

/* Crossings of the edges of u and v with u before v, less those with v before u. */
static int64_t gain(const Part *p, const Side *s, int u, int v)
{
    const int *a = p->near + s->first[u], *b = p->near + s->first[v];
    int n = s->first[u + 1] - s->first[u], m = s->first[v + 1] - s->first[v];
    int k = 0, l = 0;
    int64_t sum = 0;
    for (int i = 0; i < n; i++) {
        while (k < m && b[k] < a[i])
            k++;
        while (l < m && b[l] <= a[i])
            l++;
        sum += k - (m - l);
    }
    return sum;
}

/* Moves every node of a side to its best place; true if something changed. */
static bool sift(Part *p, int side)
{
    Side *s = &p->side[side];
    bool moved = false;
    places(p, side);
    for (int v = 0; v < s->n && !intr_pending(); v++) {
        int at = s->pos[v], to = at;
        int64_t change = 0, best = 0;
        for (int k = at + 1; k < s->n && !intr_pending(); k++) { /* v behind order[k] */
            change -= gain(p, s, v, s->order[k]);
            if (change < best) {
                best = change;
                to = k;
            }
        }
        change = 0;
        for (int k = at - 1; k >= 0 && !intr_pending(); k--) {
            change -= gain(p, s, s->order[k], v);
            if (change < best) {
                best = change;
                to = k;
            }
        }
        if (to == at)
            continue;
        if (to > at)
            memmove(s->order + at, s->order + at + 1, sizeof(int) * (size_t)(to - at));
        else
            memmove(s->order + to + 1, s->order + to, sizeof(int) * (size_t)(at - to));
        s->order[to] = v;
        for (int k = 0; k < s->n; k++)
            s->pos[s->order[k]] = k;
        moved = true;
    }
    return moved;
}

static void keep(Part *p, int64_t n, int64_t *least, int *const dst[2])
{
    if (n >= *least)
        return;
    *least = n;
    for (int k = 0; k < 2; k++)
        memcpy(dst[k], p->side[k].order, sizeof(int) * (size_t)p->side[k].n);
}

static bool descend(Part *p, const CrossingCfg *cfg, bool median, Err *err)
{
    int64_t least = INT64_MAX;
    int *best[2] = {p->side[0].best, p->side[1].best};
    keep(p, count(p), &least, p->try);
    for (int64_t t = 0; t < cfg->sweeps && least > 0 && !intr_pending(); t++)
        for (int side = 1; side >= 0; side--) {
            sort_side(p, side, median);
            keep(p, count(p), &least, p->try);
        }
    set_order(&p->side[0], p->try[0]);
    set_order(&p->side[1], p->try[1]);
    for (int t = 0; cfg->sift && least > 0 && t < SIFT_ROUNDS; t++) {
        bool moved = sift(p, 1);
        moved = sift(p, 0) || moved;
        if (!moved)
            break;
        if (!intr_check(err))
            return false;
    }
    keep(p, count(p), &p->least, best);
    return intr_check(err);
}

/* --- starts ----------------------------------------------------------------------- */

static void by_index(Part *p)
{
    for (int k = 0; k < 2; k++)
        for (int v = 0; v < p->side[k].n; v++)
            p->side[k].order[v] = p->side[k].pos[v] = v;
}

static bool at_random(Part *p, int64_t seed, int64_t start, Err *err)
{
    for (int k = 0; k < 2; k++) {
        Side *s = &p->side[k];
        const char *stream = k ? "crossing.right" : "crossing.left";
        RngKey key = {(uint64_t)seed, rng_stream(stream), (uint64_t)start};
        int32_t *shuffled = mem_array((size_t)s->n, sizeof *shuffled, err);
        if (!shuffled)
            return false;
        rng_permutation(key, s->n, shuffled);
        set_order(s, shuffled);
        mem_free(shuffled);
    }
    return true;
}

static int degree(const Side *s, int v)
{
    return s->first[v + 1] - s->first[v];
}

/* Both sides by the second singular vectors of D^-1/2 A D^-1/2, in units of D^-1/2. */
static bool spectral(Part *p, Err *err)
{
    Side *l = &p->side[0], *r = &p->side[1];
    Tensor a = {0}, u = {0}, s = {0}, vt = {0};
    by_index(p);
    if (l->n < 2 || r->n < 2)
        return true;
    bool ok = tensor_zeros(F64, 2, DIMS(l->n, r->n), &a, err);
    for (int i = 0; ok && i < l->n; i++)
        for (int e = l->first[i]; e < l->first[i + 1]; e++)
            ((double *)a.data)[i * r->n + l->to[e]] =
                1 / sqrt((double)degree(l, i) * degree(r, l->to[e]));
    ok = ok && lapack_svd(&a, &u, &s, &vt, err);
    for (int i = 0; ok && i < l->n; i++)
        l->key[i] = ((double *)u.data)[i * u.dim[1] + 1] / sqrt(degree(l, i));
    for (int j = 0; ok && j < r->n; j++)
        r->key[j] = ((double *)vt.data)[r->n + j] / sqrt(degree(r, j));
    if (ok) {
        sort_by_key(l);
        sort_by_key(r);
    }
    tensor_release(&a);
    tensor_release(&u);
    tensor_release(&s);
    tensor_release(&vt);
    return ok;
}

static bool solve(Part *p, const CrossingCfg *cfg, Err *err)
{
    p->least = INT64_MAX;
    for (int64_t start = -2; start < cfg->restarts && p->least > 0; start++)
        for (int way = 0; way < 2; way++) { /* median, mean */
            if (strcmp(cfg->sort, way ? "median" : "mean") == 0 ||
                (start == -1 && !cfg->spectral))
                continue;
            bool ok = true;
            if (start == -2)
                by_index(p);
            else
                ok = start == -1 ? spectral(p, err)
                                 : at_random(p, cfg->seed, start, err);
            if (!ok || !descend(p, cfg, way == 0, err))
                return false;
        }
    return true;
}

/* --- connected parts -------------------------------------------------------------- */

typedef struct Whole {
    const Tensor *w;
    int n, m;
    int32_t *part;   /* [n+m] number of the part of a node, -1: no edge */
    int32_t *member; /* [n+m] nodes by part: left ones, then right ones; scratch */
} Whole;

static bool is_edge(const Tensor *w, int i, int j)
{
    double v = ((const double *)w->data)[(int64_t)i * w->dim[1] + j];
    return isfinite(v) && v != 0;
}

/* Labels all nodes that can be reached from left node i. */
static void flood(Whole *g, int i, int32_t part)
{
    int n = 1;
    g->member[0] = i;
    g->part[i] = part;
    for (int k = 0; k < n; k++) {
        int v = g->member[k];
        bool left = v < g->n;
        for (int o = 0; o < (left ? g->m : g->n); o++) {
            int to = left ? g->n + o : o;
            if (g->part[to] < 0 && is_edge(g->w, left ? v : o, left ? o : v - g->n)) {
                g->part[to] = part;
                g->member[n++] = to;
            }
        }
    }
}

static void fill_side(Whole *g, Part *p, int k)
{
    Side *s = &p->side[k], *o = &p->side[!k];
    int e = 0;
    for (int v = 0; v < s->n; v++) {
        s->first[v] = e;
        for (int u = 0; u < o->n; u++)
            if (is_edge(g->w, k ? o->index[u] : s->index[v],
                        k ? s->index[v] - g->n : o->index[u] - g->n))
                s->to[e++] = u;
    }
    s->first[s->n] = e;
}

/* Room for the part whose members are at the start of g->member, left ones first. */
static bool part_new(Whole *g, Part *p, int n, int m, int edges, Err *err)
{
    size_t ints = 3 * (size_t)edges + 5 * (size_t)(n + m) + (size_t)m + 3;
    double *at;
    p->edges = edges;
    p->side[0].n = n;
    p->side[1].n = m;
    p->memory = at = mem_array(2 * (size_t)(n + m) + ints, sizeof(int), err);
    if (!at)
        return false;
    int *next = (int *)(at + n + m);
    for (int k = 0; k < 2; k++) {
        Side *s = &p->side[k];
        s->key = at + (k ? n : 0);
        s->index = g->member + (k ? n : 0);
        s->first = next;
        s->to = s->first + s->n + 1;
        s->order = s->to + edges;
        s->pos = s->order + s->n;
        s->best = s->pos + s->n;
        p->try[k] = s->best + s->n;
        next = p->try[k] + s->n;
    }
    p->tree = next;
    p->near = p->tree + (m + 1);
    fill_side(g, p, 0);
    fill_side(g, p, 1);
    return true;
}

/* Orders part number `part` and appends it. */
static bool run_part(Whole *g, int32_t part, const CrossingCfg *cfg, Crossing *out,
                     int64_t at[2], Err *err)
{
    Part p = {0};
    int n = 0, m = 0, edges = 0;
    for (int v = 0; v < g->n + g->m; v++)
        if (g->part[v] == part) {
            g->member[n + m] = v;
            *(v < g->n ? &n : &m) += 1;
        }
    for (int a = 0; a < n; a++)
        for (int b = 0; b < m; b++)
            edges += is_edge(g->w, g->member[a], g->member[n + b] - g->n);
    bool ok = part_new(g, &p, n, m, edges, err) && solve(&p, cfg, err);
    for (int k = 0; ok && k < 2; k++)
        for (int v = 0; v < p.side[k].n; v++)
            ((int32_t *)(k ? out->right.data : out->left.data))[at[k]++] =
                p.side[k].index[p.side[k].best[v]] - (k ? g->n : 0);
    out->crossings += ok ? p.least : 0;
    out->edges += edges;
    mem_free(p.memory);
    return ok;
}

static bool check(const Tensor *w, Err *err)
{
    char shape[96];
    if (w->dtype == F64 && w->ndim == 2 && tensor_contiguous(w) && w->dim[0] >= 1 &&
        w->dim[1] >= 1 && w->dim[0] <= 20000 && w->dim[1] <= 20000)
        return true;
    return err_set(err, ERR_SHAPE,
                   "the weights are %s, they must be f64[left,right] with 1 to 20000 "
                   "nodes on each side", tensor_format_shape(w, shape));
}

static bool whole_run(Whole *g, const CrossingCfg *cfg, Crossing *out, Err *err)
{
    int32_t parts = 0;
    int64_t left = 0, at[2] = {0, 0};
    for (int v = 0; v < g->n + g->m; v++)
        g->part[v] = -1;
    for (int i = 0; i < g->n; i++) {
        bool any = false;
        for (int j = 0; !any && j < g->m; j++)
            any = is_edge(g->w, i, j);
        left += any;
        if (any && g->part[i] < 0)
            flood(g, i, parts++);
    }
    out->parts = parts;
    if (!tensor_new(I32, 1, &left, &out->left, err) ||
        !tensor_new(I32, 1, DIMS(g->m), &out->right, err))
        return false;
    for (int32_t k = 0; k < parts; k++)
        if (!run_part(g, k, cfg, out, at, err))
            return false;
    for (int j = 0; j < g->m; j++)
        if (g->part[g->n + j] < 0)
            ((int32_t *)out->right.data)[at[1]++] = j;
    return true;
}

void crossing_done(Crossing *c)
{
    tensor_release(&c->left);
    tensor_release(&c->right);
}

bool crossing_minimise(const Tensor *weights, const CrossingCfg *cfg, Crossing *out,
                       Err *err)
{
    memset(out, 0, sizeof *out);
    if (!check(weights, err))
        return false;
    Whole g = {.w = weights, .n = (int)weights->dim[0], .m = (int)weights->dim[1]};
    size_t nodes = (size_t)(g.n + g.m);
    g.part = mem_array(2 * nodes, sizeof *g.part, err);
    if (!g.part)
        return false;
    g.member = g.part + nodes;
    bool ok = whole_run(&g, cfg, out, err) &&
              crossing_count(weights, NULL, NULL, &out->by_index, err);
    if (!ok)
        crossing_done(out);
    mem_free(g.part);
    return ok;
}

/* --- counting any order ----------------------------------------------------------- */

/* Place of each index, -1: not listed. NULL: as they are. */
static bool fill_places(const Tensor *list, int n, int *pos, const char *side, Err *err)
{
    int64_t count_of = list ? tensor_count(list) : n;
    for (int k = 0; k < n; k++)
        pos[k] = list ? -1 : k;
    if (list && (list->dtype != I32 || list->ndim != 1 || !tensor_contiguous(list)))
        return err_set(err, ERR_SHAPE, "the %s order must be a list of i32", side);
    for (int64_t k = 0; list && k < count_of; k++) {
        int32_t v = ((const int32_t *)list->data)[k];
        if (v < 0 || v >= n || pos[v] >= 0)
            return err_set(err, ERR_OPTION,
                           "the %s order has %d %s", side, (int)v,
                           v < 0 || v >= n ? "outside the graph" : "twice");
        pos[v] = (int)k;
    }
    return true;
}

bool crossing_count(const Tensor *weights, const Tensor *left, const Tensor *right,
                    int64_t *out, Err *err)
{
    *out = 0;
    if (!check(weights, err))
        return false;
    int n = (int)weights->dim[0], m = (int)weights->dim[1];
    int *pl = mem_array(2 * (size_t)(n + m) + 2, sizeof *pl, err);
    if (!pl)
        return false;
    int *pr = pl + n, *tree = pr + m, *node = tree + m + 1;
    bool ok = fill_places(left, n, pl, "left", err) &&
              fill_places(right, m, pr, "right", err);
    int64_t seen = 0;
    memset(tree, 0, sizeof *tree * (size_t)(m + 1));
    for (int k = 0; k < n; k++)
        node[k] = -1;
    for (int i = 0; ok && i < n; i++)
        if (pl[i] >= 0)
            node[pl[i]] = i;
    for (int k = 0; ok && k < n; k++) {
        int64_t before = seen;
        if (node[k] < 0)
            continue;
        for (int j = 0; j < m; j++)
            if (pr[j] >= 0 && is_edge(weights, node[k], j))
                *out += before - tree_upto(tree, pr[j]);
        for (int j = 0; j < m; j++)
            if (pr[j] >= 0 && is_edge(weights, node[k], j)) {
                tree_add(tree, m, pr[j]);
                seen++;
            }
        ok = k % 256 || intr_check(err);
    }
    mem_free(pl);
    return ok;
}
