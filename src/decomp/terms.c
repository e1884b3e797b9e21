/* terms.c -- one stacked product with S serves a and b, and the gradients of both; with
 * ea = a S embed^T,
 *   <T,B> = sum_r ea_r M_owner(r) eb_r,
 *   <T,T> = sum_rs same_rs 1/2 (Gaa Gbb + Gab Gab^T),
 * G.. = Gram matrices in the metric. */
#include "decomp/terms.h"

#include <math.h>
#include <string.h>

#include "graph/build.h"

/* --- the cosine ------------------------------------------------------------------- */

static void fill_classes(const Interaction *b, const int32_t *owner, CosineConst *c)
{
    int64_t R = c->R, E = b->E;
    for (int64_t r = 0; r < R; r++) {
        const double *m = (double *)b->core.data + owner[r] * E * E;
        for (int64_t i = 0; i < E * E; i++)
            ((float *)c->core.data)[r * E * E + i] = (float)m[i];
        for (int64_t s = 0; s < R; s++)
            ((float *)c->same.data)[r * R + s] = owner[r] == owner[s] ? 1 : 0;
    }
}

bool cosine_const(const Interaction *b, const Tensor *S, const int32_t *owner,
                  int64_t R, CosineConst *out, Err *err)
{
    Tensor K = {0};
    memset(out, 0, sizeof *out);
    out->R = R;
    Tensor ES = {0};
    bool ok = metric_apply(S, &b->embed, &ES, err) &&
              tensor_convert(&ES, F32, &out->embed_S, err) &&
              tensor_convert(&b->embed, F32, &out->embed, err) &&
              tensor_new(F32, 3, (int64_t[]){R, b->E, b->E}, &out->core, err) &&
              tensor_new(F32, 2, (int64_t[]){R, R}, &out->same, err) &&
              interaction_gram(b, S, &K, err) &&
              interaction_norm2(b, &K, &out->BB, err) &&
              (!S || tensor_convert(S, F32, &out->S, err));
    tensor_release(&K);
    tensor_release(&ES);
    if (ok && !(out->BB > 0))
        ok = err_set(err, ERR_NUMERIC,
                     "the interaction tensor is zero: nothing to decompose");
    if (ok)
        fill_classes(b, owner, out);
    else
        cosine_done(out);
    return ok;
}

void cosine_done(CosineConst *c)
{
    Tensor *const all[] = {&c->S, &c->embed, &c->embed_S, &c->core, &c->same};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
}

Val rows_of(Graph *g, Val x, int64_t from, int64_t to)
{
    OpAttr a = {
        .i = {0, from, to, 1}
    };
    return g_call(g, "slice", &x, 1, &a);
}

/* x with no value and the gradient of x: for terms that only carry a derivative. */
static Val slope(Graph *g, Val x)
{
    return g_sub(g, x, g_stop(g, x));
}

/* a S a^T from s = a S without gradient: the transposed term carries the derivative by
 * the left factor, so backward needs no second product with S. */
static Val gram_self(Graph *g, Val s, Val a)
{
    Val G = g_matmul(g, s, a, false, true);
    return g_add(g, G, slope(g, g_transpose(g, G)));
}

/* a S b^T, the same way. */
static Val gram_cross(Graph *g, Val a, Val b, Val sa, Val sb)
{
    Val G = g_matmul(g, sa, b, false, true);
    return g_add(g, G, slope(g, g_matmul(g, a, sb, false, true)));
}

/* a S embed^T: the value from s, the derivative through embed S. */
static Val embedded(const CosineConst *c, Graph *g, Val a, Val s)
{
    Val value = g_matmul(g, s, graph_const(g, &c->embed), false, true);
    Val by_a = g_matmul(g, a, graph_const(g, &c->embed_S), false, true);
    return g_add(g, value, slope(g, by_a));
}

