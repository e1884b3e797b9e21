/* heads.c -- slices of logits and digits of labels. */
#include "lab/heads.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "lab/train.h"

Heads dataset_heads(const Dataset *d)
{
    Heads h = {.n = d->n_heads};
    if (h.n == 0) {
        h.n = 1;
        h.size[0] = h.outputs = d->n_classes;
        h.divide[0] = 1;
        return h;
    }
    for (int k = 0; k < h.n; k++) {
        h.size[k] = d->head[k];
        h.first[k] = h.outputs;
        h.outputs += d->head[k];
        h.divide[k] = 1;
        for (int j = k + 1; j < h.n; j++)
            h.divide[k] *= d->head[j];
    }
    return h;
}

/* ---- loss ------------------------------------------------------------------------ */

static Val smoothed(Graph *g, Val logits, Val labels, double s)
{
    Val hard = g_cross_entropy(g, logits, labels);
    if (s <= 0)
        return hard;
    OpAttr last = {.i = {-1}};
    Val even = g_neg(g, g_mean(g, g_call(g, "log_softmax", &logits, 1, &last)));
    return g_add(g, g_scale(g, hard, 1 - s), g_scale(g, even, s));
}

/* The digit of a label as a table look-up. */
static Val digit(Graph *g, const Dataset *d, const Heads *h, int k, Val labels)
{
    Err err = {0};
    Tensor table;
    int64_t n = d->n_classes;
    if (!graph_ok(g) || !tensor_new(I32, 1, &n, &table, &err))
        return graph_ok(g) ? graph_fail(g, err.code, "%s", err.msg) : VAL_NONE;
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)table.data)[i] = (int32_t)(i / h->divide[k] % h->size[k]);
    Val in[2] = {graph_const(g, &table), labels};
    tensor_release(&table);
    return g_call(g, "gather", in, 2, NULL);
}

static Val slice(Graph *g, const Heads *h, int k, Val logits)
{
    const OpRow *row = op_find("slice");
    OpAttr a;
    op_attr_defaults(row, &a);
    a.i[0] = 1;
    a.i[1] = h->first[k];
    a.i[2] = h->first[k] + h->size[k];
    return graph_op(g, row, &logits, 1, &a);
}

Val heads_loss(Graph *g, const Dataset *d, Val logits, Val labels, double smoothing)
{
    Heads h = dataset_heads(d);
    Val sum = VAL_NONE;
    if (d->n_heads == 0)
        return smoothed(g, logits, labels, smoothing);
    for (int k = 0; k < h.n; k++) {
        Val one =
            smoothed(g, slice(g, &h, k, logits), digit(g, d, &h, k, labels), smoothing);
        sum = k ? g_add(g, sum, one) : one;
    }
    return sum;
}

/* ---- scores ---------------------------------------------------------------------- */

static int64_t largest(const float *z, int64_t n)
{
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (z[c] > z[best])
            best = c;
    return best;
}

static double nll_of(const float *z, int64_t n, int64_t label)
{
    double sum = 0, top = (double)z[largest(z, n)];
    for (int64_t c = 0; c < n; c++)
        sum += exp((double)z[c] - top);
    return log(sum) + top - (double)z[label];
}

static bool logits_fit(const Heads *h, const Tensor *z, int64_t n, Err *err)
{
    char text[96];
    return (z->dtype == F32 && z->ndim == 2 && z->dim[0] == n && n > 0 &&
            z->dim[1] >= h->outputs && tensor_contiguous(z)) ||
           err_set(err, ERR_SHAPE,
                   "scores need logits f32[%" PRId64 ",%" PRId64 "], not %s", n,
                   h->outputs, tensor_format_shape(z, text));
}

bool heads_score(const Dataset *d, const Tensor *logits, HeadScore *out, Err *err)
{
    Heads h = dataset_heads(d);
    *out = (HeadScore){0};
    if (d->n_heads == 0) {
        bool ok = logits_score(logits, &d->labels, &out->joint, &out->nll, err);
        out->acc[0] = out->joint;
        return ok;
    }
    if (!logits_fit(&h, logits, d->n, err))
        return false;
    for (int64_t i = 0; i < d->n; i++) {
        const float *z = (const float *)logits->data + i * logits->dim[1];
        int64_t label = ((const int32_t *)d->labels.data)[i];
        bool all = true;
        for (int k = 0; k < h.n; k++) {
            int64_t want = label / h.divide[k] % h.size[k];
            bool right = largest(z + h.first[k], h.size[k]) == want;
            out->acc[k] += right;
            all = all && right;
            out->nll += nll_of(z + h.first[k], h.size[k], want);
        }
        out->joint += all;
    }
    for (int k = 0; k < h.n; k++)
        out->acc[k] /= (double)d->n;
    out->joint /= (double)d->n;
    out->nll /= (double)d->n;
    return true;
}

bool heads_agreement(const Dataset *d, const Tensor *a, const Tensor *b, HeadScore *out,
                     Err *err)
{
    Heads h = dataset_heads(d);
    int64_t n = a->ndim ? a->dim[0] : 0;
    *out = (HeadScore){0};
    if (!logits_fit(&h, a, n, err) || !logits_fit(&h, b, n, err))
        return false;
    for (int64_t i = 0; i < n; i++) {
        bool all = true;
        for (int k = 0; k < h.n; k++) {
            const float *x = (const float *)a->data + i * a->dim[1] + h.first[k];
            const float *y = (const float *)b->data + i * b->dim[1] + h.first[k];
            bool same = largest(x, h.size[k]) == largest(y, h.size[k]);
            out->acc[k] += same;
            all = all && same;
        }
        out->joint += all;
    }
    for (int k = 0; k < h.n; k++)
        out->acc[k] /= (double)n;
    out->joint /= (double)n;
    return true;
}
