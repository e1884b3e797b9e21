/* family_rows.c -- the table. Anchored factors are (anchor + gain smooth(delta)) with
 * a's rows scaled by exp(amp); signs of the anchors of b carry the sign of the head.
 * Free factors begin as 0.02 N(0,1). */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/family_int.h"
#include "decomp/masks.h"
#include "decomp/strokes.h"

/* --- starts ----------------------------------------------------------------------- */

static bool start_pair(Family *f, const char *a, const char *b, Err *err)
{
    return family_add_normal(f, a, f->R, f->I, 0.02, err) &&
           family_add_normal(f, b, f->R, f->I, 0.02, err) &&
           family_add_normal(f, "head", f->R, f->C, 0.02, err);
}

static bool start_cp(Family *f, const DictData *d, Err *err)
{
    (void)d;
    return start_pair(f, "a", "b", err);
}

static bool start_split(Family *f, const DictData *d, Err *err)
{
    (void)d;
    return start_pair(f, "p", "n", err);
}

static bool start_sym(Family *f, const DictData *d, Err *err)
{
    (void)d;
    return family_add_normal(f, "v", f->R, f->I, 0.02, err) &&
           family_add_normal(f, "head", f->R, f->C, 0.02, err);
}

/* One entry of 1 a head, round robin, the rest small: the k largest can change. */
static bool round_robin_heads(Family *f, Err *err)
{
    if (!family_add_normal(f, "head", f->R, f->C, 0.02, err))
        return false;
    float *h = tset_get(f->params, "head")->data;
    for (int64_t r = 0; r < f->R; r++)
        h[r * f->C + r % f->C] = 1;
    return true;
}

static bool start_visual(Family *f, const DictData *d, Err *err)
{
    Tensor m = {0};
    size_t bytes = sizeof(float) * (size_t)(f->R * f->I);
    (void)d;
    bool ok = family_add_normal(f, "a", f->R, f->I, 0.02, err) &&
              family_add_normal(f, "b", f->R, f->I, 0.02, err) &&
              round_robin_heads(f, err) &&
              mask_grid(f->R, f->cfg.sigma, f->height, f->width, &m, err) &&
              tensor_new(F32, 2, (int64_t[]){2 * f->R, f->I}, &f->masks, err);
    if (ok) {
        memcpy(f->masks.data, m.data, bytes);
        memcpy((char *)f->masks.data + bytes, m.data, bytes);
    }
    tensor_release(&m);
    return ok;
}

/* Owners and signs by score; heads 1 at the owner, the rest small. */
static bool start_anchored(Family *f, const Tensor *anchors, Err *err)
{
    Dictionary s = {0};
    Tensor delta = {0}, amp = {0};
    char shape[96];
    if (anchors->dtype != F32 || anchors->ndim != 2 || anchors->dim[0] != 2 * f->R ||
        anchors->dim[1] != f->I)
        return err_set(err, ERR_SHAPE,
                       "the anchors are %s, they must be f32[%lld,%lld]: a's rows, "
                       "then b's",
                       tensor_format_shape(anchors, shape), (long long)(2 * f->R),
                       (long long)f->I);
    size_t bytes = sizeof(float) * (size_t)(f->R * f->I);
    bool ok =
        dict_start_anchors(f->b, f->data_metric ? &f->S64 : NULL, anchors, &s, err) &&
        tensor_new(F32, 2, anchors->dim, &f->anchors, err) &&
        family_add(f, "delta", 2 * f->R, f->I, err, &delta) &&
        family_add(f, "amp", f->R, 1, err, &amp) &&
        family_add_normal(f, "head", f->R, f->C, 0.02, err);
    if (ok) {
        memcpy(f->anchors.data, s.a.data, bytes);
        memcpy((char *)f->anchors.data + bytes, s.b.data, bytes);
        float *h = tset_get(f->params, "head")->data, *one = s.head.data;
        for (int64_t i = 0; i < f->R * f->C; i++)
            h[i] = one[i] != 0 ? one[i] : h[i];
    }
    dict_done(&s);
    tensor_release(&delta);
    tensor_release(&amp);
    return ok;
}

