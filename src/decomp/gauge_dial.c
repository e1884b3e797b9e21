/* gauge_dial.c -- making a dial and moving it. Generators have closed forms and change
 * two rows of Q; a flow goes along the steepest element of the Lie algebra in short
 * Cayley steps, each halved until it betters the criterion. */
#include "decomp/gauge_dial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/dial_int.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { HALVINGS = 10 };
static const double longest = 0.1;     /* step of a flow */
static const double most_boosted = 50; /* entry of Q: f32 factors keep six digits */

static double *f64(const Tensor *t)
{
    return t->data;
}

/* --- the group -------------------------------------------------------------------- */

static bool square_new(int64_t m, Tensor *out, Err *err)
{
    return tensor_zeros(F64, 2, (int64_t[]){m, m}, out, err);
}

void dial_reset(GaugeDial *d)
{
    memset(d->Q.data, 0, tensor_bytes(&d->Q));
    for (int64_t i = 0; i < d->m; i++)
        f64(&d->Q)[i * d->m + i] = 1;
    d->reach = longest;
}

bool dial_rows(const GaugeDial *d, const Tensor *Q, const Tensor *rows, double *out,
               Err *err)
{
    int64_t I = rows->dim[1];
    return blas_gemm_f64(false, false, d->m, I, d->m, 1, f64(Q), d->m, f64(rows), I, 0,
                         out, I, err);
}

double dial_drift(const Tensor *Q)
{
    int64_t m = Q->dim[0], n = m / 2;
    double most = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            double s = 0;
            for (int64_t k = 0; k < m; k++) {
                double qq = f64(Q)[k * m + i] * f64(Q)[k * m + j];
                s += k < n ? qq : -qq;
            }
            double J = i != j ? 0 : (i < n ? 1 : -1);
            most = fmax(most, fabs(s - J));
        }
    return most;
}

static bool too_far(const Tensor *Q)
{
    double most = 0;
    for (int64_t i = 0; i < tensor_count(Q); i++)
        most = fmax(most, fabs(f64(Q)[i]));
    return !(most <= most_boosted);
}

/* --- directions ------------------------------------------------------------------- */

static const char *const flows[DIAL_FLOWS] = {"sparsity", "locality", "smoothness",
                                              "varimax"};
static const char *const flow_doc[DIAL_FLOWS] = {
    "To patterns with few pixels.", "To patterns in one place.",
    "To patterns without edges.", "To squared pixels of the largest variance."};

int64_t dial_components(const GaugeDial *d)
{
    return d->n;
}

int64_t dial_n_directions(const GaugeDial *d)
{
    return DIAL_FLOWS + 1 + 2 * d->n * (d->n - 1);
}

/* Generator k: of components 1 and 2 first, then of 3 with them, and so on; of a pair
 * plus, minus, boost both ways. A boost of a component with itself only scales a
 * against b, which is nothing to see. */
static GaugeTurn generator(int64_t k, int64_t *i, int64_t *j)
{
    int64_t top = 0;
    while (k >= 4 * top)
        k -= 4 * top++;
    *i = k % 4 == 3 ? top : k / 4;
    *j = k % 4 == 3 ? k / 4 : top;
    return k % 4 == 0 ? TURN_PLUS : k % 4 == 1 ? TURN_MINUS : TURN_BOOST;
}

bool dial_direction(const GaugeDial *d, int64_t k, DialDirection *out)
{
    static const char *const kind[] = {"plus", "minus", "boost"};
    static const char *const doc[] = {
        "Turns what speaks for the digit in one component into the other's.",
        "Turns what speaks against the digit in one component into the other's.",
        "Adds the same evidence to what speaks for it and what speaks against it."};
    int64_t i, j;
    memset(out, 0, sizeof *out);
    if (k < 0 || k >= dial_n_directions(d))
        return false;
    if (k < DIAL_FLOWS) {
        snprintf(out->name, sizeof out->name, "%s", flows[k]);
        out->doc = flow_doc[k];
    } else if (k == DIAL_FLOWS) {
        snprintf(out->name, sizeof out->name, "random");
        out->doc = "A fixed mixture of all generators: the control.";
    } else {
        GaugeTurn t = generator(k - DIAL_FLOWS - 1, &i, &j);
        snprintf(out->name, sizeof out->name, "%s %lld %lld", kind[t], (long long)i + 1,
                 (long long)j + 1);
        out->doc = doc[t];
    }
    return true;
}

int64_t dial_find(const GaugeDial *d, const char *name)
{
    DialDirection at;
    for (int64_t k = 0; dial_direction(d, k, &at); k++)
        if (!strcmp(at.name, name))
            return k;
    return -1;
}

