/* ops_pool2d.c -- pooling, and images as rows of patches, over images [B,C,H,W]. Planes
 * (patches: images) are computed on their own, so any cut gives the same bits. Averages
 * and patches are linear, and their transposed maps are rows of their own. */
#include "graph/build.h"
#include "graph/conv.h"
#include "graph/families.h"
#include "graph/pool2d_kern.h"

typedef enum PoolKind { MAX, MAX_GRAD, MEAN, MEAN_BACK, UNFOLD, FOLD } PoolKind;
typedef struct PoolJob {
    const Pool2dTable *k;
    PoolKind kind;
    Windows w;
    int64_t channels;     /* of a patch */
    int64_t area, result; /* elements of an image (plane) and of its result */
    size_t size;
    const char *x, *y; /* image side, result side */
    char *out;
} PoolJob;

static void pool_planes(int64_t first, int64_t count, void *ctx)
{
    const PoolJob *j = ctx;
    for (int64_t i = first; i < first + count; i++) {
        size_t at_x = (size_t)(i * j->area) * j->size;
        size_t at_y = (size_t)(i * j->result) * j->size;
        switch (j->kind) {
        case MAX: j->k->max(&j->w, j->x + at_x, j->out + at_y); break;
        case MEAN: j->k->mean(&j->w, j->x + at_x, j->out + at_y); break;
        case MAX_GRAD:
            j->k->max_grad(&j->w, j->x + at_x, j->y + at_y, j->out + at_x);
            break;
        case MEAN_BACK: j->k->mean_back(&j->w, j->y + at_y, j->out + at_x); break;
        case UNFOLD:
            j->k->unfold(&j->w, j->channels, j->x + at_x, j->out + at_y);
            break;
        case FOLD: j->k->fold(&j->w, j->channels, j->y + at_y, j->out + at_x); break;
        }
    }
}

static Windows windows_of(const ConvGeo *g)
{
    return (Windows){
        .x = {g->x[0],        g->x[1]       },
        .k = {g->k[0],        g->k[1]       },
        .y = {g->y[0],        g->y[1]       },
        .stride = {g->stride[0],   g->stride[1]  },
        .pad = {g->pad[0],      g->pad[1]     },
        .dilation = {g->dilation[0], g->dilation[1]}
    };
}

/* ---- geometry -------------------------------------------------------------------- */

static bool need_images(const Spec *s, Err *err)
{
    char text[96];
    if (!need_float(s, 0, err) || !need_ndim(s, 0, 4, err))
        return false;
    return (s->dim[1] > 0 && s->dim[2] > 0 && s->dim[3] > 0) ||
           err_set(err, ERR_SHAPE, "input 1 is empty: %s", spec_format(s, text));
}

/* Attributes size, stride, pad, size_w, stride_w, pad_w; the image's sides are set. */
static bool pool_geo(const int64_t *a, ConvGeo *g, Err *err)
{
    g->k[0] = a[0];
    g->k[1] = a[3] ? a[3] : a[0];
    int64_t stride = a[1] ? a[1] : g->k[0];
    int64_t steps[6] = {stride, a[2], 1, a[4] ? a[4] : a[1] ? a[1] : g->k[1], a[5], 1};
    if (g->k[0] < 1 || g->k[1] < 1 || g->k[0] > CONV_MAX || g->k[1] > CONV_MAX)
        return err_set(err, ERR_OPTION, "size must be in 1..%d", CONV_MAX);
    if (!conv_steps(g, steps, err))
        return false;
    for (int s = 0; s < 2; s++)
        if (2 * g->pad[s] > g->k[s])
            return err_set(err, ERR_OPTION,
                           "pad must be at most half of the size, %lld, it is %lld",
                           (long long)g->k[s] / 2, (long long)g->pad[s]);
    return conv_result(g, err);
}

static bool geo_pool(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){
        .images = in[0].dim[0] * in[0].dim[1], .x = {in[0].dim[2], in[0].dim[3]}
    };
    return pool_geo(a->i, g, err);
}

static bool shape_pool(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_images(in, err) || !geo_pool(in, a, &g, err))
        return false;
    *out = in[0];
    out->dim[2] = g.y[0];
    out->dim[3] = g.y[1];
    return true;
}