void cosine_terms(const CosineConst *c, Graph *g, Val a, Val b, CosineTerms *t)
{
    int64_t R = c->R;
    OpAttr axis = {0};
    Val sa = g_stop(g, a), sb = g_stop(g, b);
    if (c->S.data) {
        Val both = g_call(g, "concat", (Val[]){sa, sb}, 2, &axis);
        Val bothS = g_matmul(g, both, graph_const(g, &c->S), false, false);
        sa = rows_of(g, bothS, 0, R);
        sb = rows_of(g, bothS, R, 2 * R);
    }
    Val ea = embedded(c, g, a, sa), eb = embedded(c, g, b, sb);
    Val em = g_einsum(g, "re,ref->rf", ea, graph_const(g, &c->core));
    Val Gaa = gram_self(g, sa, a), Gbb = gram_self(g, sb, b);
    Val Gab = gram_cross(g, a, b, sa, sb);
    Val sum = g_add(g, g_mul(g, Gaa, Gbb), g_mul(g, Gab, g_transpose(g, Gab)));
    t->gram = g_mul(g, g_scale(g, sum, 0.5), graph_const(g, &c->same));
    t->TB = g_sum(g, g_mul(g, em, eb));
    t->TT = g_sum(g, t->gram);
    t->nrm = g_unary(g, "diag", t->gram);
    t->cosine = g_div(g, t->TB, g_sqrt(g, g_scale(g, t->TT, c->BB)));
}

/* --- free heads ------------------------------------------------------------------- */

bool head_const(const Interaction *b, const Tensor *S, HeadConst *out, Err *err)
{
    Tensor K = {0};
    int64_t C = b->C, E = b->E;
    memset(out, 0, sizeof *out);
    out->C = C;
    out->E = E;
    bool ok = tensor_convert(&b->embed, F32, &out->embed, err) &&
              tensor_new(F32, 2, (int64_t[]){E, C * E}, &out->core, err) &&
              interaction_gram(b, S, &K, err) &&
              interaction_norm2(b, &K, &out->BB, err) &&
              (!S || tensor_convert(S, F32, &out->S, err));
    tensor_release(&K);
    if (ok && !(out->BB > 0))
        ok = err_set(err, ERR_NUMERIC,
                     "the interaction tensor is zero: nothing to decompose");
    for (int64_t c = 0; ok && c < C; c++)
        for (int64_t e = 0; e < E; e++)
            for (int64_t f = 0; f < E; f++)
                ((float *)out->core.data)[(e * C + c) * E + f] =
                    (float)((double *)b->core.data)[(c * E + e) * E + f];
    if (!ok)
        head_done(out);
    return ok;
}

void head_done(HeadConst *c)
{
    tensor_release(&c->S);
    tensor_release(&c->embed);
    tensor_release(&c->core);
}

static Val through(const HeadConst *c, Graph *g, Val x)
{
    return c->S.data ? g_matmul(g, x, graph_const(g, &c->S), false, false) : x;
}

/* Sums over the terms of some components: gram [n,n], cross [n]. */
static void sum_terms(Graph *g, Val gram, Val cross, double BB, CosineTerms *t)
{
    t->gram = gram;
    t->TB = g_sum(g, cross);
    t->TT = g_sum(g, gram);
    t->nrm = g_unary(g, "diag", gram);
    t->cosine =
        g_div(g, t->TB, g_sqrt(g, g_shift(g, g_scale(g, t->TT, BB), 1e-30 * (BB + 1))));
}

