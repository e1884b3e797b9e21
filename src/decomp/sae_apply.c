/* sae_apply.c -- passes over many examples in blocks, and thresholds from a whole set.
 * The exact threshold comes from order statistics: the value midway between the last
 * pre-activation that is to be kept and the first that is not. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_int.h"
#include "graph/build.h"
#include "graph/plan.h"

enum { BLOCK = 1000 };

/* ---- passes ---------------------------------------------------------------------- */

static Plan *rows_plan(Sae *s, int64_t n, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return NULL;
    Val x = graph_input(g, "x", F32, 2, (int64_t[]){n, s->D});
    SaeScaled in = sae_norm_in(s, g, x);
    Val u = sae_pre(s, g, in.x), f = s->act->infer(s, g, u);
    graph_output(g, "u", u);
    graph_output(g, "f", f);
    graph_output(g, "y", sae_norm_back(s, g, &in, sae_write(s, g, f, in.x)));
    Plan *p = plan_new(g, 0, err);
    graph_free(g);
    return p;
}

static bool run_rows(Sae *s, Plan *p, const Tensor *x, int64_t first, int64_t n,
                     SaeEach *each, void *ctx, Err *err)
{
    Tensor in =
        tensor_wrap(F32, 2, (int64_t[]){n, s->D}, (float *)x->data + first * s->D);
    if (!plan_run(p, &in, err))
        return false;
    SaeRows r = {first, n, plan_output(p, 0)->data, plan_output(p, 1)->data,
                 plan_output(p, 2)->data};
    return each(ctx, &r, err);
}

bool sae_each(Sae *s, const Tensor *x, int64_t block, SaeEach *each, void *ctx,
              Err *err)
{
    char is[96];
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != s->D || x->dim[0] < 1 ||
        !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "the autoencoder takes contiguous f32 [N,%lld], not %s",
                       (long long)s->D, tensor_format_shape(x, is));
    if (!tensor_finite(x))
        return err_set(err, ERR_NUMERIC, "the autoencoder's input is not finite");
    int64_t n = x->dim[0], b = block > 0 ? block : BLOCK, tail = n % b;
    Plan *whole = n >= b ? rows_plan(s, b, err) : NULL;
    Plan *rest = tail && (n < b || whole) ? rows_plan(s, tail, err) : NULL;
    bool ok = (n < b || whole) && (!tail || rest);
    for (int64_t i = 0; ok && i < n; i += b)
        ok = run_rows(s, n - i < b ? rest : whole, x, i, n - i < b ? n - i : b, each,
                      ctx, err);
    plan_free(whole);
    plan_free(rest);
    return ok;
}

typedef struct Keep {
    float *to;
    int64_t width;
    enum { KEEP_PRE, KEEP_CODE, KEEP_OUT } what;
} Keep;

static bool keep_rows(void *ctx, const SaeRows *r, Err *err)
{
    const Keep *k = ctx;
    (void)err;
    const float *from = k->what == KEEP_PRE ? r->u : k->what == KEEP_CODE ? r->f : r->y;
    memcpy(k->to + r->first * k->width, from, sizeof *from * (size_t)(r->n * k->width));
    return true;
}

static bool keep_all(Sae *s, const Tensor *x, int what, int64_t width, Tensor *out,
                     Err *err)
{
    memset(out, 0, sizeof *out);
    if (!tensor_new(F32, 2, (int64_t[]){x->ndim ? x->dim[0] : 0, width}, out, err))
        return false;
    Keep k = {out->data, width, what};
    if (sae_each(s, x, 0, keep_rows, &k, err))
        return true;
    tensor_release(out);
    return false;
}

bool sae_codes(Sae *s, const Tensor *x, Tensor *out, Err *err)
{
    return keep_all(s, x, KEEP_CODE, s->M, out, err);
}

bool sae_outputs(Sae *s, const Tensor *x, Tensor *out, Err *err)
{
    return keep_all(s, x, KEEP_OUT, s->O, out, err);
}