static bool fits_result(const Spec *dy, const Spec *x, const ConvGeo *g, Err *err)
{
    char text[96];
    return (dy->ndim == 4 && dy->dim[0] == x->dim[0] && dy->dim[1] == x->dim[1] &&
            dy->dim[2] == g->y[0] && dy->dim[3] == g->y[1]) ||
           err_set(err, ERR_SHAPE, "dy is %s and does not fit", spec_format(dy, text));
}

static bool shape_max_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                           Err *err)
{
    ConvGeo g;
    (void)n_in;
    *out = in[0];
    return need_images(in, err) && need_float(in, 1, err) && geo_pool(in, a, &g, err) &&
           fits_result(&in[1], &in[0], &g, err);
}

/* dy and the sides of the image in attributes 6 and 7; without, the smallest. */
static bool geo_mean_back(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){.images = in[0].dim[0] * in[0].dim[1]};
    for (int s = 0; s < 2; s++) {
        int64_t k = s && a->i[3] ? a->i[3] : a->i[0];
        int64_t step = s && a->i[4] ? a->i[4] : a->i[1] ? a->i[1] : k;
        int64_t pad = s && a->i[5] != -1 ? a->i[5] : a->i[2];
        bool sane = k >= 1 && k <= CONV_MAX && step >= 1 && step <= CONV_MAX &&
                    pad >= 0 && pad <= CONV_MAX;
        g->x[s] = a->i[6 + s] ? a->i[6 + s]
                  : sane      ? (in[0].dim[2 + s] - 1) * step + k - 2 * pad
                              : 1;
        if (g->x[s] < 1)
            return err_set(err, ERR_OPTION, "%s must be at least 1, it is %lld",
                           s ? "width" : "height", (long long)g->x[s]);
    }
    return pool_geo(a->i, g, err);
}

static bool shape_mean_back(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_images(in, err) || !geo_mean_back(in, a, &g, err) ||
        !fits_result(&in[0], &in[0], &g, err))
        return false;
    *out = in[0];
    out->dim[2] = g.x[0];
    out->dim[3] = g.x[1];
    return true;
}

/* Attributes kh, kw, stride, pad, dilation. */
static bool patch_geo(const int64_t *a, ConvGeo *g, Err *err)
{
    int64_t steps[6] = {a[2], a[3], a[4], -1, -1, -1};
    g->k[0] = a[0];
    g->k[1] = a[1];
    if (g->k[0] < 1 || g->k[1] < 1 || g->k[0] > CONV_MAX || g->k[1] > CONV_MAX)
        return err_set(err, ERR_OPTION, "kh and kw must be in 1..%d", CONV_MAX);
    return conv_steps(g, steps, err) && conv_result(g, err);
}

static bool geo_unfold(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){
        .images = in[0].dim[0], .in = in[0].dim[1], .x = {in[0].dim[2], in[0].dim[3]}
    };
    return patch_geo(a->i, g, err);
}

static bool shape_unfold(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_images(in, err) || !geo_unfold(in, a, &g, err))
        return false;
    int64_t dim[3] = {g.images, g.y[0] * g.y[1], g.in * g.k[0] * g.k[1]};
    *out = spec_make(in[0].dtype, 3, dim);
    return true;
}

/* Patches, and the sides of the image in attributes 5 and 6. */
static bool geo_fold(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    char text[96];
    *g = (ConvGeo){
        .images = in[0].dim[0], .x = {a->i[5], a->i[6]}
    };
    if (g->x[0] < 1 || g->x[1] < 1 || g->x[0] > INT32_MAX || g->x[1] > INT32_MAX)
        return err_set(err, ERR_OPTION, "height and width must be at least 1");
    if (!patch_geo(a->i, g, err))
        return false;
    int64_t size = g->k[0] * g->k[1];
    g->in = in[0].dim[2] / size;
    return (g->in > 0 && in[0].dim[2] == g->in * size &&
            in[0].dim[1] == g->y[0] * g->y[1]) ||
           err_set(err, ERR_SHAPE,
                   "patches must be [B, %lld, channels * %lld], they are %s",
                   (long long)(g->y[0] * g->y[1]), (long long)size,
                   spec_format(&in[0], text));
}

