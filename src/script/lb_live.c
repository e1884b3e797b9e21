/* lb_live.c -- the pictures that a running decomposition shows: importances of single
 * features and what components read, or, on data, mean importances and directions. They
 * replace one another in a notebook, where a figure's name says which. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/spd_eval.h"
#include "decomp/spd_pooled.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "script/lb_spd.h"

enum { LIVE_FEATURES = 200, LIVE_IMAGES = 20 };

static bool emit(LSpd *u, Figure *f, const char *what, int l, int64_t step, Err *err)
{
    char title[128], name[96];
    if (!f)
        return false;
    snprintf(title, sizeof title, "%s of %s, step %lld", what, spd_layer(u->s, l)->name,
             (long long)step);
    snprintf(name, sizeof name, "spd-%s-%s", what, spd_layer(u->s, l)->name);
    bool ok = figure_set_title(f, title, err) &&
              journal_figure(run_journal(u->run), f, name, err);
    figure_free(f);
    return ok;
}

/* The order of columns that fits: of an identity, or by falling sums where components
 * are dense. */
static bool fitting_order(const Tensor *M, int32_t *order, Err *err)
{
    int64_t n = M->dim[0], C = M->dim[1], k = 0;
    if (!truth_dense_order(M, order, err))
        return false;
    for (int64_t c = 0; c < C; c++) {
        float top = 0;
        for (int64_t i = 0; i < n; i++)
            top = fmaxf(top, ((const float *)M->data)[i * C + c]);
        k += top >= 0.9F;
    }
    int64_t dense = truth_dense_error(M, order, k, 0.1);
    if (!truth_identity_order(M, order, err))
        return false;
    return dense >= truth_identity_error(M, order, 0.1) ||
           truth_dense_order(M, order, err);
}

/* The first `wide` columns of M [n,C] in an order. */
static Figure *ordered_heat(const Tensor *M, const int32_t *order, int64_t wide,
                            bool is_signed, Err *err)
{
    int64_t n = M->dim[0], C = M->dim[1];
    float *v = mem_alloc(sizeof *v * (size_t)(n * wide), err);
    for (int64_t i = 0; v && i < n * wide; i++)
        v[i] = ((const float *)M->data)[i / wide * C + order[i % wide]];
    Figure *f = v ? figure_heat((int)n, (int)wide, v, is_signed, err) : NULL;
    mem_free(v);
    return f;
}

/* V of a layer: what its components read from each feature or neuron. What a residual
 * stream holds is read through the network's embedding. */
static bool readable_v(LSpd *u, Spd *s, int l, Tensor *out, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return false;
    Val v = spd_V(s, g, l);
    const Tensor *embed = tset_get(u->net.model->params, "embed");
    if (embed && embed->ndim == 2 && embed->dim[1] == graph_spec(g, v).dim[0])
        v = g_matmul(g, graph_state(g, "embed", embed), v, false, false);
    graph_output(g, "y", v);
    Plan *p = plan_new(g, 0, err);
    graph_free(g);
    bool ok = p && plan_run(p, NULL, err) && tensor_copy(plan_output(p, 0), out, err);
    plan_free(p);
    return ok;
}

/* Adds a titled part, also a missing one: then it fails. */
static bool add_titled(Figure *page, Figure *part, const char *what, const SpdLayer *y,
                       Err *err)
{
    char title[SPD_NAME + 32];
    snprintf(title, sizeof title, "%s %s", y->name, what);
    if (part && figure_set_title(part, title, err))
        return figure_add_part(page, part, err);
    figure_free(part);
    return false;
}

