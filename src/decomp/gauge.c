/* gauge.c -- for a class with rows W = [P; N] and gradient G = dF/dW, F changes along X
 * W, X = [[A, B], [B^T, D]] with A and D skew, by <X, G W^T>; so the steepest X is the
 * projection of M = G W^T: A and D the skew parts of its diagonal blocks, B the mean of
 * one off-diagonal block and the other's transpose. Adam works on the entries of X
 * (which keeps their signs and pairs), and W := (I - Y/2)^-1 (I + Y/2) W. */
#include "decomp/gauge_int.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/priors.h"
#include "graph/plan.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

#define FIELD(name) offsetof(GaugeCfg, name)
// clang-format off
const OptRow gauge_options[] = {
    {"criterion", OPT_ENUM, FIELD(criterion), "sparsity", 0, 0,
     "sparsity locality smoothness varimax",
     "What the displayed patterns should have."},
    {"display", OPT_ENUM, FIELD(display), "pairs", 0, 0, "pairs squares",
     "Components as pairs of patterns, or every square for itself."},
    {"steps", OPT_INT, FIELD(steps), "200", 0, 1000000, NULL,
     "Steps inside the group for each start."},
    {"starts", OPT_INT, FIELD(starts), "1", 1, 1000, NULL,
     "The gauge as given, then random ones; the best end is kept."},
    {"seed", OPT_INT, FIELD(seed), "1", 0, 0, NULL, "Seed of random gauges."},
    {"lr", OPT_NUM, FIELD(lr), "0.03", 1e-9, 10, NULL,
     "Angle of a step for every entry, falling to 0 along a cosine."},
    {"cancellation", OPT_NUM, FIELD(cancellation), "0.05", 0, 1e6, NULL,
     "Weight of the sum of the components' norms, so that boosts stay small."},
    {"emphasis", OPT_NUM, FIELD(emphasis), "0", 0, 4, NULL,
     "Power of a component's norm with which its patterns count."},
};
// clang-format on
const size_t gauge_n_options = ARRAY_LEN(gauge_options);

static double *f64(const Tensor *t)
{
    return t->data;
}

/* --- the criterion ---------------------------------------------------------------- */

static const char *prior_of(const char *criterion)
{
    return strcmp(criterion, "smoothness") ? criterion : "roughness";
}

/* |sym a b^T|^2 of every row */
static Val norms(Graph *g, Val a, Val b)
{
    Val aa = g_sum_axis(g, g_square(g, a), 1, false);
    Val bb = g_sum_axis(g, g_square(g, b), 1, false);
    Val ab = g_sum_axis(g, g_mul(g, a, b), 1, false);
    return g_scale(g, g_add(g, g_mul(g, aa, bb), g_square(g, ab)), 0.5);
}

static void build(GaugeMove *v, Graph *g, double TT)
{
    OpAttr axis = {0};
    Val of[2] = {graph_state(g, "P", &v->P), graph_state(g, "N", &v->N)}, d[2];
    PriorCtx p = {.g = g, .R = v->R, .I = v->I, .height = v->height, .width = v->width};
    Val both = g_call(g, "concat", of, 2, &axis), size;
    p.a = g_add(g, of[0], of[1]);
    p.b = g_sub(g, of[0], of[1]);
    p.unlit = p.gram = p.head = VAL_NONE;
    p.q = v->squares ? prior_unit_rows(g, both) : prior_patterns(g, p.a, p.b);
    p.energy = g_square(g, p.q);
    size = v->squares ? norms(g, both, both) : norms(g, p.a, p.b);
    p.weight = prior_weights(g, size, v->cfg->emphasis, !v->squares);
    p.R = v->squares ? 2 * v->R : v->R;
    p.nrm = size;
    p.TT = g_num(g, p.a, TT);
    Val value = prior_rows[prior_index(prior_of(v->cfg->criterion))].build(&p);
    Val cancel = prior_rows[prior_index("cancellation")].build(&p);
    Val loss = g_add(g, value, g_scale(g, cancel, v->cfg->cancellation));
    graph_output(g, "value", value);
    graph_output(g, "loss", loss);
    graph_grad(g, loss, of, 2, d);
    graph_output(g, "dP", d[0]);
    graph_output(g, "dN", d[1]);
}