void head_terms(const HeadConst *c, Graph *g, Val a, Val b, Val head, int64_t shown,
                CosineTerms *t, CosineTerms *main)
{
    if (!graph_ok(g))
        return;
    int64_t R = graph_spec(g, a).dim[0], C = c->C, E = c->E;
    Val embed = graph_const(g, &c->embed), aS = through(c, g, a);
    Val bS = a == b ? aS : through(c, g, b);
    Val ea = g_matmul(g, aS, embed, false, true);
    Val eb = a == b ? ea : g_matmul(g, bS, embed, false, true);
    /* the classes first: q_rc = ea_r M_c eb_r; then heads */
    Val em = g_reshape(g, g_matmul(g, ea, graph_const(g, &c->core), false, false), 3,
                       (int64_t[]){R, C, E});
    Val q = g_sum_axis(g, g_mul(g, em, g_reshape(g, eb, 3, (int64_t[]){R, 1, E})), 2,
                       false);
    Val cross = g_sum_axis(g, g_mul(g, q, head), 1, false);
    Val Gaa = g_matmul(g, aS, a, false, true), sum;
    if (a == b) {
        sum = g_scale(g, g_square(g, Gaa), 2);
    } else {
        Val Gbb = g_matmul(g, bS, b, false, true),
            Gab = g_matmul(g, aS, b, false, true);
        sum = g_add(g, g_mul(g, Gaa, Gbb), g_mul(g, Gab, g_transpose(g, Gab)));
    }
    Val gram = g_mul(g, g_scale(g, sum, 0.5), g_matmul(g, head, head, false, true));
    sum_terms(g, gram, cross, c->BB, t);
    if (main && shown < R) {
        OpAttr cols = {
            .i = {1, 0, shown, 1}
        };
        Val part = rows_of(g, gram, 0, shown);
        part = g_call(g, "slice", &part, 1, &cols);
        sum_terms(g, part, rows_of(g, cross, 0, shown), c->BB, main);
    } else if (main) {
        *main = *t;
    }
}

/* --- distillation ----------------------------------------------------------------- */

static bool check_examples(const DictData *d, const Interaction *b, Err *err)
{
    char x[96], y[96];
    if (!d->x || !d->logits)
        return err_set(err, ERR_OPTION,
                       "distill needs examples and the network's logits on them");
    if (d->x->dtype == F32 && d->logits->dtype == F32 && d->x->ndim == 2 &&
        d->logits->ndim == 2 && d->x->dim[0] == d->logits->dim[0] && d->x->dim[0] > 0 &&
        d->x->dim[1] == b->I && d->logits->dim[1] == b->C)
        return true;
    return err_set(err, ERR_SHAPE,
                   "distill: examples %s and logits %s must be f32[N,%lld] and "
                   "f32[N,%lld]",
                   tensor_format_shape(d->x, x), tensor_format_shape(d->logits, y),
                   (long long)b->I, (long long)b->C);
}

bool distill_new(const DictData *d, const Interaction *b, const Tensor *head,
                 Distill *out, Err *err)
{
    double s = 0, s2 = 0;
    memset(out, 0, sizeof *out);
    if (!check_examples(d, b, err))
        return false;
    if (!tensor_contiguous_of(d->x, &out->x, err) ||
        !tensor_contiguous_of(d->logits, &out->logits, err)) {
        distill_done(out);
        return false;
    }
    if (head)
        out->head = tensor_retain(head);
    int64_t n = tensor_count(&out->logits);
    for (int64_t i = 0; i < n; i++) {
        double v = (double)((float *)out->logits.data)[i];
        s += v;
        s2 += v * v;
    }
    out->var = fmax(s2 / (double)n - (s / (double)n) * (s / (double)n), 1e-12);
    return true;
}

void distill_done(Distill *d)
{
    tensor_release(&d->x);
    tensor_release(&d->logits);
    tensor_release(&d->head);
}

Val distill_act(const Distill *d, Graph *g, Val a, Val b, Val idx)
{
    OpAttr axis = {0};
    Val x = g_call(g, "gather", (Val[]){graph_const(g, &d->x), idx}, 2, &axis);
    Val xa = g_matmul(g, x, a, false, true);
    return a == b ? g_square(g, xa) : g_mul(g, xa, g_matmul(g, x, b, false, true));
}

Val distill_error(const Distill *d, Graph *g, Val act, Val head, Val scale, Val idx)
{
    OpAttr axis = {0};
    Val y = g_call(g, "gather", (Val[]){graph_const(g, &d->logits), idx}, 2, &axis);
    Val fit = g_mul(g, g_matmul(g, act, head, false, false), scale);
    return g_scale(g, g_mean(g, g_square(g, g_sub(g, fit, y))), 1 / d->var);
}

Val distill_loss(const Distill *d, Graph *g, const CosineTerms *t, Val a, Val b,
                 Val idx)
{
    return distill_error(d, g, distill_act(d, g, a, b, idx), graph_const(g, &d->head),
                         g_div(g, t->TB, t->TT), idx);
}