/* n pairs of templates: rows 7k and 7k+31, or 11k+5 and 11k+64. */
static bool pair_up(const Tensor *bank, int64_t n, int64_t rule, Tensor *out, Err *err)
{
    int64_t K = bank->dim[0], I = bank->dim[1];
    if (!tensor_new(F32, 2, (int64_t[]){2 * n, I}, out, err))
        return false;
    for (int64_t k = 0; k < 2 * n; k++) {
        int64_t by = rule ? 11 : 7, first = rule ? (k < n ? 5 : 64) : (k < n ? 0 : 31);
        int64_t from = (by * (k % n) + first) % K;
        memcpy((float *)out->data + k * I, (float *)bank->data + from * I,
               sizeof(float) * (size_t)I);
    }
    return true;
}

static bool start_strokes(Family *f, const DictData *d, Err *err)
{
    Tensor bank = {0}, t = {0};
    if (d->anchors)
        return start_anchored(f, d->anchors, err);
    bool ok = stroke_bank(f->height, f->width, &bank, err) &&
              pair_up(&bank, f->R, f->cfg.bank, &t, err) && start_anchored(f, &t, err);
    tensor_release(&bank);
    tensor_release(&t);
    return ok;
}

/* Learnt masks over the anchors that are there already. */
static bool add_masks(Family *f, Err *err)
{
    Tensor centre = {0}, width = {0};
    bool ok = mask_coordinates(f->height, &f->ys, err) &&
              mask_coordinates(f->width, &f->xs, err) &&
              family_add(f, "centre", 2 * f->R, 2, err, &centre) &&
              family_add(f, "width", 2 * f->R, 1, err, &width);
    if (ok) {
        mask_centres(&f->anchors, &f->ys, &f->xs, centre.data);
        for (int64_t r = 0; r < 2 * f->R; r++)
            ((float *)width.data)[r] = 1.5f;
    }
    tensor_release(&centre);
    tensor_release(&width);
    return ok;
}

static bool start_masked(Family *f, const DictData *d, Err *err)
{
    return start_strokes(f, d, err) && add_masks(f, err);
}

static bool start_banks(Family *f, const DictData *d, Err *err)
{
    Tensor t = {0};
    bool ok = d->anchors ? start_anchored(f, d->anchors, err)
                         : stroke_anchors(f->R, f->height, f->width, &t, err) &&
                               start_anchored(f, &t, err);
    tensor_release(&t);
    return ok && add_masks(f, err);
}

enum { DATA_PCS = 32 };

static bool start_data(Family *f, const DictData *d, Err *err)
{
    Tensor bank = {0}, t = {0};
    if (d->anchors)
        return start_anchored(f, d->anchors, err);
    if (!d->x || !d->labels)
        return err_set(
            err, ERR_OPTION,
            "the family 'data_anchors' needs the training images and labels");
    bool ok = data_anchors(d->x, d->labels, f->C, f->I < DATA_PCS ? f->I : DATA_PCS,
                           &bank, err) &&
              pair_up(&bank, f->R, f->cfg.bank, &t, err) && start_anchored(f, &t, err);
    tensor_release(&bank);
    tensor_release(&t);
    return ok;
}

/* Component r of class c: sqrt |value| times its filter. */
static void put_eigen(const Spectrum *s, int64_t c, int64_t k, int64_t r, float *v,
                      float *head)
{
    double value = ((double *)s->val.data)[c * s->K + k], root = sqrt(fabs(value));
    const double *w = (double *)s->filter.data + (c * s->K + k) * s->I;
    for (int64_t i = 0; i < s->I; i++)
        v[r * s->I + i] = (float)(root * w[i]);
    head[r * s->C + c] = value < 0 ? -1 : 1;
}

