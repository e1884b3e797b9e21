/* diagram.c -- edges by strength: ties keep the order in which they were added, so that
 * equal figures are drawn alike. Edges below a twentieth of the scale are too weak. */
#include "figure/diagram.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define WEAKEST 0.05

static int by_weight(const void *a, const void *b)
{
    const Edge *x = *(const Edge *const *)a, *y = *(const Edge *const *)b;
    double wx = fabs(x->weight), wy = fabs(y->weight);
    if (wx != wy)
        return wx < wy ? -1 : 1;
    return x > y ? -1 : x < y; /* the first of equals is on top */
}

bool diagram_sort(const Figure *f, Diagram *d, Err *err)
{
    *d = (Diagram){.f = f};
    d->order = mem_array((size_t)f->n_edges, sizeof *d->order, err);
    if (!d->order)
        return false;
    for (int i = 0; i < f->n_edges; i++)
        if (isfinite(f->edges[i].weight) && f->edges[i].weight != 0) {
            d->order[d->n++] = &f->edges[i];
            d->limit = fmax(d->limit, fabs(f->edges[i].weight));
        }
    qsort(d->order, (size_t)d->n, sizeof *d->order, by_weight);
    d->limit = f->limit > 0 ? f->limit : d->limit;
    while (d->weak < d->n && fabs(d->order[d->weak]->weight) < WEAKEST * d->limit)
        d->weak++;
    return true;
}

int diagram_weak(const Figure *f, double limit)
{
    int n = 0;
    for (int i = 0; i < f->n_edges; i++) {
        double w = fabs(f->edges[i].weight);
        n += isfinite(w) && w > 0 && w < WEAKEST * limit;
    }
    return n;
}

void diagram_at(const Figure *f, int node, double *x, double *y)
{
    int k = 0, most = 1;
    for (int i = 0; i < f->n_stages; i++)
        most = f->stage[i] > most ? f->stage[i] : most;
    while (k + 1 < f->n_stages && node >= f->stage[k])
        node -= f->stage[k++];
    double down = (node + 0.5) / f->stage[k], pad = 0.5 / most;
    *x = (double)k / (f->n_stages - 1);
    *y = most > 1 ? 1 - (down - pad) / (1 - 2 * pad) : 0.5;
}