static bool decode_on(Sae *s, const Tensor *code, Tensor *out, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return false;
    SaeScaled none = {VAL_NONE, VAL_NONE, VAL_NONE};
    Val f = graph_input(g, "f", F32, 2, code->dim);
    graph_output(g, "y", sae_norm_back(s, g, &none, sae_write(s, g, f, VAL_NONE)));
    Plan *p = plan_new(g, 0, err);
    graph_free(g);
    bool ok = p && plan_run(p, code, err) && tensor_copy(plan_output(p, 0), out, err);
    plan_free(p);
    return ok;
}

bool sae_decode(Sae *s, const Tensor *code, Tensor *out, Err *err)
{
    char is[96];
    memset(out, 0, sizeof *out);
    if (s->cfg.skip || s->norm == NORM_UNIT || s->norm == NORM_STANDARDISE)
        return err_set(err, ERR_OPTION,
                       "this autoencoder's output needs its input beside the code "
                       "(skip, or normalisation per example); reconstruct from the "
                       "input");
    if (code->dtype != F32 || code->ndim != 2 || code->dim[1] != s->M ||
        !tensor_contiguous(code))
        return err_set(err, ERR_SHAPE, "codes must be contiguous f32 [N,%lld], not %s",
                       (long long)s->M, tensor_format_shape(code, is));
    return decode_on(s, code, out, err);
}

/* ---- thresholds ------------------------------------------------------------------ */

/* Orders v so that v[k] is what a descending sort would put there, larger ones before. */
static void select_largest(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i <= j) {
                float t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            return;
    }
}

/* What to add to thresholds so that `keep` of the excesses stay above 0. */
static double shift_for(float *v, int64_t n, int64_t keep, bool *edge)
{
    *edge = keep > n;
    if (keep >= n)
        return n ? -1e30 : 0;
    select_largest(v, n, keep);
    double below = (double)v[keep], above = (double)INFINITY;
    for (int64_t i = 0; i < keep; i++)
        above = fmin(above, (double)v[i]);
    return keep > 0 ? below + (above - below) / 2 : below;
}

static int64_t count_above(const float *u, const float *theta, int64_t n, int64_t M)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n * M; i++)
        count += u[i] > theta[i % M];
    return count;
}

bool sae_calibrate(Sae *s, const Tensor *x, double l0, SaeCalibration *out, Err *err)
{
    Tensor u = {0}, excess = {0};
    *out = (SaeCalibration){0};
    if (!sae_has_theta(s))
        return err_set(err, ERR_OPTION, "%s has no thresholds to calibrate",
                       s->act->name);
    if (!(l0 > 0 && l0 <= (double)s->M))
        return err_set(err, ERR_OPTION,
                       "an L0 must be above 0 and at most the %lld latents, not %g",
                       (long long)s->M, l0);
    if (!keep_all(s, x, KEEP_PRE, s->M, &u, err) || !tensor_copy(&u, &excess, err)) {
        tensor_release(&u);
        return false;
    }
    int64_t n = u.dim[0], all = n * s->M;
    float *v = excess.data, *theta = s->theta.data, least = theta[0];
    for (int64_t i = 0; i < all; i++)
        v[i] -= theta[i % s->M];
    for (int64_t m = 1; m < s->M; m++)
        least = fminf(least, theta[m]);
    out->before = (double)count_above(u.data, theta, n, s->M) / (double)n;
    double shift = shift_for(v, all, llround(l0 * (double)n), &out->edge);
    if (shift < -(double)least) { /* a threshold below 0 would let negative codes in */
        shift = -(double)least;
        out->edge = true;
    }
    for (int64_t m = 0; m < s->M; m++)
        theta[m] = (float)((double)theta[m] + shift);
    out->shift = shift;
    out->after = (double)count_above(u.data, theta, n, s->M) / (double)n;
    tensor_release(&u);
    tensor_release(&excess);
    return true;
}
