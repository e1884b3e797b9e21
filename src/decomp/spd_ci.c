/* spd_ci.c -- causal-importance functions. Per-component networks keep their parameters
 * with the component last, so that the fused gate reads them as rows; deeper ones and
 * those of whole inputs are built of plain ops. Hidden weights are N(0, 2/fan_in),
 * output weights N(0, 1/fan_in), biases 0. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decomp/spd_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

int spd_ci_widths(const SpdCfg *c, int64_t width[SPD_MAX_HIDDEN], Err *err)
{
    const char *t = c->ci_hidden + strspn(c->ci_hidden, " ");
    int n = 0;
    while (*t) {
        char *end;
        errno = 0;
        long long w = strtoll(t, &end, 10);
        if (end == t || errno || w < 1 || w > 65536 || n == SPD_MAX_HIDDEN) {
            err_set(err, ERR_OPTION,
                    "'ci_hidden' is '%.40s'; it must be at most %d widths from 1 to "
                    "65536 separated by commas, as in '16' or '64,32'",
                    c->ci_hidden, SPD_MAX_HIDDEN);
            return -1;
        }
        width[n++] = w;
        t = end + strspn(end, " ,");
    }
    return n;
}

static bool add(Spd *s, int l, const char *what, int ndim, const int64_t *dim,
                double std, Err *err)
{
    char name[SPD_NAME + 32], stream[SPD_NAME + 48];
    Tensor t;
    snprintf(name, sizeof name, "%s.ci.%s", s->target.layer[l].name, what);
    snprintf(stream, sizeof stream, "spd.%s", name);
    if (!tensor_zeros(F32, ndim, dim, &t, err))
        return false;
    int64_t seed = s->cfg.ci_seed ? s->cfg.ci_seed : s->cfg.seed;
    RngKey key = {.seed = (uint64_t)seed, .stream = rng_stream(stream)};
    if (std > 0)
        rng_normal_f32(key, 0, tensor_count(&t), 0, (float)std, t.data);
    bool ok = tset_add(s->params, name, &t, err);
    tensor_release(&t);
    return ok;
}

static Tensor *param(Spd *s, int l, const char *what)
{
    char name[SPD_NAME + 32];
    snprintf(name, sizeof name, "%s.ci.%s", s->target.layer[l].name, what);
    return (Tensor *)tset_get(s->params, name);
}

static Val value(Spd *s, Graph *g, int l, const char *what)
{
    char name[SPD_NAME + 32];
    snprintf(name, sizeof name, "%s.ci.%s", s->target.layer[l].name, what);
    return graph_state(g, name, tset_get(s->params, name));
}

/* "w1" */
static const char *numbered(char dst[16], const char *what, int k)
{
    snprintf(dst, 16, "%s%d", what, k + 1);
    return dst;
}

/* ---- linear ---------------------------------------------------------------------- */

static bool make_linear(Spd *s, int l, Err *err)
{
    int64_t C = s->part[l].C;
    return add(s, l, "w", 1, &C, 1, err) && add(s, l, "b", 1, &C, 0, err);
}

static Val apply_linear(Spd *s, Graph *g, int l, Val x, Val a)
{
    (void)x;
    return g_add(g, g_mul(g, a, value(s, g, l, "w")), value(s, g, l, "b"));
}

static void divide(Tensor *t, int64_t rows, int64_t C, const double *k)
{
    float *w = t->data;
    for (int64_t i = 0; i < rows * C; i++)
        w[i] = (float)((double)w[i] / k[i % C]);
}

static void rescale_linear(Spd *s, int l, const double *k)
{
    divide(param(s, l, "w"), 1, s->part[l].C, k);
}

/* ---- one small network for each component ---------------------------------------- */

/* One hidden layer: the fused gate. */
static bool make_gate(Spd *s, int l, int64_t H, Err *err)
{
    int64_t C = s->part[l].C, dim[2] = {3 * H + 1, C};
    if (!add(s, l, "theta", 2, dim, 1, err))
        return false;
    float *w = param(s, l, "theta")->data;
    for (int64_t i = 0; i < dim[0] * C; i++) {
        int64_t row = i / C;
        double std = row < H ? sqrt(2) : row < 2 * H ? 0 : 1 / sqrt((double)H);
        w[i] = row == 3 * H ? 0 : (float)((double)w[i] * std);
    }
    return true;
}

static bool make_mlp(Spd *s, int l, Err *err)
{
    int64_t H[SPD_MAX_HIDDEN + 1], C = s->part[l].C, in = 1;
    int n = spd_ci_widths(&s->cfg, H, err);
    bool ok = n > 0;
    char name[16];
    if (n == 1)
        return make_gate(s, l, H[0], err);
    H[n > 0 ? n : 0] = 1;
    for (int k = 0; ok && k <= n; in = H[k++]) {
        int64_t w[3] = {C, in, H[k]}, b[2] = {C, H[k]};
        double std = sqrt((k < n ? 2.0 : 1.0) / (double)in);
        ok = add(s, l, numbered(name, "w", k), 3, w, std, err) &&
             add(s, l, numbered(name, "b", k), 2, b, 0, err);
    }
    return ok;
}