static bool shape_fold(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 3, err) ||
        !geo_fold(in, a, &g, err))
        return false;
    int64_t dim[4] = {g.images, g.in, g.x[0], g.x[1]};
    *out = spec_make(in[0].dtype, 4, dim);
    return true;
}

/* ---- running --------------------------------------------------------------------- */

typedef bool GeoFn(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err);
static GeoFn *const geo_of[] = {geo_pool,      geo_pool,   geo_pool,
                                geo_mean_back, geo_unfold, geo_fold};

static bool run_pool(const OpArgs *x, PoolKind kind, Err *err)
{
    ConvGeo g;
    Spec in = spec_of(x->in[0]);
    bool f64 = tensor_is_f64(x->in[0]);
    if (!geo_of[kind](&in, x->attr, &g, err))
        return false;
    PoolJob j = {.k = KERN_PICK(pool2d_table, f64),
                 .kind = kind,
                 .w = windows_of(&g),
                 .channels = g.in ? g.in : 1,
                 .size = f64 ? 8 : 4,
                 .x = x->in[0]->data,
                 .y = x->in[kind == MAX_GRAD]->data,
                 .out = x->out[0]->data};
    j.area = j.channels * g.x[0] * g.x[1];
    j.result = g.y[0] * g.y[1];
    if (kind == UNFOLD || kind == FOLD)
        j.result *= j.channels * g.k[0] * g.k[1];
    int64_t work = j.area + j.result * (kind < UNFOLD ? g.k[0] * g.k[1] : 1);
    for_ranges(g.images, rows_grain(work), pool_planes, &j);
    return true;
}

#define RUN(name, kind)                                                                \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        return run_pool(x, kind, err);                                                 \
    }
RUN(max, MAX)
RUN(max_grad, MAX_GRAD)
RUN(mean, MEAN)
RUN(mean_back, MEAN_BACK)
RUN(unfold, UNFOLD)
RUN(fold, FOLD)

static double cost_pool(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    return (double)spec_count(&in[0]) * (double)a->i[0];
}

/* ---- backward -------------------------------------------------------------------- */

static Val back(Graph *g, const OpGrad *d, const char *op, int at)
{
    OpAttr a = *d->attr;
    Spec s = graph_spec(g, d->in[0]);
    a.i[at] = s.dim[2];
    a.i[at + 1] = s.dim[3];
    return g_call(g, op, d->dout, 1, &a);
}

static bool grad_max(Graph *g, OpGrad *d)
{
    Val in[2] = {d->in[0], d->dout[0]};
    d->din[0] = g_call(g, "max_pool2d_grad", in, 2, d->attr);
    return graph_ok(g);
}

static bool grad_mean(Graph *g, OpGrad *d)
{
    d->din[0] = back(g, d, "avg_pool2d_back", 6);
    return graph_ok(g);
}

static bool grad_unfold(Graph *g, OpGrad *d)
{
    d->din[0] = back(g, d, "fold2d", 5);
    return graph_ok(g);
}

static bool grad_same(Graph *g, OpGrad *d, const char *op)
{
    d->din[0] = g_call(g, op, d->dout, 1, d->attr);
    return graph_ok(g);
}

static bool grad_mean_back(Graph *g, OpGrad *d)
{
    return grad_same(g, d, "avg_pool2d");
}

static bool grad_fold(Graph *g, OpGrad *d)
{
    return grad_same(g, d, "unfold2d");
}

/* ---- rows ------------------------------------------------------------------------ */

#define POOL "size:i=2, stride:i=0, pad:i=0, size_w:i=0, stride_w:i=0, pad_w:i=-1"
#define POOL_DOC                                                                       \
    " Windows are size by size (size by size_w), a stride apart (default: their "      \
    "size); "                                                                          \
    "x is [B,C,H,W], the result [B,C,Ho,Wo], Ho = floor((H + 2 pad - size) / stride) " \
    "+ "                                                                               \
    "1."
