/* spd_pooled.c -- pooling inside the graph, a few examples at a time, so that memory
 * does not grow with positions times examples. */
#include "decomp/spd_pooled.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "decomp/spd_int.h"
#include "graph/build.h"
#include "graph/plan.h"

enum { BLOCK = 50 };

typedef struct Pool {
    Spd *s;
    const Tensor *x;
    int layer;
    SpdView view;
    Tensor *out[2]; /* max, mean */
    int64_t C;
} Pool;

static bool inputs_ok(const Spd *s, const Tensor *x, int layer, Err *err)
{
    char is[96];
    if (layer < 0 || layer >= spd_layers(s))
        return err_set(err, ERR_OPTION, "there is no layer %d of %d", layer + 1,
                       spd_layers(s));
    if (x->dtype != F32 || x->ndim != 2 || x->dim[0] < 1 || !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "inputs must be contiguous f32 [N,I], they are %s",
                       tensor_format_shape(x, is));
    return tensor_finite(x) || err_set(err, ERR_NUMERIC, "an input is not finite");
}

/* Rows [n * positions, C] as [n, positions, C], pooled over positions. */
static Plan *pool_plan(const Pool *p, int64_t n, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return NULL;
    Val x = graph_input(g, "x", F32, 2, (int64_t[]){n, p->x->dim[1]});
    Val v = spd_view_val(p->s, g, x, p->layer, p->view);
    if (graph_ok(g)) {
        OpAttr over = {
            .i = {1, false}
        };
        int64_t each = graph_spec(g, v).dim[0] / n;
        v = g_reshape(g, v, 3, (int64_t[]){n, each, p->C});
        graph_output(g, "max", g_call(g, "max", &v, 1, &over));
        graph_output(g, "mean", g_call(g, "mean", &v, 1, &over));
    }
    Plan *plan = graph_ok(g) ? plan_new(g, 0, err) : NULL;
    if (!graph_ok(g))
        *err = *graph_err(g);
    graph_free(g);
    return plan;
}

static bool pool_block(const Pool *p, Plan *plan, int64_t first, int64_t n, Err *err)
{
    int64_t I = p->x->dim[1];
    Tensor in = tensor_wrap(F32, 2, (int64_t[]){n, I}, (float *)p->x->data + first * I);
    if (!plan_run(plan, &in, err))
        return false;
    for (int k = 0; k < 2; k++)
        if (p->out[k])
            memcpy((float *)p->out[k]->data + first * p->C, plan_output(plan, k)->data,
                   (size_t)(n * p->C) * sizeof(float));
    return intr_check(err);
}

bool spd_pooled(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *max,
                Tensor *mean, Err *err)
{
    Pool p = {
        s, x, layer, v, {max, mean},
            0
    };
    for (int k = 0; k < 2; k++)
        if (p.out[k])
            *p.out[k] = (Tensor){0};
    if (!inputs_ok(s, x, layer, err))
        return false;
    int64_t N = x->dim[0], tail = N % BLOCK;
    p.C = spd_components(s, layer);
    bool ok = true;
    for (int k = 0; ok && k < 2; k++)
        ok = !p.out[k] || tensor_new(F32, 2, (int64_t[]){N, p.C}, p.out[k], err);
    Plan *whole = ok && N >= BLOCK ? pool_plan(&p, BLOCK, err) : NULL;
    Plan *rest = ok && tail ? pool_plan(&p, tail, err) : NULL;
    ok = ok && (N < BLOCK || whole) && (!tail || rest);
    for (int64_t i = 0; ok && i < N; i += BLOCK)
        ok = N - i < BLOCK ? pool_block(&p, rest, i, tail, err)
                           : pool_block(&p, whole, i, BLOCK, err);
    plan_free(whole);
    plan_free(rest);
    for (int k = 0; !ok && k < 2; k++)
        if (p.out[k])
            tensor_release(p.out[k]);
    return ok;
}