/* h [P,C,i] through w [C,i,o] and b [C,o]. */
static Val apply_mlp(Spd *s, Graph *g, int l, Val x, Val a)
{
    int64_t H[SPD_MAX_HIDDEN], C = s->part[l].C;
    int n = spd_ci_widths(&s->cfg, H, NULL);
    char name[16];
    (void)x;
    if (n == 1)
        return g_call(g, "gate_mlp", (Val[]){a, value(s, g, l, "theta")}, 2, NULL);
    int64_t P = graph_ok(g) ? graph_spec(g, a).dim[0] : 0;
    Val h = g_reshape(g, a, 3, (int64_t[]){P, C, 1});
    for (int k = 0; k <= n; k++) {
        h = g_einsum(g, "bci,cio->bco", h, value(s, g, l, numbered(name, "w", k)));
        h = g_add(g, h, value(s, g, l, numbered(name, "b", k)));
        h = k < n ? g_gelu(g, h) : h;
    }
    return g_reshape(g, h, 2, (int64_t[]){P, C});
}

static void rescale_mlp(Spd *s, int l, const double *k)
{
    int64_t H[SPD_MAX_HIDDEN], C = s->part[l].C;
    if (spd_ci_widths(&s->cfg, H, NULL) == 1) {
        divide(param(s, l, "theta"), H[0], C, k);
        return;
    }
    float *w = param(s, l, "w1")->data;
    for (int64_t i = 0; i < C * H[0]; i++)
        w[i] = (float)((double)w[i] / k[i / H[0]]);
}

/* ---- networks of the whole input ------------------------------------------------- */

static bool make_vector(Spd *s, int l, Err *err)
{
    int64_t H[SPD_MAX_HIDDEN + 1], C = s->part[l].C, in = s->part[l].d_in;
    int n = spd_ci_widths(&s->cfg, H, err);
    bool ok = n > 0;
    char name[16];
    H[n > 0 ? n : 0] = 1;
    for (int k = 0; ok && k <= n; in = H[k++]) {
        int64_t w[3] = {C, H[k], in}, b[2] = {C, H[k]};
        double std = sqrt((k < n ? 2.0 : 1.0) / (double)in);
        ok = add(s, l, numbered(name, "w", k), 3, w, std, err) &&
             add(s, l, numbered(name, "b", k), 2, b, 0, err);
    }
    return ok;
}

static Val apply_vector(Spd *s, Graph *g, int l, Val x, Val a)
{
    int64_t H[SPD_MAX_HIDDEN + 1], C = s->part[l].C, D = s->part[l].d_in;
    int n = spd_ci_widths(&s->cfg, H, NULL);
    char name[16];
    (void)a;
    int64_t P = graph_ok(g) ? graph_spec(g, x).dim[0] : 0;
    H[n] = 1;
    Val w = g_reshape(g, value(s, g, l, "w1"), 2, (int64_t[]){C * H[0], D});
    Val h = g_reshape(g, g_product(g, x, w, true), 3, (int64_t[]){P, C, H[0]});
    h = g_add(g, h, value(s, g, l, "b1"));
    for (int k = 1; k <= n; k++) {
        h = g_einsum(g, "bci,coi->bco", g_gelu(g, h),
                     value(s, g, l, numbered(name, "w", k)));
        h = g_add(g, h, value(s, g, l, numbered(name, "b", k)));
    }
    return g_reshape(g, h, 2, (int64_t[]){P, C});
}

static bool make_shared(Spd *s, int l, Err *err)
{
    int64_t H[SPD_MAX_HIDDEN + 1], in = s->part[l].d_in;
    int n = spd_ci_widths(&s->cfg, H, err);
    bool ok = n >= 0;
    char name[16];
    H[n >= 0 ? n : 0] = s->part[l].C;
    for (int k = 0; ok && k <= n; in = H[k++]) {
        double std = sqrt((k < n ? 2.0 : 1.0) / (double)in);
        ok = add(s, l, numbered(name, "w", k), 2, (int64_t[]){H[k], in}, std, err) &&
             add(s, l, numbered(name, "b", k), 1, &H[k], 0, err);
    }
    return ok;
}

static Val apply_shared(Spd *s, Graph *g, int l, Val x, Val a)
{
    int64_t H[SPD_MAX_HIDDEN];
    int n = spd_ci_widths(&s->cfg, H, NULL);
    char w[16], b[16];
    (void)a;
    for (int k = 0; k <= n; k++) {
        x = g_product(g, x, value(s, g, l, numbered(w, "w", k)), true);
        x = g_add(g, x, value(s, g, l, numbered(b, "b", k)));
        x = k < n ? g_gelu(g, x) : x;
    }
    return x;
}

/* ---- the table ------------------------------------------------------------------- */

static const SpdCiRow rows[] = {
    {"mlp",        "One small network for each component, of its activation.", false, true,
     make_mlp,                                                                                            apply_mlp,    rescale_mlp},
    {"vector_mlp", "One network for each component, of the layer's input.",    true,  true,
     make_vector,                                                                                         apply_vector, NULL       },
    {"shared_mlp", "One network for all components, of the layer's input.",    true,  false,
     make_shared,                                                                                         apply_shared, NULL       },
    {"linear",     "w a + b for each component.",                              false, false, make_linear, apply_linear,
     rescale_linear                                                                                                                },
};

const SpdCiRow *spd_ci_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}
