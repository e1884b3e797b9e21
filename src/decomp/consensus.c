/* consensus.c -- one pass over the rows. A centroid is the sum of a group's rows, each
 * turned to agree with those before it; cosines with it need its norm only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/match.h"

typedef struct Cluster {
    int32_t owner;
    int64_t first; /* group number while rows come in */
    int64_t support, members;
    double norm2, likeness;
} Cluster;

typedef struct Rows {
    const float *x;
    int64_t n, D;
    const int32_t *owner, *from;
    double *sum; /* [clusters, D] */
    Cluster *cluster;
    int64_t n_clusters;
    int32_t *group;
} Rows;

static double dot_sum(const Rows *w, int64_t c, int64_t i)
{
    double s = 0;
    for (int64_t k = 0; k < w->D; k++)
        s += w->sum[c * w->D + k] * (double)w->x[i * w->D + k];
    return s;
}

static bool has_row_from(const Rows *w, int64_t c, int64_t i)
{
    for (int64_t k = 0; k < i; k++)
        if (w->group[k] == c && w->from[k] == w->from[i])
            return true;
    return false;
}

static void join(Rows *w, int64_t c, int64_t i, double sign)
{
    double n = 0;
    for (int64_t k = 0; k < w->D; k++) {
        double *s = &w->sum[c * w->D + k];
        *s += sign * (double)w->x[i * w->D + k];
        n += *s * *s;
    }
    w->cluster[c].norm2 = n;
    w->cluster[c].members++;
    w->cluster[c].support++;
    w->group[i] = (int32_t)c;
}

static void place_row(Rows *w, int64_t i, double threshold)
{
    int64_t best = -1;
    double top = threshold, sign = 1;
    for (int64_t c = 0; c < w->n_clusters; c++) {
        if (w->cluster[c].owner != w->owner[i] || has_row_from(w, c, i))
            continue;
        double s = dot_sum(w, c, i), n = sqrt(w->cluster[c].norm2);
        if (n > 0 && fabs(s) / n >= top) {
            top = fabs(s) / n;
            sign = s < 0 ? -1 : 1;
            best = c;
        }
    }
    if (best < 0) {
        best = w->n_clusters++;
        w->cluster[best] = (Cluster){.owner = w->owner[i], .first = best};
    }
    join(w, best, i, sign);
}

/* Mean |cosine| of the pairs in each cluster. */
static void find_likeness(Rows *w)
{
    for (int64_t c = 0; c < w->n_clusters; c++) {
        double sum = 0;
        int64_t pairs = 0;
        for (int64_t i = 0; i < w->n; i++)
            for (int64_t j = 0; w->group[i] == c && j < i; j++) {
                if (w->group[j] != c)
                    continue;
                double s = 0;
                for (int64_t k = 0; k < w->D; k++)
                    s += (double)w->x[i * w->D + k] * (double)w->x[j * w->D + k];
                sum += fabs(s);
                pairs++;
            }
        w->cluster[c].likeness = pairs ? sum / (double)pairs : (double)NAN;
    }
}

static int by_support(const void *x, const void *y)
{
    const Cluster *a = x, *b = y;
    if (a->support != b->support)
        return a->support < b->support ? 1 : -1;
    double la = isnan(a->likeness) ? -1 : a->likeness;
    double lb = isnan(b->likeness) ? -1 : b->likeness;
    if (la != lb)
        return la < lb ? 1 : -1;
    return a->first < b->first ? -1 : 1;
}

static bool report(Rows *w, Consensus *out, Err *err)
{
    size_t n = (size_t)w->n_clusters;
    int64_t *rank = mem_array(n, sizeof *rank, err);
    bool ok = rank && (out->support = mem_array(n, sizeof *out->support, err)) &&
              (out->likeness = mem_array(n, sizeof *out->likeness, err)) &&
              (out->owner = mem_array(n, sizeof *out->owner, err));
    if (ok) {
        qsort(w->cluster, n, sizeof *w->cluster, by_support);
        for (int64_t c = 0; c < w->n_clusters; c++) {
            rank[w->cluster[c].first] = c;
            out->support[c] = w->cluster[c].support;
            out->likeness[c] = w->cluster[c].likeness;
            out->owner[c] = w->cluster[c].owner;
        }
        for (int64_t i = 0; i < w->n; i++)
            w->group[i] = (int32_t)rank[w->group[i]];
        out->n_groups = w->n_clusters;
    }
    mem_free(rank);
    return ok;
}

bool consensus_new(const Tensor *rows, const int32_t *owner, const int32_t *from,
                   double threshold, Consensus *out, Err *err)
{
    char shape[96];
    memset(out, 0, sizeof *out);
    if (rows->dtype != F32 || rows->ndim != 2 || rows->dim[0] < 1 ||
        !tensor_contiguous(rows))
        return err_set(err, ERR_SHAPE,
                       "consensus: the rows are %s, they must be f32[n,D]",
                       tensor_format_shape(rows, shape));
    Rows w = {.x = rows->data,
              .n = rows->dim[0],
              .D = rows->dim[1],
              .owner = owner,
              .from = from};
    bool ok = (w.sum = mem_zalloc(sizeof *w.sum * (size_t)(w.n * w.D + 1), err)) &&
              (w.cluster = mem_array((size_t)w.n, sizeof *w.cluster, err)) &&
              (w.group = mem_array((size_t)w.n, sizeof *w.group, err));
    if (ok) {
        for (int64_t i = 0; i < w.n; i++)
            w.group[i] = -1;
        for (int64_t i = 0; i < w.n; i++)
            place_row(&w, i, threshold);
        find_likeness(&w);
        ok = report(&w, out, err);
    }
    out->group = w.group;
    mem_free(w.sum);
    mem_free(w.cluster);
    if (!ok)
        consensus_done(out);
    return ok;
}

void consensus_done(Consensus *c)
{
    mem_free(c->group);
    mem_free(c->support);
    mem_free(c->likeness);
    mem_free(c->owner);
    memset(c, 0, sizeof *c);
}