/* Importances of single features, and beside them V with the same columns. */
static bool add_single(LSpd *u, Spd *s, int l, Figure *page, Err *err)
{
    Tensor M = {0}, V = {0};
    int64_t n = model_in(u->net.model);
    bool ok = spd_single(s, l, n, false, &M, err) && readable_v(u, s, l, &V, err);
    int64_t C = ok ? M.dim[1] : 0, wide = C < 2 * n ? C : 2 * n;
    int32_t *order = ok ? mem_alloc(sizeof *order * (size_t)C, err) : NULL;
    if (order && fitting_order(&M, order, err)) {
        Figure *ci = ordered_heat(&M, order, wide, false, err);
        if (ci)
            ci->tone = TONE_BLUE;
        ok = add_titled(page, ci, "importances", spd_layer(s, l), err) &&
             (V.dim[0] > LIVE_FEATURES ||
              add_titled(page, ordered_heat(&V, order, wide, true, err), "directions V",
                         spd_layer(s, l), err));
    } else {
        ok = false;
    }
    mem_free(order);
    tensor_release(&M);
    tensor_release(&V);
    return ok;
}

static bool show_single(LSpd *u, Spd *s, int64_t step, Err *err)
{
    char title[64];
    Figure *page = figure_page(err);
    snprintf(title, sizeof title, "Decomposition, step %lld", (long long)step);
    bool ok = page && figure_set_title(page, title, err);
    if (ok) {
        page->multiples = true;
        page->per_row = 2;
    }
    for (int l = 0; ok && l < spd_layers(s); l++)
        ok = add_single(u, s, l, page, err);
    ok = ok && journal_figure(run_journal(u->run), page, "spd-components", err);
    figure_free(page);
    return ok;
}

typedef struct Rank {
    double value;
    int64_t c;
} Rank;

static int by_value(const void *a, const void *b)
{
    const Rank *p = a, *q = b;
    if (p->value != q->value)
        return p->value > q->value ? -1 : 1;
    return p->c < q->c ? -1 : 1;
}

/* Columns of V as images of the inputs' size and colours, each by its largest absolute
 * value. */
static Figure *directions(const Tensor *V, const Rank *rank, int n, const Dataset *d,
                          Err *err)
{
    int64_t C = V->dim[1], I = V->dim[0];
    float *x = mem_alloc(sizeof *x * (size_t)(n * I), err);
    for (int k = 0; x && k < n; k++) {
        double top = 1e-30;
        for (int64_t i = 0; i < I; i++)
            top = fmax(top, fabs((double)((float *)V->data)[i * C + rank[k].c]));
        for (int64_t i = 0; i < I; i++)
            x[k * I + i] = (float)((double)((float *)V->data)[i * C + rank[k].c] / top);
    }
    Figure *f = !x ? NULL
                : d->channels == 3
                    ? figure_colours(n, d->height / 3, d->width, x, true, err)
                    : figure_images(n, d->height, d->width, x, true, err);
    mem_free(x);
    for (int k = 0; f && k < n; k++) {
        char label[48];
        snprintf(label, sizeof label, "C%lld (CI=%.3f)", (long long)rank[k].c,
                 rank[k].value);
        if (!figure_set_label(f, k, label, err)) {
            figure_free(f);
            return NULL;
        }
    }
    return f;
}

static Rank *by_mean_ci(const SpdLayerEval *y, Err *err)
{
    Rank *rank = mem_alloc(sizeof *rank * (size_t)y->C, err);
    for (int64_t c = 0; rank && c < y->C; c++)
        rank[c] = (Rank){y->mean_ci[c], c};
    if (rank)
        qsort(rank, (size_t)y->C, sizeof *rank, by_value);
    return rank;
}

/* Columns of V of a convolution as tiles, a row of input channels each; three channels
 * are one tile in colour. */