static bool compile(GaugeMove *v, double TT, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return false;
    build(v, g, TT);
    bool ok = graph_ok(g) || err_set(err, graph_err(g)->code, "%s", graph_err(g)->msg);
    ok = ok && (v->plan = plan_new(g, 0, err)) != NULL;
    graph_free(g);
    if (!ok)
        return false;
    v->out_value = plan_output_index(v->plan, "value");
    v->out_loss = plan_output_index(v->plan, "loss");
    v->out_dp = plan_output_index(v->plan, "dP");
    v->out_dn = plan_output_index(v->plan, "dN");
    return true;
}

static double output(const GaugeMove *v, int k)
{
    return tensor_item(plan_output(v->plan, k));
}

/* --- a step inside a class -------------------------------------------------------- */

/* Rows of the class of x [R,I] and y under one another: out [2n,I]. */
static void gather(const GaugeGroup *c, const Tensor *x, const Tensor *y, double *out)
{
    int64_t I = x->dim[1];
    for (int64_t k = 0; k < c->n; k++) {
        memcpy(out + k * I, f64(x) + c->rows[k] * I, sizeof *out * (size_t)I);
        memcpy(out + (c->n + k) * I, f64(y) + c->rows[k] * I, sizeof *out * (size_t)I);
    }
}

void gauge_project(double *M, int64_t n)
{
    int64_t m = 2 * n;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++) {
            bool same = (i < n) == (j < n);
            double x = M[i * m + j], y = M[j * m + i];
            M[i * m + j] = 0.5 * (same ? x - y : x + y);
            M[j * m + i] = 0.5 * (same ? y - x : x + y);
        }
}

/* M to the step -lr m/sqrt(v) of Adam at step t >= 1. */
static void adam(double *M, GaugeGroup *c, double lr, int64_t t)
{
    double c1 = 1 - pow(0.9, (double)t), c2 = 1 - pow(0.999, (double)t);
    for (int64_t i = 0; i < 4 * c->n * c->n; i++) {
        c->m[i] = 0.9 * c->m[i] + 0.1 * M[i];
        c->v[i] = 0.999 * c->v[i] + 0.001 * M[i] * M[i];
        M[i] = -lr * (c->m[i] / c1) / (sqrt(c->v[i] / c2) + 1e-12);
    }
}

bool gauge_cayley(const double *Y, int64_t m, Tensor *Q, Err *err)
{
    Tensor left = {0}, right = {0};
    bool ok = tensor_new(F64, 2, (int64_t[]){m, m}, &left, err) &&
              tensor_new(F64, 2, (int64_t[]){m, m}, &right, err);
    for (int64_t i = 0; ok && i < m * m; i++) {
        double one = i / m == i % m;
        f64(&left)[i] = one - 0.5 * Y[i];
        f64(&right)[i] = one + 0.5 * Y[i];
    }
    ok = ok && lapack_solve(&left, &right, Q, err);
    tensor_release(&left);
    tensor_release(&right);
    return ok;
}

static bool step_class(GaugeMove *v, GaugeGroup *c, double lr, int64_t t, Err *err)
{
    int64_t m = 2 * c->n, I = v->I;
    double *W = v->scratch, *G = W + m * I, *M = G + m * I;
    Tensor Q = {0};
    if (c->n == 0)
        return true;
    gather(c, &v->P, &v->N, W);
    gather(c, plan_output(v->plan, v->out_dp), plan_output(v->plan, v->out_dn), G);
    bool ok = blas_gemm_f64(false, true, m, m, I, 1, G, I, W, I, 0, M, m, err);
    if (ok) {
        gauge_project(M, c->n);
        adam(M, c, lr, t);
    }
    ok = ok && gauge_cayley(M, m, &Q, err) &&
         blas_gemm_f64(false, false, m, I, m, 1, f64(&Q), m, W, I, 0, G, I, err);
    for (int64_t k = 0; ok && k < c->n; k++) {
        memcpy(f64(&v->P) + c->rows[k] * I, G + k * I, sizeof *G * (size_t)I);
        memcpy(f64(&v->N) + c->rows[k] * I, G + (c->n + k) * I, sizeof *G * (size_t)I);
    }
    tensor_release(&Q);
    return ok;
}

/* --- making ----------------------------------------------------------------------- */

