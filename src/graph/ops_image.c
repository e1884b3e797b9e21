/* ops_image.c -- ops on images that are the last axis of a tensor, h*w pixels row by
 * row; all other axes count images. Stencils reflect at the edges without repeating the
 * edge pixel. Each linear one has its transposed map as a row of its own, so gradients
 * of any order exist. */
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/image_kern.h"

typedef enum ImageKind { TV, TV_GRAD, LAPLACIAN, SMOOTH, BOX, SPREAD } ImageKind;
typedef struct ImageJob {
    const ImageTable *k;
    const char *x, *dy;
    char *y;
    double *each;
    size_t size;
    int64_t h, w, s, from, to; /* from, to: elements of an image in x and y */
    int adjoint;
    bool per_image;
    double factor;
    ImageKind kind;
} ImageJob;

static void image_range(int64_t first, int64_t count, void *ctx)
{
    const ImageJob *j = ctx;
    for (int64_t i = first; i < first + count; i++) {
        const char *x = j->x + (size_t)(i * j->from) * j->size;
        char *y = j->y + (size_t)(i * j->to) * j->size;
        switch (j->kind) {
        case TV:
            if (j->each)
                j->each[i] = j->k->tv(j->h, j->w, x);
            else
                j->k->put(j->k->tv(j->h, j->w, x), y);
            break;
        case TV_GRAD: {
            const char *dy = j->dy + (j->per_image ? (size_t)i * j->size : 0);
            j->k->tv_grad(j->h, j->w, x, j->factor * j->k->get(dy), y);
            break;
        }
        case LAPLACIAN: j->k->laplacian(j->h, j->w, x, j->adjoint, y); break;
        case SMOOTH: j->k->smooth3(j->h, j->w, x, j->adjoint, y); break;
        case BOX: j->k->box(j->h, j->w, j->s, x, y); break;
        case SPREAD: j->k->spread(j->h, j->w, j->s, x, y); break;
        }
    }
}

static int64_t images_of(const Tensor *t)
{
    int64_t n = 1;
    for (int k = 0; k + 1 < t->ndim; k++)
        n *= t->dim[k];
    return n;
}

/* Slots of all rows: h, w, then size or per_image. */
static ImageJob image_job(const OpArgs *x, ImageKind kind)
{
    bool f64 = tensor_is_f64(x->in[0]);
    ImageJob j = {.k = KERN_PICK(image_table, f64),
                  .x = x->in[0]->data,
                  .y = x->out[0]->data,
                  .size = f64 ? 8 : 4,
                  .h = x->attr->i[0],
                  .w = x->attr->i[1],
                  .s = x->attr->i[2],
                  .factor = 1,
                  .kind = kind};
    j.from = j.to = j.h * j.w;
    return j;
}

static bool run_images(const OpArgs *x, ImageJob *j)
{
    for_ranges(images_of(x->in[0]), rows_grain(4 * j->h * j->w), image_range, j);
    return true;
}

#define RUN_STENCIL(name, kind_, adjoint_)                                             \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        ImageJob j = image_job(x, kind_);                                              \
        j.adjoint = adjoint_;                                                          \
        return run_images(x, &j);                                                      \
    }
RUN_STENCIL(laplacian, LAPLACIAN, 0)
RUN_STENCIL(laplacian_adjoint, LAPLACIAN, 1)
RUN_STENCIL(smooth3, SMOOTH, 0)
RUN_STENCIL(smooth3_adjoint, SMOOTH, 1)

static int64_t windows(int64_t h, int64_t w, int64_t s)
{
    return (h - s + 1) * (w - s + 1);
}

static bool run_box_sum(const OpArgs *x, Err *err)
{
    (void)err;
    ImageJob j = image_job(x, BOX);
    j.to = windows(j.h, j.w, j.s);
    return run_images(x, &j);
}

static bool run_box_spread(const OpArgs *x, Err *err)
{
    (void)err;
    ImageJob j = image_job(x, SPREAD);
    j.from = windows(j.h, j.w, j.s);
    return run_images(x, &j);
}

static bool run_tv(const OpArgs *x, Err *err)
{
    (void)err;
    ImageJob j = image_job(x, TV);
    int64_t n = images_of(x->in[0]);
    j.to = 1;
    j.each = x->attr->i[2] ? NULL : x->scratch;
    run_images(x, &j);
    double sum = 0;
    for (int64_t i = 0; j.each && i < n; i++)
        sum += j.each[i];
    if (!x->attr->i[2])
        j.k->put(sum / (double)n, x->out[0]->data);
    return true;
}

