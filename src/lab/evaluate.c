/* evaluate.c -- logits in blocks of BLOCK examples, which bounds memory whatever the
 * size of the set; the block size is fixed, so the bits of a logit do not depend on the
 * machine. */
#include "lab/evaluate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "lab/heads.h"
#include "lab/train.h"

enum { BLOCK = 1000 };

Val dataset_pixels(Graph *g, const Dataset *d, Val idx)
{
    Val in[2] = {graph_const(g, &d->images), idx};
    return g_call(g, "batch_u8", in, 2, NULL);
}

Val dataset_labels(Graph *g, const Dataset *d, Val idx)
{
    Val in[2] = {graph_const(g, &d->labels), idx};
    return g_call(g, "gather", in, 2, NULL);
}

bool dataset_fits(const Dataset *d, const Model *m, Err *err)
{
    int64_t pixels = (int64_t)d->height * d->width;
    if (pixels != model_in(m))
        return err_set(err, ERR_SHAPE,
                       "%s takes %" PRId64 " inputs, but the images of %s have %dx%d = "
                       "%" PRId64 " pixels",
                       m->row->name, model_in(m), d->name, d->height, d->width, pixels);
    Heads h = dataset_heads(d);
    if (d->n_heads && h.outputs != model_out(m))
        return err_set(err, ERR_SHAPE,
                       "%s has %" PRId64 " outputs, but the %d heads of %s need %" PRId64,
                       m->row->name, model_out(m), h.n, d->name, h.outputs);
    if (!d->n_heads && d->n_classes > model_out(m))
        return err_set(err, ERR_SHAPE,
                       "%s has %" PRId64 " outputs, but %s has %d classes",
                       m->row->name, model_out(m), d->name, d->n_classes);
    return true;
}

/* Logits of `rows` examples from the input "idx". */
static Plan *logits_plan(Model *m, const Dataset *d, int64_t rows, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return NULL;
    Val idx = graph_input(g, "idx", I32, 1, &rows);
    graph_output(g, "logits", model_forward(m, g, dataset_pixels(g, d, idx)));
    Plan *p = plan_new(g, 0, err);
    graph_free(g);
    return p;
}

bool evaluator_init(Evaluator *e, Model *m, const Dataset *d, Err *err)
{
    int64_t blocks = d->n / BLOCK, tail = d->n % BLOCK;
    *e = (Evaluator){0};
    bool ok = dataset_fits(d, m, err) &&
              tensor_new(F32, 2, (int64_t[]){d->n, model_out(m)}, &e->logits, err) &&
              (!blocks || (e->block = logits_plan(m, d, BLOCK, err))) &&
              (!tail || (e->tail = logits_plan(m, d, tail, err)));
    if (!ok)
        evaluator_done(e);
    return ok;
}

void evaluator_done(Evaluator *e)
{
    plan_free(e->block);
    plan_free(e->tail);
    tensor_release(&e->logits);
    *e = (Evaluator){0};
}

/* Examples first .. first+n-1. */
static bool run_block(Evaluator *e, int64_t first, int64_t n, Err *err)
{
    int32_t idx[BLOCK];
    for (int64_t i = 0; i < n; i++)
        idx[i] = (int32_t)(first + i);
    Tensor in = tensor_wrap(I32, 1, &n, idx);
    Plan *p = n == BLOCK ? e->block : e->tail;
    if (!plan_run(p, &in, err))
        return false;
    const Tensor *y = plan_output(p, 0);
    memcpy((float *)e->logits.data + first * e->logits.dim[1], y->data,
           tensor_bytes(y));
    return true;
}

bool evaluator_run(Evaluator *e, Err *err)
{
    int64_t n = e->logits.dim[0];
    for (int64_t i = 0; i < n; i += BLOCK)
        if (!run_block(e, i, n - i < BLOCK ? n - i : BLOCK, err))
            return false;
    return true;
}

bool model_logits(Model *m, const Dataset *d, Tensor *logits, Err *err)
{
    Evaluator e;
    *logits = (Tensor){0};
    if (!evaluator_init(&e, m, d, err))
        return false;
    bool ok = evaluator_run(&e, err);
    if (ok)
        *logits = tensor_retain(&e.logits);
    evaluator_done(&e);
    return ok;
}

/* Of one row of n logits: whether the first largest is `label`, and -log p(label). */
static bool score_row(const float *z, int64_t n, int32_t label, double *nll)
{
    int64_t best = 0;
    double sum = 0;
    for (int64_t c = 1; c < n; c++)
        if (z[c] > z[best])
            best = c;
    for (int64_t c = 0; c < n; c++)
        sum += exp((double)z[c] - (double)z[best]);
    *nll = log(sum) + (double)z[best] - (double)z[label];
    return best == label;
}

bool logits_score(const Tensor *logits, const Tensor *labels, double *acc, double *nll,
                  Err *err)
{
    char a[96], b[96];
    if (logits->dtype != F32 || logits->ndim != 2 || labels->dtype != I32 ||
        labels->ndim != 1 || labels->dim[0] != logits->dim[0] || logits->dim[0] == 0 ||
        !tensor_contiguous(logits) || !tensor_contiguous(labels))
        return err_set(
            err, ERR_SHAPE,
            "scores need contiguous logits f32[N,C] and labels i32[N] of at least "
            "one example, not %s and %s",
            tensor_format_shape(logits, a), tensor_format_shape(labels, b));
    int64_t n = logits->dim[0], c = logits->dim[1], right = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t label = ((const int32_t *)labels->data)[i];
        double one;
        if (label < 0 || label >= c)
            return err_set(err, ERR_SHAPE,
                           "label %d of example %" PRId64 " is outside 0..%" PRId64,
                           label, i, c - 1);
        right += score_row((const float *)logits->data + i * c, c, label, &one);
        sum += one;
    }
    *acc = (double)right / (double)n;
    *nll = sum / (double)n;
    return true;
}