/* --- moving ----------------------------------------------------------------------- */

/* Rows x and y of Q turned into each other, as gauge_turn() does with patterns. */
static void turn(const GaugeDial *d, Tensor *Q, GaugeTurn kind, int64_t i, int64_t j,
                 double amount)
{
    double c = kind == TURN_BOOST ? cosh(amount) : cos(amount);
    double s = kind == TURN_BOOST ? sinh(amount) : sin(amount);
    double *x = f64(Q) + (kind == TURN_MINUS ? d->n + i : i) * d->m;
    double *y = f64(Q) + (kind == TURN_PLUS ? j : d->n + j) * d->m;
    for (int64_t k = 0; k < d->m; k++) {
        double old = x[k];
        x[k] = c * old + (kind == TURN_BOOST ? s : -s) * y[k];
        y[k] = s * old + c * y[k];
    }
}

/* out = Cayley(amount X) Q, a new tensor. */
static bool along(const GaugeDial *d, const double *X, double amount, const Tensor *Q,
                  Tensor *out, Err *err)
{
    int64_t m = d->m;
    Tensor step = {0};
    double *Y = mem_array((size_t)(m * m), sizeof *Y, err);
    for (int64_t i = 0; Y && i < m * m; i++)
        Y[i] = amount * X[i];
    bool ok = Y && gauge_cayley(Y, m, &step, err) && square_new(m, out, err) &&
              dial_rows(d, &step, Q, out->data, err);
    tensor_release(&step);
    mem_free(Y);
    return ok;
}

static bool flow_open(GaugeDial *d, int64_t k, Err *err)
{
    Dictionary own = {0};
    if (d->has_flow[k])
        return true;
    if (!opt_defaults(gauge_options, gauge_n_options, &d->cfg[k], err) ||
        !dial_class(d, false, &own, err))
        return false;
    snprintf(d->cfg[k].criterion, sizeof d->cfg[k].criterion, "%s", flows[k]);
    bool ok = gauge_move_new(&d->flow[k], &own, &d->cfg[k], d->height, d->width, err);
    dict_done(&own);
    if (ok)
        d->has_flow[k] = true;
    else
        gauge_move_done(&d->flow[k]);
    return ok;
}

/* The criterion at Q W0, ready for flow_slope(). */
static bool flow_loss(const GaugeDial *d, GaugeMove *v, const Tensor *Q, double *loss,
                      Err *err)
{
    double *W = v->scratch;
    int64_t half = d->n * d->dict.I;
    if (!dial_rows(d, Q, &d->W0, W, err))
        return false;
    memcpy(v->P.data, W, sizeof *W * (size_t)half);
    memcpy(v->N.data, W + half, sizeof *W * (size_t)half);
    if (!plan_run(v->plan, NULL, err))
        return false;
    *loss = tensor_item(plan_output(v->plan, v->out_loss));
    return true;
}

/* M [m,m]: the direction of steepest rise, of angle 1; false where it is flat. */
static bool flow_slope(const GaugeDial *d, GaugeMove *v, double *M, bool *flat,
                       Err *err)
{
    int64_t I = d->dict.I, m = d->m, half = d->n * I;
    double *W = v->scratch, *G = W + m * I, s = 0;
    memcpy(W, v->P.data, sizeof *W * (size_t)half);
    memcpy(W + half, v->N.data, sizeof *W * (size_t)half);
    memcpy(G, plan_output(v->plan, v->out_dp)->data, sizeof *G * (size_t)half);
    memcpy(G + half, plan_output(v->plan, v->out_dn)->data, sizeof *G * (size_t)half);
    if (!blas_gemm_f64(false, true, m, m, I, 1, G, I, W, I, 0, M, m, err))
        return false;
    gauge_project(M, d->n);
    for (int64_t i = 0; i < m * m; i++)
        s += M[i] * M[i];
    s = sqrt(s / 2);
    *flat = !(s > 1e-12);
    for (int64_t i = 0; i < m * m; i++)
        M[i] = *flat ? 0 : M[i] / s;
    return true;
}