static bool run_tv_grad(const OpArgs *x, Err *err)
{
    (void)err;
    ImageJob j = image_job(x, TV_GRAD);
    j.per_image = x->attr->i[2];
    j.dy = x->in[1]->data;
    if (!j.per_image)
        j.factor = 1.0 / (double)images_of(x->in[0]);
    return run_images(x, &j);
}

/* ---- translate ------------------------------------------------------------------- */

typedef struct MoveJob {
    const char *x;
    char *y;
    const int32_t *by; /* [N,2]: rows down, columns right */
    int64_t h, w, sign;
    size_t size;
} MoveJob;

static void move_images(int64_t first, int64_t count, void *ctx)
{
    const MoveJob *j = ctx;
    size_t bytes = (size_t)(j->h * j->w) * j->size;
    for (int64_t n = first; n < first + count; n++) {
        int64_t dy = j->sign * j->by[2 * n], dx = j->sign * j->by[2 * n + 1];
        int64_t left = dx > 0 ? dx : 0, run = j->w - (dx > 0 ? dx : -dx);
        const char *x = j->x + (size_t)n * bytes;
        char *y = j->y + (size_t)n * bytes;
        memset(y, 0, bytes);
        for (int64_t i = 0; run > 0 && i < j->h; i++)
            if (i - dy >= 0 && i - dy < j->h)
                memcpy(y + (size_t)(i * j->w + left) * j->size,
                       x + (size_t)((i - dy) * j->w + left - dx) * j->size,
                       (size_t)run * j->size);
    }
}

static bool run_translate(const OpArgs *x, Err *err)
{
    (void)err;
    MoveJob j = {.x = x->in[0]->data,
                 .y = x->out[0]->data,
                 .by = x->in[1]->data,
                 .h = x->attr->i[0],
                 .w = x->attr->i[1],
                 .sign = x->attr->i[2] ? -1 : 1,
                 .size = dtype_size(x->in[0]->dtype)};
    for_ranges(images_of(x->in[0]), rows_grain(j.h * j.w), move_images, &j);
    return true;
}

/* ---- shape rules ----------------------------------------------------------------- */

static bool need_image(const Spec *s, int64_t pixels, const OpAttr *a, Err *err)
{
    char text[96];
    if (!need_float(s, 0, err))
        return false;
    if (a->i[0] < 1 || a->i[1] < 1)
        return err_set(err, ERR_OPTION,
                       "h and w must be at least 1, they are %lld and %lld",
                       (long long)a->i[0], (long long)a->i[1]);
    if (s->ndim >= 1 && s->dim[s->ndim - 1] == pixels)
        return true;
    return err_set(err, ERR_SHAPE,
                   "the last axis must have %lld elements (h %lld, w %lld), "
                   "x is %s",
                   (long long)pixels, (long long)a->i[0], (long long)a->i[1],
                   spec_format(s, text));
}

static bool shape_stencil(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    (void)n_in;
    *out = in[0];
    return need_image(&in[0], a->i[0] * a->i[1], a, err);
}

static bool size_ok(const OpAttr *a, Err *err)
{
    int64_t least = a->i[0] < a->i[1] ? a->i[0] : a->i[1];
    if (a->i[2] >= 1 && a->i[2] <= least)
        return true;
    return err_set(err, ERR_OPTION, "size must be in 1..%lld, it is %lld",
                   (long long)least, (long long)a->i[2]);
}

static bool shape_box(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    *out = in[0];
    if (!size_ok(a, err) || !need_image(&in[0], a->i[0] * a->i[1], a, err))
        return false;
    out->dim[out->ndim - 1] = windows(a->i[0], a->i[1], a->i[2]);
    return true;
}

static bool shape_spread(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    *out = in[0];
    if (!size_ok(a, err) ||
        !need_image(&in[0], windows(a->i[0], a->i[1], a->i[2]), a, err))
        return false;
    out->dim[out->ndim - 1] = a->i[0] * a->i[1];
    return true;
}

static bool shape_tv(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    if (!shape_stencil(in, n_in, a, out, err))
        return false;
    out->ndim = a->i[2] ? in[0].ndim - 1 : 0;
    return true;
}