/* Rows and columns of a layer's result for the network's inputs; 1 by 1 when dense. */
static bool sides(Spd *s, const Tensor *x, int layer, int64_t positions,
                  int64_t side[2], Err *err)
{
    const SpdLayer *l = spd_layer(s, layer);
    const SpdTarget *t = spd_target(s);
    char name[SPD_NAME + 8];
    side[0] = side[1] = 1;
    if (!l->kind->positions)
        return true;
    Graph *g = graph_new(err);
    if (!g)
        return false;
    Val in = graph_input(g, "x", F32, 2, (int64_t[]){1, x->dim[1]});
    t->forward(t->ctx, g, in);
    snprintf(name, sizeof name, "%s.pre", l->name);
    for (int i = 0; graph_ok(g) && i < graph_site_count(g); i++)
        if (strcmp(graph_site_name(g, i), name) == 0) {
            Spec y = graph_spec(g, graph_site_value(g, i));
            side[0] = y.dim[2];
            side[1] = y.dim[3];
        }
    bool ok = graph_ok(g);
    if (!ok)
        *err = *graph_err(g);
    else if (side[0] * side[1] != positions)
        ok = err_set(err, ERR_STATE, "layer '%s' has no site '%s' of %lld positions",
                     l->name, name, (long long)positions);
    graph_free(g);
    return ok;
}

bool spd_maps(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *out, Err *err)
{
    Tensor rows = {0};
    int64_t side[2];
    *out = (Tensor){0};
    if (!inputs_ok(s, x, layer, err) || !spd_view(s, x, layer, v, &rows, err))
        return false;
    int64_t N = x->dim[0], C = spd_components(s, layer), P = rows.dim[0] / N;
    bool ok = sides(s, x, layer, P, side, err) &&
              tensor_new(F32, 4, (int64_t[]){N, C, side[0], side[1]}, out, err);
    const float *from = rows.data;
    for (int64_t n = 0; ok && n < N; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t p = 0; p < P; p++)
                ((float *)out->data)[(n * C + c) * P + p] = from[(n * P + p) * C + c];
    tensor_release(&rows);
    return ok;
}

static const float *matrix(const Spd *s, int layer, const char *what)
{
    char name[SPD_NAME + 8];
    snprintf(name, sizeof name, "%s.%s", s->target.layer[layer].name, what);
    return tset_get(s->params, name)->data;
}

bool spd_tiles(Spd *s, int layer, Tensor *V, Tensor *U, Err *err)
{
    *V = *U = (Tensor){0};
    if (layer < 0 || layer >= spd_layers(s))
        return err_set(err, ERR_OPTION, "there is no layer %d of %d", layer + 1,
                       spd_layers(s));
    const SpdLayer *l = spd_layer(s, layer);
    const SpdPart *p = &s->part[layer];
    bool tied = p->own != layer; /* V = U^T, U = V^T of the other */
    const int64_t *k = l->weight.dim, C = p->C, d_in = p->d_in, d_out = p->d_out;
    bool conv = l->weight.ndim == 4;
    int64_t dim[4] = {C, conv ? k[1] : 1, conv ? k[2] : 1, conv ? k[3] : d_in};
    const float *v = matrix(s, p->own, tied ? "U" : "V");
    const float *u = matrix(s, p->own, tied ? "V" : "U");
    bool ok = tensor_new(F32, 4, dim, V, err) &&
              tensor_new(F32, 2, (int64_t[]){C, d_out}, U, err);
    for (int64_t c = 0; ok && c < C; c++) {
        double sum = 0;
        for (int64_t i = 0; i < d_in; i++) {
            double w = (double)v[tied ? c * d_in + i : i * C + c];
            ((float *)V->data)[c * d_in + i] = (float)w;
            sum += w * w;
        }
        double length = sum > 0 ? sqrt(sum) : 1;
        for (int64_t i = 0; i < d_in; i++)
            ((float *)V->data)[c * d_in + i] /= (float)length;
        for (int64_t o = 0; o < d_out; o++)
            ((float *)U->data)[c * d_out + o] =
                u[tied ? o * C + c : c * d_out + o] * (float)length;
    }
    if (!ok)
        tensor_release(V);
    return ok;
}