/* The R largest |eigenvalue| of all classes, each its own square. */
static void take_largest(const Spectrum *s, int64_t R, int64_t *used, float *v,
                         float *head)
{
    const double *val = s->val.data;
    for (int64_t r = 0; r < R; r++) {
        int64_t best = -1, at = 0;
        double top = -1;
        for (int64_t c = 0; c < s->C; c++) {
            int64_t lo = used[2 * c], hi = s->K - 1 - used[2 * c + 1];
            if (lo > hi)
                continue;
            double up = fabs(val[c * s->K + lo]), down = fabs(val[c * s->K + hi]);
            if (fmax(up, down) > top) {
                top = fmax(up, down);
                best = c;
                at = up >= down ? lo : hi;
            }
        }
        if (best < 0)
            return; /* no more eigenvalues: the rest stays zero */
        used[2 * best + (at != used[2 * best])]++;
        put_eigen(s, best, at, r, v, head);
    }
}

static void unit_mean_norm(float *x, int64_t n, int64_t I)
{
    double sum = 0;
    for (int64_t r = 0; r < n; r++) {
        double s = 0;
        for (int64_t i = 0; i < I; i++)
            s += (double)x[r * I + i] * (double)x[r * I + i];
        sum += sqrt(s);
    }
    for (int64_t i = 0; sum > 0 && i < n * I; i++)
        x[i] *= (float)((double)n / sum);
}

static bool start_eigen(Family *f, const DictData *d, Err *err)
{
    Spectrum s = {0};
    Tensor v = {0}, head = {0};
    (void)d;
    int64_t *used = mem_zalloc(sizeof *used * (size_t)(2 * f->C), err);
    bool ok = used && spectrum_new(f->b, f->data_metric ? &f->S64 : NULL, &s, err) &&
              family_add(f, "v", f->R, f->I, err, &v) &&
              family_add_normal(f, "head", f->R, f->C, 0.02, err);
    if (ok) {
        head = *tset_get(f->params, "head");
        take_largest(&s, f->R, used, v.data, head.data);
        unit_mean_norm(v.data, f->R, f->I);
    }
    spectrum_done(&s);
    tensor_release(&v);
    mem_free(used);
    return ok;
}

static bool start_pairs(Family *f, const DictData *d, Err *err)
{
    Spectrum s = {0};
    Dictionary e = {0};
    Tensor a = {0}, b = {0};
    (void)d;
    bool ok = spectrum_new(f->b, f->data_metric ? &f->S64 : NULL, &s, err) &&
              dict_start_eigen(&s, f->R, &e, err) &&
              family_add(f, "a", f->R, f->I, err, &a) &&
              family_add(f, "b", f->R, f->I, err, &b) &&
              family_add_normal(f, "head", f->R, f->C, 0.02, err);
    if (ok) {
        float *h = tset_get(f->params, "head")->data, *one = e.head.data;
        memcpy(a.data, e.a.data, tensor_bytes(&a));
        memcpy(b.data, e.b.data, tensor_bytes(&b));
        unit_mean_norm(a.data, f->R, f->I);
        unit_mean_norm(b.data, f->R, f->I);
        for (int64_t i = 0; i < f->R * f->C; i++)
            h[i] = one[i] != 0 ? one[i] : h[i];
    }
    spectrum_done(&s);
    dict_done(&e);
    tensor_release(&a);
    tensor_release(&b);
    return ok;
}

/* --- factors ---------------------------------------------------------------------- */

static Val stack(Graph *g, Val a, Val b)
{
    OpAttr axis = {0};
    return g_call(g, "concat", (Val[]){a, b}, 2, &axis);
}

static Val factors_cp(Family *f, Graph *g)
{
    return stack(g, family_param(f, g, "a"), family_param(f, g, "b"));
}

static Val factors_sym(Family *f, Graph *g)
{
    return family_param(f, g, "v");
}

static Val factors_split(Family *f, Graph *g)
{
    Val p = family_param(f, g, "p"), n = family_param(f, g, "n");
    return stack(g, g_add(g, p, n), g_sub(g, p, n));
}