static bool shape_tv_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    Spec y;
    char text[96];
    if (!shape_tv(in, n_in, a, &y, err) || !need_float(in, 1, err))
        return false;
    *out = in[0];
    return spec_same_shape(&y, &in[1]) ||
           err_set(err, ERR_SHAPE, "dy is %s and does not fit",
                   spec_format(&in[1], text));
}

static bool shape_translate(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    char text[96], by[96];
    Spec want = in[0];
    if (!shape_stencil(in, n_in, a, out, err) || !need_dtype(in, 1, I32, err))
        return false;
    want.dim[want.ndim - 1] = 2;
    if (spec_same_shape(&want, &in[1]))
        return true;
    return err_set(err, ERR_SHAPE,
                   "by must hold two numbers for each image of %s, it is %s",
                   spec_format(&in[0], text), spec_format(&in[1], by));
}

static size_t scratch_tv(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    int64_t pixels = in[0].ndim > 0 ? in[0].dim[in[0].ndim - 1] : 1;
    return a->i[2] || pixels == 0
               ? 0
               : (size_t)(spec_count(&in[0]) / pixels) * sizeof(double);
}

static double cost_stencil(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 8.0 * (double)spec_count(&in[0]);
}

static double cost_box(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    return 2.0 * (double)a->i[2] * (double)spec_count(&in[0]);
}

/* ---- backward -------------------------------------------------------------------- */

#define GRAD_CALL(name, back)                                                          \
    static bool grad_##name(Graph *g, OpGrad *d)                                       \
    {                                                                                  \
        d->din[0] = g_call(g, back, d->dout, 1, d->attr);                              \
        return graph_ok(g);                                                            \
    }
GRAD_CALL(laplacian, "laplacian_adjoint")
GRAD_CALL(laplacian_adjoint, "laplacian")
GRAD_CALL(smooth3, "smooth3_adjoint")
GRAD_CALL(smooth3_adjoint, "smooth3")
GRAD_CALL(box_sum, "box_spread")
GRAD_CALL(box_spread, "box_sum")

static bool grad_tv(Graph *g, OpGrad *d)
{
    Val in[2] = {d->in[0], d->dout[0]};
    d->din[0] = g_call(g, "total_variation_grad", in, 2, d->attr);
    return graph_ok(g);
}

