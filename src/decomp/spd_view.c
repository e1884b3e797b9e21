/* spd_view.c -- passes over given inputs in blocks; the gauge; files. A view's rows are
 * those of one block after another, so positions of an example stay together. */
#include "decomp/spd_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/spd_int.h"
#include "graph/build.h"
#include "graph/plan.h"

enum { BLOCK = 1000, BLOCK_MAPS = 50 };

static const char *const mask_names[] = {"target", "ones",    "ci",   "stochastic",
                                         "random", "rounded", "zeros"};

const char *spd_mask_name(SpdMask m)
{
    return mask_names[m];
}

/* ---- values of a graph ----------------------------------------------------------- */

static Val up(Graph *g, Val z)
{
    OpAttr a = {
        .f = {0, 0.01}
    };
    return g_call(g, "leaky_clamp", &z, 1, &a);
}

Val spd_view_val(Spd *s, Graph *g, Val x, int layer, SpdView v)
{
    SpdForm f;
    if (!spd_form(&f, s, g, x, 0, "view"))
        return VAL_NONE;
    const SpdSeen *e = &f.seen[layer];
    switch (v) {
    case SPD_ACTS: return e->a;
    case SPD_CI: return e->g;
    case SPD_CI_UP: return up(g, e->z);
    default: return e->z;
    }
}

Val spd_output_val(Spd *s, Graph *g, Val x, SpdMask m, uint32_t layers,
                   const char *stream)
{
    SpdForm f;
    SpdPass p;
    if (!spd_form(&f, s, g, x, 0, "view"))
        return VAL_NONE;
    spd_pass_init(&p, m, "%s", stream);
    p.layers = layers;
    p.delta = m == SPD_MASK_STOCHASTIC && s->cfg.delta;
    return spd_pass(&f, &p);
}

/* ---- passes over a matrix -------------------------------------------------------- */

typedef struct Rows {
    Spd *s;
    const Tensor *x;
    Val (*build)(const struct Rows *r, Graph *g, Val x);
    int layer;
    SpdView view;
    SpdMask mask;
    uint32_t layers;
    uint64_t draw;
} Rows;

static Val build_view(const Rows *r, Graph *g, Val x)
{
    return spd_view_val(r->s, g, x, r->layer, r->view);
}

static Val build_output(const Rows *r, Graph *g, Val x)
{
    return spd_output_val(r->s, g, x, r->mask, r->layers, "outputs");
}

static Plan *rows_plan(const Rows *r, int64_t n, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return NULL;
    Val x = graph_input(g, "x", F32, 2, (int64_t[]){n, r->x->dim[1]});
    Val y = r->build(r, g, x);
    graph_output(g, "y", y);
    Plan *p = graph_ok(g) ? plan_new(g, (uint64_t)r->s->cfg.seed, err) : NULL;
    if (!graph_ok(g))
        *err = *graph_err(g);
    graph_free(g);
    return p;
}

/* One block into its place in out, which the first block makes. */
static bool run_block(const Rows *r, Plan *p, int64_t first, int64_t n, Tensor *out,
                      Err *err)
{
    int64_t I = r->x->dim[1], N = r->x->dim[0];
    Tensor in = tensor_wrap(F32, 2, (int64_t[]){n, I}, (float *)r->x->data + first * I);
    plan_set_step(p, r->draw * 1000003u + (uint64_t)first);
    if (!plan_run(p, &in, err))
        return false;
    const Tensor *y = plan_output(p, 0);
    int64_t each = y->dim[0] / n, dim[2] = {N * each, y->dim[1]};
    if (!out->data && !tensor_new(F32, 2, dim, out, err))
        return false;
    memcpy((float *)out->data + first * each * y->dim[1], y->data, tensor_bytes(y));
    return true;
}

/* Examples at a time: few where each has many positions. */
static int64_t block_of(const Spd *s)
{
    for (int l = 0; l < s->target.n_layers; l++)
        if (s->target.layer[l].kind->positions)
            return BLOCK_MAPS;
    return BLOCK;
}