static Figure *tiles(Spd *s, int l, const Rank *rank, int n, Err *err)
{
    Tensor V = {0}, U = {0};
    Figure *f = NULL;
    float *x = NULL;
    if (spd_tiles(s, l, &V, &U, err)) {
        int64_t in = V.dim[1], plane = V.dim[2] * V.dim[3];
        x = mem_alloc(sizeof *x * (size_t)(n * in * plane), err);
        for (int64_t k = 0; x && k < n; k++)
            memcpy(x + k * in * plane, (float *)V.data + rank[k].c * in * plane,
                   sizeof *x * (size_t)(in * plane));
        int per = in == 3 ? 1 : (int)in, h = (int)V.dim[2], w = (int)V.dim[3];
        f = !x        ? NULL
            : in == 3 ? figure_colours(n, h, w, x, true, err)
                      : figure_images(n * per, h, w, x, true, err);
        if (f)
            f->group = per;
        for (int k = 0; f && k < n; k++) {
            char label[48];
            snprintf(label, sizeof label, "C%lld", (long long)rank[k].c);
            if (!figure_set_label(f, k * per, label, err)) {
                figure_free(f);
                f = NULL;
            }
        }
    }
    mem_free(x);
    tensor_release(&V);
    tensor_release(&U);
    return f;
}

/* What the components with the largest mean importance look for: pictures of the size
 * of the inputs, or tiles of a convolution; nothing of other layers. */
static bool show_directions(LSpd *u, Spd *s, const SpdEval *e, int l, int64_t step,
                            Err *err)
{
    char name[SPD_NAME + 4];
    const Tensor *W = &spd_layer(s, l)->weight;
    const SpdLayerEval *y = &e->layer[l];
    snprintf(name, sizeof name, "%s.V", spd_layer(s, l)->name);
    const Tensor *V = tset_get(spd_params(s), name);
    bool conv = W->ndim == 4 && W->dim[2] * W->dim[3] > 1;
    const Dataset *d = u->net.data;
    bool whole = W->ndim == 2 && V && V->dim[0] == (int64_t)d->height * d->width;
    if (!conv && !whole)
        return true;
    Rank *rank = by_mean_ci(y, err);
    if (!rank)
        return false;
    int n = y->C < LIVE_IMAGES ? (int)y->C : LIVE_IMAGES;
    bool ok = emit(u, conv ? tiles(s, l, rank, n, err) : directions(V, rank, n, d, err),
                   "directions", l, step, err);
    mem_free(rank);
    return ok;
}

/* Mean importance, largest first: one row a layer would not be a map, so all layers are
 * rows of one. */
static bool show_means(LSpd *u, const Spd *s, const SpdEval *e, int64_t step, Err *err)
{
    enum { WIDE = 100 };
    float *v = mem_zalloc(sizeof *v * (size_t)(e->n_layers * WIDE), err);
    bool ok = v != NULL;
    for (int l = 0; ok && l < e->n_layers; l++) {
        const SpdLayerEval *y = &e->layer[l];
        Rank *rank = by_mean_ci(y, err);
        ok = rank != NULL;
        for (int64_t c = 0; ok && c < y->C && c < WIDE; c++)
            v[l * WIDE + c] = (float)rank[c].value;
        mem_free(rank);
    }
    Figure *f = ok ? figure_heat(e->n_layers, WIDE, v, false, err) : NULL;
    char title[64];
    snprintf(title, sizeof title, "mean importances, step %lld", (long long)step);
    ok = f && figure_set_title(f, title, err) &&
         figure_set_caption(f, "Components by falling mean importance.", err);
    for (int l = 0; ok && l < e->n_layers; l++)
        ok = figure_set_left(f, l, spd_layer(s, l)->name, err);
    ok = ok && journal_figure(run_journal(u->run), f, "spd-mean-importances", err);
    figure_free(f);
    mem_free(v);
    return ok;
}

bool lb_spd_picture(void *ctx, Spd *s, int64_t step, Err *err)
{
    LSpd *u = ctx;
    bool ok = true;
    if (!u->net.data) {
        bool few = model_in(u->net.model) <= LIVE_FEATURES && !u->net.x;
        return !few || show_single(u, s, step, err);
    }
    SpdEval e;
    SpdEvalCfg cfg = {.batches = 1, .draw = 0};
    if (!spd_evaluate(s, &cfg, &e, err))
        return false;
    ok = show_means(u, s, &e, step, err);
    for (int l = 0; ok && l < spd_layers(s); l++)
        ok = show_directions(u, s, &e, l, step, err);
    spd_eval_done(&e);
    return ok;
}