/* One step of at most `left`; moved 0 at the optimum. *loss is of Q before and after. */
static bool flow_step(GaugeDial *d, GaugeMove *v, bool down, double left, Tensor *Q,
                      double *M, double *loss, double *moved, Err *err)
{
    bool flat;
    double length = fmin(left, fmin(longest, down ? 2 * d->reach : longest));
    *moved = 0;
    if (!flow_slope(d, v, M, &flat, err))
        return false;
    for (int t = 0; !flat && t < HALVINGS; t++, length /= 2) {
        Tensor next = {0};
        double value = INFINITY;
        if (!along(d, M, down ? -length : length, Q, &next, err) ||
            !flow_loss(d, v, &next, &value, err)) {
            tensor_release(&next);
            return false;
        }
        if (!down || value < *loss) {
            tensor_release(Q);
            *Q = next;
            *loss = value;
            *moved = d->reach = length;
            return true;
        }
        tensor_release(&next);
    }
    d->reach = longest;
    return true;
}

static bool flow(GaugeDial *d, int64_t k, double amount, Tensor *Q, double *moved,
                 Err *err)
{
    double left = fabs(amount), loss, step;
    double *M = mem_array((size_t)(d->m * d->m), sizeof *M, err);
    bool ok = M && flow_open(d, k, err) && flow_loss(d, &d->flow[k], Q, &loss, err);
    while (ok && left > 1e-12) {
        ok = intr_check(err) &&
             flow_step(d, &d->flow[k], amount > 0, left, Q, M, &loss, &step, err);
        if (!ok || step == 0)
            break;
        left -= step;
        *moved += amount > 0 ? step : -step;
    }
    mem_free(M);
    return ok;
}

bool dial_step(GaugeDial *d, int64_t direction, double amount, double *moved, Err *err)
{
    Tensor Q = {0}, next = {0};
    double went = 0;
    int64_t i, j;
    if (direction < 0 || direction >= dial_n_directions(d))
        return err_set(err, ERR_OPTION, "there is no direction %lld, there are %lld",
                       (long long)direction, (long long)dial_n_directions(d));
    if (!(fabs(amount) <= DIAL_MOST))
        return err_set(err, ERR_OPTION, "a step of %g; it must be from -%g to %g",
                       amount, DIAL_MOST, DIAL_MOST);
    bool ok = tensor_copy(&d->Q, &Q, err);
    if (ok && direction < DIAL_FLOWS) {
        ok = flow(d, direction, amount, &Q, &went, err);
    } else if (ok && direction == DIAL_FLOWS) {
        ok = along(d, d->random, amount, &Q, &next, err);
        tensor_release(&Q);
        Q = next;
        went = amount;
    } else if (ok) {
        GaugeTurn kind = generator(direction - DIAL_FLOWS - 1, &i, &j);
        turn(d, &Q, kind, i, j, amount);
        went = amount;
    }
    if (ok && too_far(&Q))
        ok =
            err_set(err, ERR_NUMERIC,
                    "so long a boost would cost digits of the tensor; step back first");
    if (ok)
        memcpy(d->Q.data, Q.data, tensor_bytes(&Q));
    if (moved)
        *moved = ok ? went : 0;
    tensor_release(&Q);
    return ok;
}

/* --- making ----------------------------------------------------------------------- */

static bool find_rows(GaugeDial *d, Err *err)
{
    const int32_t *owner = d->dict.owner.data;
    if (!(d->rows = mem_array((size_t)d->dict.shown, sizeof *d->rows, err)))
        return false;
    for (int64_t r = 0; r < d->dict.shown; r++)
        if (owner[r] == d->c)
            d->rows[d->n++] = r;
    d->m = 2 * d->n;
    return d->n > 0 || err_set(err, ERR_OPTION,
                               "no component of the dictionary is one of digit %lld",
                               (long long)d->c);
}

static bool split_rows(GaugeDial *d, Err *err)
{
    int64_t I = d->dict.I;
    if (!tensor_new(F64, 2, (int64_t[]){d->m, I}, &d->W0, err))
        return false;
    for (int64_t k = 0; k < d->n; k++)
        if (!gauge_split_row(&d->dict, d->rows[k], f64(&d->W0) + k * I,
                             f64(&d->W0) + (d->n + k) * I, err))
            return false;
    return true;
}