/* The transposed map moves the other way: what left the image had no effect. */
static bool grad_translate(Graph *g, OpGrad *d)
{
    OpAttr a = *d->attr;
    Val in[2] = {d->dout[0], d->in[1]};
    a.i[2] = !a.i[2];
    d->din[0] = g_call(g, "translate", in, 2, &a);
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

#define IMAGES " x is [..., h*w], each image row by row."
#define STENCIL_TEST                                                                   \
    {                                                                                  \
        .shapes = "2x20; 12; 3x1; 2x2; 4; 2x5; 2x3x9; 0x6; 2x140; 60x784; 2200",       \
        .attrs =                                                                       \
            "h=4 w=5; h=4 w=3; h=1 w=1; h=1 w=2; h=2 w=2; h=5 w=1; h=3 w=3; h=2 w=3; " \
            "h=2 w=70; h=28 w=28; h=2 w=1100"                                          \
    }
#define BOX_DOC "the sums of all size by size windows that lie inside"

const OpRow ops_image[] = {
    {.name = "total_variation",
     .sig = "x, h:i, w:i, per_image:b=false",
     .doc =
         "The mean absolute vertical plus the mean absolute horizontal difference of "
         "neighbouring pixels, averaged over all images or one for each image." IMAGES,
     .formula = "y = mean |x_i+1,j - x_ij| + mean |x_i,j+1 - x_ij|",
     .flags = OP_KINKS,
     .shape = shape_tv,
     .run = run_tv,
     .grad = grad_tv,
     .scratch = scratch_tv,
     .flops = cost_stencil,
     .test = {.shapes = "2x20; 2x20; 12; 3x1; 2x3x9; 0x6; 60x784",
              .attrs = "h=4 w=5; h=4 w=5 per_image=true; h=4 w=3; h=1 w=1; h=3 w=3 "
                       "per_image=true; h=2 w=3 per_image=true; h=28 w=28",
              .margin = 1e-5}},
    {.name = "total_variation_grad",
     .sig = "x, dy, h:i, w:i, per_image:b=false",
     .doc = "The backward of total_variation." IMAGES,
     .formula = "y = dy d total_variation(x) / dx",
     .flags = OP_NODIFF | OP_KINKS,
     .shape = shape_tv_grad,
     .run = run_tv_grad,
     .flops = cost_stencil,
     .test = {.shapes = "2x20,; 2x20,2; 12,",
              .attrs = "h=4 w=5; h=4 w=5 per_image=true; h=4 w=3",
              .margin = 1e-4}},
    {.name = "laplacian",
     .sig = "x, h:i, w:i",
     .doc = "The 5-point Laplacian: the four neighbours minus four times the pixel, "
            "reflected "
            "at the edges." IMAGES,
     .formula = "y_ij = x_i-1,j + x_i+1,j + x_i,j-1 + x_i,j+1 - 4 x_ij",
     .shape = shape_stencil,
     .run = run_laplacian,
     .grad = grad_laplacian,
     .flops = cost_stencil,
     .test = STENCIL_TEST},
    {.name = "laplacian_adjoint",
     .sig = "x, h:i, w:i",
     .doc = "The transpose of laplacian: its backward." IMAGES,
     .formula = "y = L^T x",
     .shape = shape_stencil,
     .run = run_laplacian_adjoint,
     .grad = grad_laplacian_adjoint,
     .flops = cost_stencil,
     .test = STENCIL_TEST},
    {.name = "smooth3",
     .sig = "x, h:i, w:i",
     .doc = "The mean of every pixel's 3 by 3 neighbourhood, reflected at the "
            "edges." IMAGES,
     .formula = "y_ij = 1/9 sum_{-1 <= a,b <= 1} x_i+a,j+b",
     .shape = shape_stencil,
     .run = run_smooth3,
     .grad = grad_smooth3,
     .flops = cost_stencil,
     .test = STENCIL_TEST},
    {.name = "smooth3_adjoint",
     .sig = "x, h:i, w:i",
     .doc = "The transpose of smooth3: its backward." IMAGES,
     .formula = "y = S^T x",
     .shape = shape_stencil,
     .run = run_smooth3_adjoint,
     .grad = grad_smooth3_adjoint,
     .flops = cost_stencil,
     .test = STENCIL_TEST},
    {.name = "box_sum",
     .sig = "x, h:i, w:i, size:i",
     .doc = "For each image " BOX_DOC ": [..., (h-size+1)*(w-size+1)]." IMAGES,
     .formula = "y_ij = sum_{0 <= a,b < size} x_i+a,j+b",
     .shape = shape_box,
     .run = run_box_sum,
     .grad = grad_box_sum,
     .flops = cost_box,
     .test = {.shapes = "2x20; 12; 2x2x9; 3x784; 0x6",
              .attrs =
                  "h=4 w=5 size=2; h=4 w=3 size=3; h=3 w=3 size=1; h=28 w=28 size=7; "
                  "h=2 w=3 size=2"}},
    {.name = "box_spread",
     .sig = "x, h:i, w:i, size:i",
     .doc =
         "The transpose of box_sum: every pixel of an h by w image gets the sum of the "
         "windows that hold it. x is [..., (h-size+1)*(w-size+1)].",                               .formula = "y_ij = sum of x over the windows that hold pixel ij",
     .shape = shape_spread,
     .run = run_box_spread,
     .grad = grad_box_spread,
     .flops = cost_box,
     .test = {.shapes = "2x12; 2; 2x2x9; 3x484; 0x2",
              .attrs =
                  "h=4 w=5 size=2; h=4 w=3 size=3; h=3 w=3 size=1; h=28 w=28 size=7; "
                  "h=2 w=3 size=2"}},
    {.name = "translate",
     .sig = "x, by, h:i, w:i, back:b=false",
     .doc =
         "Every image moved by whole pixels: by is i32 [..., 2], rows down and columns "
         "right (up and left where negative, or with back). What leaves the image is "
         "lost, what comes in is 0." IMAGES,
     .formula = "y_ij = x_i-by1,j-by2",
     .shape = shape_translate,
     .run = run_translate,
     .grad = grad_translate,
     .test = {.shapes = "2x20,2x2; 12,2; 3x1,3x2; 2x3x9,2x3x2; 0x6,0x2; 60x784,60x2",
              .attrs = "h=4 w=5; h=4 w=3 back=true; h=1 w=1; h=3 w=3; h=2 w=3; h=28 "
                       "w=28 back=true",
              .ints = "1:4"}                                                 },
};
const int ops_image_count = ARRAY_LEN(ops_image);