static Val factors_nonneg(Family *f, Graph *g)
{
    return g_unary(g, "softplus", g_shift(g, factors_cp(f, g), -4));
}

static Val smooth(Family *f, Graph *g, Val x)
{
    OpAttr size = {
        .i = {f->height, f->width}
    };
    for (int64_t k = 0; k < f->cfg.smooth; k++)
        x = g_call(g, "smooth3", &x, 1, &size);
    return x;
}

static Val factors_visual(Family *f, Graph *g)
{
    return g_mul(g, smooth(f, g, factors_cp(f, g)), graph_const(g, &f->masks));
}

static Val templates(Family *f, Graph *g)
{
    Val delta = smooth(f, g, family_param(f, g, "delta"));
    return g_add(g, g_scale(g, delta, f->cfg.gain), graph_const(g, &f->anchors));
}

static Val amplify(Family *f, Graph *g, Val t)
{
    Val amp = g_exp(g, family_param(f, g, "amp"));
    return stack(g, g_mul(g, rows_of(g, t, 0, f->R), amp),
                 rows_of(g, t, f->R, 2 * f->R));
}

static Val factors_strokes(Family *f, Graph *g)
{
    return amplify(f, g, templates(f, g));
}

static Val factors_masked(Family *f, Graph *g)
{
    Val mask = mask_learnt(g, family_param(f, g, "centre"), family_param(f, g, "width"),
                           &f->ys, &f->xs);
    return amplify(f, g, g_mul(g, templates(f, g), mask));
}

/* --- the tables ------------------------------------------------------------------- */

// clang-format off
const FamilyRow family_rows[] = {
    {"cp", "Free factors a, b and heads, from small noise.", "", false, start_cp,
     factors_cp},
    {"split",
     "Evidence for minus evidence against: (x.p)^2 - (x.n)^2, free heads, from noise.",
     "", false, start_split, factors_split},
    {"sym", "Squares (x.v)^2 with free heads, from small noise.", "", true, start_sym,
     factors_sym},
    {"nonnegative", "Factors softplus(raw - 4), free heads.", "lr=0.03", false,
     start_cp, factors_nonneg},
    {"visual",
     "Free factors through 3 by 3 means, under fixed Gaussian masks on a grid; heads "
     "keep their `top` largest entries.",
     "top=1 smooth=2 sigma=0.34 distill=0.02", false, start_visual, factors_visual},
    {"strokes", "Templates of pen strokes plus a smoothed deviation.",
     "top=1 smooth=1 anchor=0.002 distill=0.02 lr=0.005", false, start_strokes,
     factors_strokes},
    {"masked_strokes",
     "The same under a Gaussian mask whose centre and width are learnt.",
     "top=1 smooth=1 anchor=0.002 distill=0.02 lr=0.005", false, start_masked,
     factors_masked},
    {"two_banks",
     "Two dictionaries of masked strokes that pair their templates by different rules.",
     "components=128 top=1 smooth=1 anchor=0.002 distill=0.02 lr=0.005", false,
     start_banks, factors_masked},
    {"data_anchors",
     "Templates are class means, their pairwise differences and 32 principal "
     "components of the training images.",
     "top=1 smooth=1 anchor=0.002 distill=0.02 lr=0.005", false, start_data,
     factors_strokes},
    {"eigen", "Squares (x.v)^2 that begin as the largest eigenvectors of all classes.",
     "top=1 lr=0.005", true, start_eigen, factors_sym},
    {"pairs",
     "Free factors that begin at the optimum of the limit for one-class heads.",
     "top=1 lr=0.005", false, start_pairs, factors_cp},
};
// clang-format on
const size_t family_n_rows = ARRAY_LEN(family_rows);

const FamilyRow *family_row(const char *name)
{
    for (size_t k = 0; k < family_n_rows; k++)
        if (!strcmp(family_rows[k].name, name))
            return &family_rows[k];
    return NULL;
}