/* V [m,I] W0 S: gram, cross and the three products of the whole. */
static bool measure(GaugeDial *d, const DictEval *e, const Tensor *S, const Tensor *V,
                    DialMetric *out, Err *err)
{
    int64_t m = d->m, I = d->dict.I, E = e->b->E;
    const double *M = f64(&e->b->core) + d->c * E * E;
    Tensor z = {0}, zm = {0};
    DictGram g;
    bool ok = square_new(m, &out->gram, err) && square_new(m, &out->cross, err) &&
              tensor_new(F64, 2, (int64_t[]){m, E}, &z, err) &&
              tensor_new(F64, 2, (int64_t[]){m, E}, &zm, err) &&
              blas_gemm_f64(false, true, m, m, I, 1, f64(V), I, f64(&d->W0), I, 0,
                            f64(&out->gram), m, err) &&
              blas_gemm_f64(false, true, m, E, I, 1, f64(V), I, f64(&e->b->embed), I, 0,
                            f64(&z), E, err) &&
              blas_gemm_f64(false, false, m, E, E, 1, f64(&z), E, M, E, 0, f64(&zm), E,
                            err) &&
              blas_gemm_f64(false, true, m, m, E, 1, f64(&zm), E, f64(&z), E, 0,
                            f64(&out->cross), m, err) &&
              dict_gram(e->dict, e->b, S, &g, NULL, err);
    if (ok) {
        out->TB = g.TB;
        out->TT = g.TT;
        out->BB = g.BB;
    }
    tensor_release(&z);
    tensor_release(&zm);
    return ok;
}

/* A random element of the Lie algebra, of angle 1. */
static bool random_direction(GaugeDial *d, Err *err)
{
    int64_t m = d->m;
    double s = 0;
    if (!(d->random = mem_array((size_t)(m * m), sizeof *d->random, err)))
        return false;
    rng_normal_f64((RngKey){1, rng_stream("gauge dial"), 0}, 0, m * m, 0, 1, d->random);
    gauge_project(d->random, d->n);
    for (int64_t i = 0; i < m * m; i++)
        s += d->random[i] * d->random[i];
    for (int64_t i = 0; i < m * m; i++)
        d->random[i] /= sqrt(s / 2);
    return true;
}

static bool copy_dict(const Dictionary *d, Dictionary *out, Err *err)
{
    if (!dict_new(d->R, d->C, d->I, out, err))
        return false;
    out->shown = d->shown;
    return tensor_copy_into(&d->a, &out->a, err) &&
           tensor_copy_into(&d->b, &out->b, err) &&
           tensor_copy_into(&d->head, &out->head, err) &&
           tensor_copy_into(&d->owner, &out->owner, err);
}

static bool check(const DictEval *e, int64_t digit, Err *err)
{
    const Dictionary *d = e->dict;
    if (digit < 0 || digit >= d->C)
        return err_set(err, ERR_OPTION,
                       "there is no digit %lld; there are %lld classes",
                       (long long)digit, (long long)d->C);
    if (d->I != e->b->I || d->C != e->b->C || e->height * e->width != d->I)
        return err_set(err, ERR_SHAPE,
                       "a dial: the dictionary has %lld classes of %lld pixels, the "
                       "network %lld of %lld, the images %lld x %lld",
                       (long long)d->C, (long long)d->I, (long long)e->b->C,
                       (long long)e->b->I, (long long)e->height, (long long)e->width);
    return true;
}

GaugeDial *dial_new(const DictEval *e, int64_t digit, Err *err)
{
    if (!check(e, digit, err))
        return NULL;
    GaugeDial *d = mem_zalloc(sizeof *d, err);
    if (!d)
        return NULL;
    d->c = digit;
    d->height = e->height;
    d->width = e->width;
    bool ok = copy_dict(e->dict, &d->dict, err) && find_rows(d, err) &&
              split_rows(d, err) && square_new(d->m, &d->Q, err) &&
              random_direction(d, err) &&
              measure(d, e, NULL, &d->W0, &d->metric[0], err);
    if (ok && e->S)
        ok = metric_apply(e->S, &d->W0, &d->V0, err) &&
             measure(d, e, e->S, &d->V0, &d->metric[1], err);
    if (ok && e->unlit)
        ok = tensor_copy(e->unlit, &d->unlit, err);
    if (ok && e->x)
        ok = dial_images_new(d, e, err);
    if (!ok) {
        dial_free(d);
        return NULL;
    }
    d->has_metric[0] = true;
    d->has_metric[1] = e->S != NULL;
    d->has_unlit = e->unlit != NULL;
    d->has_images = e->x != NULL;
    dial_reset(d);
    return d;
}

void dial_free(GaugeDial *d)
{
    if (!d)
        return;
    for (int k = 0; k < 2; k++) {
        tensor_release(&d->metric[k].gram);
        tensor_release(&d->metric[k].cross);
    }
    for (int k = 0; k < DIAL_FLOWS; k++)
        if (d->has_flow[k])
            gauge_move_done(&d->flow[k]);
    Tensor *const all[] = {&d->W0, &d->V0, &d->Q, &d->unlit};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    dial_images_done(&d->images);
    dict_done(&d->dict);
    mem_free(d->rows);
    mem_free(d->random);
    mem_free(d->bias);
    mem_free(d);
}