#define PATCH "kh:i, kw:i, stride:i=1, pad:i=0, dilation:i=1"
#define PATCH_DOC                                                                      \
    " A patch's elements are in the order channel, row, column, as a kernel's are; "   \
    "patches in the order of a convolution's results."
#define POOL_SHAPES "2x3x4x6; 1x2x7x5; 2x1x5x9; 1x1x1x1; 0x2x4x4; 1x2x3x300"
#define POOL_ATTRS                                                                     \
    "; size=3 stride=2 pad=1; size=2 size_w=3 stride=1 stride_w=2 pad_w=1; size=1; ; " \
    "size=2 stride=1"
const OpRow ops_pool2d[] = {
    {.name = "max_pool2d",
     .sig = "x, " POOL,
     .doc = "The largest value of every window; padding never wins." POOL_DOC,
     .flags = OP_KINKS,
     .shape = shape_pool,
     .run = run_max,
     .grad = grad_max,
     .flops = cost_pool,
     .test = {.shapes = POOL_SHAPES, .attrs = POOL_ATTRS, .margin = 1e-4}},
    {.name = "max_pool2d_grad",
     .sig = "x, dy, " POOL,
     .doc =
         "The backward of max_pool2d: dy goes to the largest pixel of its window, the "
         "first of several.",
     .flags = OP_NODIFF | OP_KINKS,
     .shape = shape_max_grad,
     .run = run_max_grad,
     .flops = cost_pool,
     .test = {.shapes = "2x3x4x6,2x3x2x3; 1x2x7x5,1x2x4x3; 1x2x3x300,1x2x2x299",
              .attrs = "; size=3 stride=2 pad=1; size=2 stride=1",
              .margin = 1e-4}},
    {.name = "avg_pool2d",
     .sig = "x, " POOL,
     .doc = "The mean of every window; padding counts as zeros." POOL_DOC,
     .shape = shape_pool,
     .run = run_mean,
     .grad = grad_mean,
     .flops = cost_pool,
     .test = {.shapes = POOL_SHAPES, .attrs = POOL_ATTRS}},
    {.name = "avg_pool2d_back",
     .sig = "dy, " POOL ", height:i=0, width:i=0",
     .doc =
         "The transpose of avg_pool2d: every result [B,C,Ho,Wo] is shared out over the "
         "window it came from, [B,C,height,width].",
     .shape = shape_mean_back,
     .run = run_mean_back,
     .grad = grad_mean_back,
     .flops = cost_pool,
     .test = {.shapes = "2x3x2x3; 1x2x4x3; 1x1x1x1; 2x2x2x2",
              .attrs = "; size=3 stride=2 pad=1; size=1; height=5 width=5"}},
    {.name = "unfold2d",
     .sig = "x, " PATCH,
     .doc = "Images x [B,C,H,W] as rows of patches [B, Ho*Wo, C*kh*kw], so that a "
            "convolution is a linear map of them." PATCH_DOC,
     .shape = shape_unfold,
     .run = run_unfold,
     .grad = grad_unfold,
     .flops = cost_pool,
     .test = {.shapes = "2x3x5x6; 1x2x7x5; 2x1x9x8; 1x1x1x1; 0x2x4x4",
              .attrs =
                  "kh=3 kw=3 pad=1; kh=3 kw=2 stride=2 pad=1; kh=3 kw=3 dilation=2 "
                  "stride=2 pad=2; kh=1 kw=1; kh=2 kw=2"}},
    {.name = "fold2d",
     .sig = "x, " PATCH ", height:i, width:i",
     .doc = "The transpose of unfold2d: patches [B, Ho*Wo, C*kh*kw] are added up into "
            "images [B,C,height,width]." PATCH_DOC,
     .shape = shape_fold,
     .run = run_fold,
     .grad = grad_fold,
     .flops = cost_pool,
     .test = {.shapes = "2x30x27; 1x12x12; 1x1x1",
              .attrs = "kh=3 kw=3 pad=1 height=5 width=6; kh=3 kw=2 stride=2 pad=1 "
                       "height=7 width=5; kh=1 kw=1 height=1 width=1"}},
};
const int ops_pool2d_count = ARRAY_LEN(ops_pool2d);