static bool run_rows(const Rows *r, Tensor *out, Err *err)
{
    char is[96];
    memset(out, 0, sizeof *out);
    if (r->x->dtype != F32 || r->x->ndim != 2 || r->x->dim[0] < 1 ||
        !tensor_contiguous(r->x))
        return err_set(err, ERR_SHAPE, "inputs must be contiguous f32 [N,I], not %s",
                       tensor_format_shape(r->x, is));
    if (!tensor_finite(r->x))
        return err_set(err, ERR_NUMERIC, "an input is not finite");
    int64_t N = r->x->dim[0], block = block_of(r->s), tail = N % block;
    Plan *whole = N >= block ? rows_plan(r, block, err) : NULL;
    Plan *rest = tail && (N < block || whole) ? rows_plan(r, tail, err) : NULL;
    bool ok = (N < block || whole) && (!tail || rest);
    for (int64_t i = 0; ok && i < N; i += block) {
        bool last = N - i < block;
        ok = run_block(r, last ? rest : whole, i, last ? tail : block, out, err);
    }
    plan_free(whole);
    plan_free(rest);
    if (!ok)
        tensor_release(out);
    return ok;
}

static bool good_layer(const Spd *s, int layer, Err *err)
{
    return (layer >= 0 && layer < s->target.n_layers) ||
           err_set(err, ERR_OPTION, "there are %d layers, not one at %d",
                   s->target.n_layers, layer + 1);
}

bool spd_view(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *out, Err *err)
{
    Rows r = {.s = s, .x = x, .build = build_view, .layer = layer, .view = v};
    return good_layer(s, layer, err) && run_rows(&r, out, err);
}

bool spd_outputs(Spd *s, const Tensor *x, SpdMask m, uint32_t layers, uint64_t draw,
                 Tensor *out, Err *err)
{
    Rows r = {.s = s,
              .x = x,
              .build = build_output,
              .mask = m,
              .layers = layers,
              .draw = draw};
    return run_rows(&r, out, err);
}

/* ---- the gauge ------------------------------------------------------------------- */

static Tensor *matrix(Spd *s, int l, const char *what)
{
    char name[SPD_NAME + 8];
    snprintf(name, sizeof name, "%s.%s", s->target.layer[l].name, what);
    return (Tensor *)tset_get(s->params, name);
}

/* k_c such that k_c V[:,c] is what the convention asks for; 0 columns stay. */
static void factors(const Tensor *V, const Tensor *a, const Tensor *g, double *k)
{
    int64_t C = V->dim[1], I = V->dim[0];
    const float *v = V->data;
    for (int64_t c = 0; c < C; c++) {
        double sum = 0, mean = 0, top = 0;
        int64_t on = 0;
        for (int64_t i = 0; i < I; i++) {
            double w = (double)v[i * C + c];
            sum += w * w;
            top = fabs(w) > fabs(top) ? w : top;
        }
        for (int64_t r = 0; r < a->dim[0]; r++)
            if (((const float *)g->data)[r * C + c] > 0.1f) {
                mean += (double)((const float *)a->data)[r * C + c];
                on++;
            }
        double sign = (on ? mean : top) < 0 ? -1 : 1;
        k[c] = sum > 0 ? sign / sqrt(sum) : 1;
    }
}

static void scale(Tensor *V, Tensor *U, const double *k)
{
    int64_t C = V->dim[1], I = V->dim[0], O = U->dim[1];
    float *v = V->data, *u = U->data;
    for (int64_t i = 0; i < I * C; i++)
        v[i] = (float)((double)v[i] * k[i % C]);
    for (int64_t i = 0; i < C * O; i++)
        u[i] = (float)((double)u[i] / k[i / O]);
}