bool gauge_split_row(const Dictionary *d, int64_t r, double *p, double *n, Err *err)
{
    const float *a = (float *)d->a.data + r * d->I, *b = (float *)d->b.data + r * d->I;
    const float *h = (float *)d->head.data + r * d->C;
    int64_t used = 0, c = ((int32_t *)d->owner.data)[r];
    for (int64_t k = 0; k < d->C; k++)
        used += h[k] != 0;
    if (used > 1)
        return err_set(err, ERR_OPTION,
                       "component %lld speaks for %lld classes; a gauge needs "
                       "one-class heads",
                       (long long)r, (long long)used);
    double x = (double)h[c], root = sqrt(fabs(x)), s = x < 0 ? -1 : 1;
    for (int64_t i = 0; i < d->I; i++) {
        double left = root * (double)a[i], right = root * s * (double)b[i];
        p[i] = 0.5 * (left + right);
        n[i] = 0.5 * (left - right);
    }
    return true;
}

static bool load(GaugeMove *v, const Dictionary *d, Err *err)
{
    for (int64_t r = 0; r < v->R; r++)
        if (!gauge_split_row(d, r, f64(&v->P) + r * v->I, f64(&v->N) + r * v->I, err))
            return false;
    return true;
}

static void group_rows(GaugeMove *v, const Dictionary *d)
{
    int64_t *next = v->order;
    for (int64_t c = 0; c < v->C; c++) {
        v->group[c].rows = next;
        v->group[c].n = 0;
        for (int64_t r = 0; r < v->R; r++)
            if (((int32_t *)d->owner.data)[r] == c) {
                *next++ = r;
                v->group[c].n++;
            }
    }
}

static bool add_moments(GaugeMove *v, Err *err)
{
    int64_t most = 1;
    for (int64_t c = 0; c < v->C; c++) {
        int64_t n = v->group[c].n;
        most = n > most ? n : most;
        if (n &&
            !(v->group[c].m = mem_zalloc(sizeof(double) * (size_t)(8 * n * n), err)))
            return false;
        v->group[c].v = v->group[c].m + 4 * n * n;
    }
    int64_t room = 4 * most * v->I + 4 * most * most;
    return (v->scratch = mem_array((size_t)room, sizeof *v->scratch, err)) != NULL;
}

void gauge_move_done(GaugeMove *v)
{
    for (int64_t c = 0; v->group && c < v->C; c++)
        mem_free(v->group[c].m);
    mem_free(v->group);
    mem_free(v->order);
    mem_free(v->scratch);
    tensor_release(&v->P);
    tensor_release(&v->N);
    plan_free(v->plan);
}

bool gauge_move_new(GaugeMove *v, const Dictionary *d, const GaugeCfg *cfg,
                    int64_t height, int64_t width, Err *err)
{
    DictGram gram = {0};
    Tensor G = {0};
    *v = (GaugeMove){.cfg = cfg,
                     .R = d->shown,
                     .C = d->C,
                     .I = d->I,
                     .height = height,
                     .width = width,
                     .squares = !strcmp(cfg->display, "squares")};
    if (height * width != d->I)
        return err_set(err, ERR_SHAPE, "images of %lld x %lld have not %lld pixels",
                       (long long)height, (long long)width, (long long)d->I);
    int64_t dim[2] = {v->R, v->I};
    bool ok = tensor_new(F64, 2, dim, &v->P, err) &&
              tensor_new(F64, 2, dim, &v->N, err) && load(v, d, err) &&
              (v->group = mem_zalloc(sizeof *v->group * (size_t)v->C, err)) &&
              (v->order = mem_array((size_t)v->R, sizeof *v->order, err));
    if (ok)
        group_rows(v, d);
    ok = ok && add_moments(v, err) && dict_gram_matrix(d, NULL, &G, err);
    for (int64_t i = 0; ok && i < tensor_count(&G); i++)
        gram.TT += f64(&G)[i];
    tensor_release(&G);
    return ok && compile(v, fmax(gram.TT, 1e-300), err);
}

/* --- the move --------------------------------------------------------------------- */

static bool descend(GaugeMove *v, double *value, double *loss, Err *err)
{
    static const double PI = 3.14159265358979323846;
    int64_t steps = v->cfg->steps;
    for (int64_t c = 0; c < v->C; c++)
        if (v->group[c].m)
            memset(v->group[c].m, 0,
                   sizeof(double) * (size_t)(8 * v->group[c].n * v->group[c].n));
    for (int64_t t = 1; t <= steps; t++) {
        double lr = v->cfg->lr * 0.5 * (1 + cos(PI * (double)(t - 1) / (double)steps));
        if (!intr_check(err) || !plan_run(v->plan, NULL, err))
            return false;
        for (int64_t c = 0; c < v->C; c++)
            if (!step_class(v, &v->group[c], lr, t, err))
                return false;
    }
    if (!plan_run(v->plan, NULL, err))
        return false;
    *value = output(v, v->out_value);
    *loss = output(v, v->out_loss);
    return true;
}

static void store_pairs(const GaugeMove *v, Dictionary *d)
{
    float *a = d->a.data, *b = d->b.data, *h = d->head.data;
    for (int64_t r = 0; r < v->R; r++) {
        memset(h + r * d->C, 0, sizeof *h * (size_t)d->C);
        h[r * d->C + ((int32_t *)d->owner.data)[r]] = 1;
        for (int64_t i = 0; i < v->I; i++) {
            double p = f64(&v->P)[r * v->I + i], n = f64(&v->N)[r * v->I + i];
            a[r * v->I + i] = (float)(p + n);
            b[r * v->I + i] = (float)(p - n);
        }
    }
    Dictionary shown = *d; /* a residual is not balanced: it is not displayed */
    shown.R = v->R;
    dict_balance(&shown);
}

static double row_square(const Tensor *t, int64_t r)
{
    double s = 0;
    for (int64_t i = 0; i < t->dim[1]; i++)
        s += pow(f64(t)[r * t->dim[1] + i], 2);
    return s;
}

/* d replaced by squares, with its residual behind them. */
static bool store_squares(const GaugeMove *v, Dictionary *d, Err *err)
{
    Dictionary all, out = {0}, rest = {0};
    const Tensor *side[2] = {&v->P, &v->N};
    double most = 0;
    int64_t n = 0, I = v->I;
    for (int64_t k = 0; k < 2 * v->R; k++)
        most = fmax(most, row_square(side[k / v->R], k % v->R));
    for (int64_t k = 0; k < 2 * v->R; k++)
        n += row_square(side[k / v->R], k % v->R) > 1e-12 * most;
    if (!dict_new(n > 0 ? n : 1, d->C, I, &out, err))
        return false;
    for (int64_t k = 0, at = 0; k < 2 * v->R; k++) {
        int64_t r = k % v->R, c = ((int32_t *)d->owner.data)[r];
        const double *x = f64(side[k / v->R]) + r * I;
        if (!(row_square(side[k / v->R], r) > 1e-12 * most))
            continue;
        for (int64_t i = 0; i < I; i++)
            ((float *)out.a.data)[at * I + i] = ((float *)out.b.data)[at * I + i] =
                (float)x[i];
        ((float *)out.head.data)[at++ * d->C + c] = k < v->R ? 1 : -1;
    }
    dict_find_owners(&out);
    bool ok = true;
    if (d->R > d->shown) {
        ok = dict_part(d, d->shown, d->R - d->shown, &rest, err);
        rest.shown = 0;
        ok = ok && dict_join(&out, &rest, &all, err);
        dict_done(&rest);
        dict_done(&out);
        out = ok ? all : (Dictionary){0};
    }
    if (ok) {
        dict_done(d);
        *d = out;
    }
    return ok;
}

/* A copy of d in a random gauge, then into P and N. */
static bool other_start(GaugeMove *v, const Dictionary *d, int64_t k, Err *err)
{
    Dictionary at = {0}, part = {0};
    bool ok = dict_part(d, 0, v->R, &part, err) &&
              dict_new(v->R, v->C, v->I, &at, err) &&
              tensor_copy_into(&part.a, &at.a, err) &&
              tensor_copy_into(&part.b, &at.b, err) &&
              tensor_copy_into(&part.head, &at.head, err);
    if (ok) {
        dict_find_owners(&at);
        ok = load(v, &at, err);
    }
    if (ok) {
        for (int64_t i = 0; i < v->R * v->I; i++) {
            double p = f64(&v->P)[i], n = f64(&v->N)[i];
            ((float *)at.a.data)[i] = (float)(p + n);
            ((float *)at.b.data)[i] = (float)(p - n);
        }
        memset(at.head.data, 0, tensor_bytes(&at.head));
        for (int64_t r = 0; r < v->R; r++)
            ((float *)at.head.data)[r * v->C + ((int32_t *)at.owner.data)[r]] = 1;
        ok =
            dict_gauge(&at, (uint64_t)(v->cfg->seed + k - 1), err) && load(v, &at, err);
    }
    dict_done(&at);
    dict_done(&part);
    return ok;
}