/* The activations of a tied layer are x U^T: they become 1/k times what they were. */
static void follow(Spd *s, int l, double *k)
{
    for (int t = 0; t < s->target.n_layers; t++) {
        if (s->part[t].own != l || !s->ci->rescale)
            continue;
        if (t == l) {
            s->ci->rescale(s, t, k);
            continue;
        }
        for (int64_t c = 0; c < s->part[l].C; c++)
            k[c] = 1 / k[c];
        s->ci->rescale(s, t, k);
        for (int64_t c = 0; c < s->part[l].C; c++)
            k[c] = 1 / k[c];
    }
}

bool spd_canonical(Spd *s, const Tensor *x, Err *err)
{
    for (int l = 0; l < s->target.n_layers; l++) {
        Tensor a = {0}, g = {0};
        if (s->part[l].own != l)
            continue;
        double *k = mem_alloc(sizeof *k * (size_t)s->part[l].C, err);
        bool ok = k && spd_view(s, x, l, SPD_ACTS, &a, err) &&
                  spd_view(s, x, l, SPD_CI, &g, err);
        if (ok) {
            factors(matrix(s, l, "V"), &a, &g, k);
            scale(matrix(s, l, "V"), matrix(s, l, "U"), k);
            follow(s, l, k);
        }
        tensor_release(&a);
        tensor_release(&g);
        mem_free(k);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- files ----------------------------------------------------------------------- */

bool spd_save(const Spd *s, const char *path, Err *err)
{
    TensorSet *file = tset_new(err);
    bool ok = file != NULL;
    for (int i = 0; ok && i < tset_count(s->params); i++)
        ok = tset_add(file, tset_name(s->params, i), tset_at(s->params, i), err);
    for (size_t i = 0; ok && i < spd_n_options; i++) {
        char key[96], text[OPT_STR_CAP];
        snprintf(key, sizeof key, "spd.%s", spd_options[i].name);
        ok = tset_add_meta(file, key, opt_text(&spd_options[i], &s->cfg, text), err);
    }
    ok = ok && safetensors_save(path, file, err);
    tset_free(file);
    return ok;
}

static bool same(const Tensor *a, const Tensor *b)
{
    return a && a->dtype == b->dtype && tensor_same_shape(a, b) &&
           tensor_contiguous(a) && tensor_finite(a);
}

/* Settings that say what the parameters mean, where the file has them. */
static bool same_meaning(const Spd *s, const TensorSet *file, const char *path, Err *err)
{
    static const char *const names[] = {"ci", "sigmoid"};
    for (size_t i = 0; i < spd_n_options; i++)
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            char key[96], text[OPT_STR_CAP];
            snprintf(key, sizeof key, "spd.%s", names[k]);
            const char *theirs = tset_meta(file, key);
            if (strcmp(spd_options[i].name, names[k]) || !theirs)
                continue;
            const char *ours = opt_text(&spd_options[i], &s->cfg, text);
            if (strcmp(ours, theirs))
                return err_set(err, ERR_OPTION,
                               "%s: it was made with %s = %.40s, this decomposition has "
                               "%s",
                               path, names[k], theirs, ours);
        }
    return true;
}

bool spd_load_into(Spd *s, const char *path, Err *err)
{
    TensorSet *file;
    char must[96];
    if (!safetensors_load(path, &file, err))
        return false;
    bool ok = same_meaning(s, file, path, err);
    for (int i = 0; ok && i < tset_count(s->params); i++) {
        const Tensor *to = tset_at(s->params, i);
        const char *name = tset_name(s->params, i);
        ok = same(tset_get(file, name), to) ||
             err_set(err, ERR_FORMAT,
                     "%s: '%s' must be there as %s without NaN; it is the file of "
                     "another decomposition",
                     path, name, tensor_format_shape(to, must));
    }
    for (int i = 0; ok && i < tset_count(s->params); i++) {
        const Tensor *to = tset_at(s->params, i);
        memcpy(to->data, tset_get(file, tset_name(s->params, i))->data,
               tensor_bytes(to));
    }
    tset_free(file);
    return ok;
}