bool gauge_move(Dictionary *d, const GaugeCfg *cfg, int64_t height, int64_t width,
                GaugeReport *out, Err *err)
{
    GaugeMove v;
    Tensor best[2] = {{0}, {0}};
    double top = INFINITY, value, loss;
    *out = (GaugeReport){0};
    bool ok =
        gauge_move_new(&v, d, cfg, height, width, err) && plan_run(v.plan, NULL, err);
    if (ok)
        out->before = out->after = output(&v, v.out_value);
    for (int64_t k = 0; ok && k < cfg->starts; k++) {
        ok = (k == 0 || other_start(&v, d, k, err)) && descend(&v, &value, &loss, err);
        if (!ok || !(loss < top))
            continue;
        top = loss;
        out->after = value;
        out->start = k;
        tensor_release(&best[0]);
        tensor_release(&best[1]);
        ok = tensor_copy(&v.P, &best[0], err) && tensor_copy(&v.N, &best[1], err);
    }
    if (ok && !best[0].data)
        ok =
            err_set(err, ERR_NUMERIC, "the criterion is not finite on this dictionary");
    if (ok) {
        memcpy(v.P.data, best[0].data, tensor_bytes(&best[0]));
        memcpy(v.N.data, best[1].data, tensor_bytes(&best[1]));
        if (v.squares)
            ok = store_squares(&v, d, err);
        else
            store_pairs(&v, d);
    }
    tensor_release(&best[0]);
    tensor_release(&best[1]);
    gauge_move_done(&v);
    return ok;
}

/* --- the dial --------------------------------------------------------------------- */

/* The k-th displayed component of a class, -1: none. */
static int64_t nth_of(const Dictionary *d, int64_t c, int64_t k)
{
    for (int64_t r = 0; r < d->shown; r++)
        if (((int32_t *)d->owner.data)[r] == c && k-- == 0)
            return r;
    return -1;
}

/* Two rows: x' = cx x + sx y, y' = sy x + cy y on one side of both components. */
static void mix(Dictionary *d, int64_t ri, int64_t rj, GaugeTurn kind, double angle)
{
    float *a = d->a.data, *b = d->b.data;
    double c = kind == TURN_BOOST ? cosh(angle) : cos(angle);
    double s = kind == TURN_BOOST ? sinh(angle) : sin(angle);
    for (int64_t i = 0; i < d->I; i++) {
        double ai = (double)a[ri * d->I + i], bi = (double)b[ri * d->I + i];
        double aj = (double)a[rj * d->I + i], bj = (double)b[rj * d->I + i];
        double pi = 0.5 * (ai + bi), ni = 0.5 * (ai - bi), pj = 0.5 * (aj + bj),
               nj = 0.5 * (aj - bj);
        double *x = kind == TURN_MINUS ? &ni : &pi, *y = kind == TURN_PLUS ? &pj : &nj;
        if (kind == TURN_BOOST && ri == rj)
            y = &ni;
        double old = *x;
        *x = c * old + (kind == TURN_BOOST ? s : -s) * *y;
        *y = s * old + c * *y;
        a[ri * d->I + i] = (float)(pi + ni);
        b[ri * d->I + i] = (float)(pi - ni);
        if (ri != rj) {
            a[rj * d->I + i] = (float)(pj + nj);
            b[rj * d->I + i] = (float)(pj - nj);
        }
    }
}

bool gauge_turn(Dictionary *d, int64_t c, GaugeTurn kind, int64_t i, int64_t j,
                double angle, Err *err)
{
    int64_t ri = nth_of(d, c, i), rj = nth_of(d, c, j);
    const float *h = d->head.data;
    if (ri < 0 || rj < 0 || (kind != TURN_BOOST && ri == rj))
        return err_set(err, ERR_OPTION,
                       "class %lld has no two components %lld and %lld to turn",
                       (long long)c, (long long)i, (long long)j);
    for (int64_t k = 0; k < d->C; k++)
        if (h[ri * d->C + k] != h[rj * d->C + k] || (k != c && h[ri * d->C + k] != 0))
            return err_set(err, ERR_OPTION,
                           "turning needs one-class heads of the same size");
    mix(d, ri, rj, kind, angle);
    return true;
}
