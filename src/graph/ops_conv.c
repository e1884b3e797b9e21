/* ops_conv.c -- 2-D convolution (in the sense of networks: cross-correlation), its
 * transpose and its kernel gradient. The three are linear in each of two inputs and are
 * each other's gradients, so gradients of any order exist.
 *
 * An image is padded once into planes that are split by the phases of the stride: then
 * every tap of the kernel is a fixed distance in memory and all three are shifted
 * multiply-adds over whole planes, junk columns included (no patches are made). Images
 * are shared out over a number of groups that the shape fixes; each group has its own
 * scratch, and kernel gradients of groups are added in their order. */
#include <string.h>

#include "graph/build.h"
#include "graph/conv.h"
#include "graph/conv_kern.h"
#include "graph/families.h"
#include "tensor/pool.h"

/* Scratch pieces start at multiples of SLOT elements. */
enum { GROUPS = 32, GROUPS_LEAST = 4, SLOT = 16, ROOM = 1 << 24 };

/* ---- geometry -------------------------------------------------------------------- */

bool conv_steps(ConvGeo *g, const int64_t *attr, Err *err)
{
    static const char *const name[3] = {"stride", "pad", "dilation"};
    int64_t *to[3] = {g->stride, g->pad, g->dilation};
    for (int k = 0; k < 3; k++)
        for (int side = 0; side < 2; side++) {
            int64_t least = k == 1 ? 0 : 1, v = attr[side ? 3 + k : k];
            to[k][side] = side && v == -1 ? attr[k] : v;
            if (to[k][side] < least || to[k][side] > CONV_MAX)
                return err_set(err, ERR_OPTION, "%s%s must be in %lld..%d, it is %lld",
                               name[k], side ? "_w" : "", (long long)least, CONV_MAX,
                               (long long)to[k][side]);
        }
    return true;
}

bool conv_result(ConvGeo *g, Err *err)
{
    for (int s = 0; s < 2; s++) {
        int64_t room = g->x[s] + 2 * g->pad[s] - g->dilation[s] * (g->k[s] - 1) - 1;
        if (room < 0)
            return err_set(
                err, ERR_SHAPE,
                "a kernel of %lldx%lld does not fit into images of %lldx%lld "
                "with this padding and dilation",
                (long long)g->k[0], (long long)g->k[1], (long long)g->x[0],
                (long long)g->x[1]);
        g->y[s] = room / g->stride[s] + 1;
    }
    return true;
}

/* The planes of a padded image: a phase is [rows, pitch], a channel all phases. */
typedef struct Planes {
    ConvGeo g;
    int64_t rows, pitch, phase, channel; /* elements */
    int64_t length;                      /* of a result with junk columns */
    int64_t reach;                       /* largest distance of a tap inside a phase */
    int64_t taps;
} Planes;

static Planes planes_of(const ConvGeo *g)
{
    Planes p = {.g = *g, .taps = g->k[0] * g->k[1]};
    int64_t far[2];
    for (int s = 0; s < 2; s++)
        far[s] = (g->k[s] - 1) * g->dilation[s] / g->stride[s];
    p.rows = g->y[0] + far[0];
    p.pitch = g->y[1] + far[1];
    p.phase = p.rows * p.pitch;
    p.channel = p.phase * g->stride[0] * g->stride[1];
    p.length = (g->y[0] - 1) * p.pitch + g->y[1];
    p.reach = far[0] * p.pitch + far[1];
    return p;
}

/* Phase of tap t; *inside is its distance from there. */
static int64_t tap_phase(const Planes *p, int64_t t, int64_t *inside)
{
    const ConvGeo *g = &p->g;
    int64_t r = t / g->k[1] * g->dilation[0], s = t % g->k[1] * g->dilation[1];
    *inside = r / g->stride[0] * p->pitch + s / g->stride[1];
    return r % g->stride[0] * g->stride[1] + s % g->stride[1];
}

static int64_t strips(int64_t n)
{
    return (n + CONV_STRIP - 1) / CONV_STRIP * CONV_STRIP;
}

static int64_t tiles(int64_t n)
{
    return (n + CONV_TILE - 1) / CONV_TILE * CONV_TILE;
}

/* Sizes of the scratch pieces in elements; y planes have room to be read backwards. */
static int64_t x_planes(const Planes *p)
{
    return p->g.in * p->channel + 2 * CONV_STRIP;
}

static int64_t y_stride(const Planes *p)
{
    int64_t n = p->phase > p->length ? p->phase : p->length;
    return p->reach + strips(n) + CONV_STRIP;
}

static int64_t slots(int64_t n)
{
    return (n + SLOT - 1) / SLOT * SLOT;
}

/* As many as have work and, when images are large, as fit into ROOM elements; at least
 * a few. */
static int64_t groups_of(const Planes *p, int64_t group)
{
    int64_t most = group > 0 ? ROOM / group : GROUPS;
    most = most > GROUPS ? GROUPS : most < GROUPS_LEAST ? GROUPS_LEAST : most;
    return p->g.images < most ? p->g.images : most;
}

/* ---- moving images --------------------------------------------------------------- */

typedef struct ConvJob {
    Planes p;
    const ConvTable *k;
    size_t size;
    char *x, *w, *bias, *y;  /* of all images */
    char *scratch;           /* packed weights, then groups */
    int64_t packed, group;   /* elements */
    const int64_t *at, *tap; /* distance and number of each tap, in phase order */
    const int64_t *first;    /* first tap of each used phase, and the end */
    const int64_t *phase;
    int64_t phases; /* that taps use */
} ConvJob;

static char *move_by(const ConvJob *j, char *p, int64_t elements)
{
    return p + elements * (int64_t)j->size;
}

/* The part of a line of n cells, at offset + step k, that lies in 0..side-1. */
static void inside(int64_t offset, int64_t step, int64_t side, int64_t n, int64_t *from,
                   int64_t *to)
{
    *from = offset < 0 ? (-offset + step - 1) / step : 0;
    *to = side > offset ? (side - offset + step - 1) / step : 0;
    *to = *to > n ? n : *to;
    *from = *from > *to ? *to : *from;
}

/* Between one image plane and one phase plane: in fills the phase, out the image. */
static void move_phase(const ConvJob *j, int64_t phase, char *image, char *plane,
                       bool in)
{
    const ConvGeo *g = &j->p.g;
    int64_t top = phase / g->stride[1] - g->pad[0], from, to;
    int64_t left = phase % g->stride[1] - g->pad[1];
    inside(left, g->stride[1], g->x[1], j->p.pitch, &from, &to);
    for (int64_t r = 0; r < j->p.rows; r++) {
        int64_t row = top + r * g->stride[0];
        if (row < 0 || row >= g->x[0] || from >= to)
            continue;
        char *a = move_by(j, image, row * g->x[1] + left + from * g->stride[1]);
        char *b = move_by(j, plane, r * j->p.pitch + from);
        if (in)
            j->k->move(to - from, a, g->stride[1], b, 1);
        else
            j->k->move(to - from, b, 1, a, g->stride[1]);
    }
}

/* The padding is 0 since the group's start. */
static void pad_image(const ConvJob *j, char *image, char *planes)
{
    const ConvGeo *g = &j->p.g;
    for (int64_t c = 0; c < g->in; c++)
        for (int64_t f = 0; f < j->phases; f++)
            move_phase(j, j->phase[f], move_by(j, image, c * g->x[0] * g->x[1]),
                       move_by(j, planes, c * j->p.channel + j->phase[f] * j->p.phase),
                       true);
}

/* One image of results to planes, `lead` elements into each; junk columns stay 0. */
static void spread_result(const ConvJob *j, char *y, char *planes, int64_t lead)
{
    const ConvGeo *g = &j->p.g;
    int64_t stride = y_stride(&j->p);
    for (int64_t o = 0; o < g->out; o++)
        for (int64_t r = 0; r < g->y[0]; r++)
            j->k->move(g->y[1], move_by(j, y, (o * g->y[0] + r) * g->y[1]), 1,
                       move_by(j, planes, o * stride + lead + r * j->p.pitch), 1);
}

/* ---- the three, for one image ---------------------------------------------------- */

static void image_forward(const ConvJob *j, int64_t image, char *room)
{
    const ConvGeo *g = &j->p.g;
    char *z = room, *v = move_by(j, room, slots(x_planes(&j->p)));
    ConvFlat c = {.n_in = g->in,
                  .n_out = g->out,
                  .taps = j->p.taps,
                  .length = j->p.length,
                  .in_stride = j->p.channel,
                  .out_stride = strips(j->p.length),
                  .at = j->at};
    pad_image(j, move_by(j, j->x, image * g->in * g->x[0] * g->x[1]), z);
    j->k->flat(&c, z, j->scratch, j->bias, v);
    char *y = move_by(j, j->y, image * g->out * g->y[0] * g->y[1]);
    for (int64_t o = 0; o < g->out; o++)
        for (int64_t r = 0; r < g->y[0]; r++)
            j->k->move(g->y[1], move_by(j, v, o * c.out_stride + r * j->p.pitch), 1,
                       move_by(j, y, (o * g->y[0] + r) * g->y[1]), 1);
}

/* A pixel is in one phase at most; those in none get 0. */
static void image_back(const ConvJob *j, int64_t image, char *room)
{
    const ConvGeo *g = &j->p.g;
    int64_t area = g->x[0] * g->x[1], one = strips(j->p.phase);
    char *v = room, *z = move_by(j, room, slots(g->out * y_stride(&j->p)));
    char *x = move_by(j, j->x, image * g->in * area), *w = j->scratch;
    spread_result(j, move_by(j, j->y, image * g->out * g->y[0] * g->y[1]), v,
                  j->p.reach);
    if (g->stride[0] > 1 || g->stride[1] > 1)
        memset(x, 0, (size_t)(g->in * area) * j->size);
    for (int64_t f = 0; f < j->phases; f++) {
        ConvFlat c = {.n_in = g->out,
                      .n_out = g->in,
                      .taps = j->first[f + 1] - j->first[f],
                      .length = j->p.phase,
                      .in_stride = y_stride(&j->p),
                      .out_stride = one,
                      .at = j->at + j->first[f]};
        j->k->flat(&c, move_by(j, v, j->p.reach), w, NULL, z);
        w = move_by(j, w, c.n_in * c.taps * tiles(c.n_out));
        for (int64_t i = 0; i < g->in; i++)
            move_phase(j, j->phase[f], move_by(j, x, i * area), move_by(j, z, i * one),
                       false);
    }
}

static void image_weigh(const ConvJob *j, int64_t image, char *room)
{
    const ConvGeo *g = &j->p.g;
    char *z = move_by(j, room, slots(g->out * g->in * j->p.taps));
    char *v = move_by(j, z, slots(x_planes(&j->p)));
    ConvFlat c = {.n_in = g->in,
                  .n_out = g->out,
                  .taps = j->p.taps,
                  .length = j->p.length,
                  .in_stride = j->p.channel,
                  .out_stride = y_stride(&j->p),
                  .at = j->at};
    pad_image(j, move_by(j, j->x, image * g->in * g->x[0] * g->x[1]), z);
    spread_result(j, move_by(j, j->y, image * g->out * g->y[0] * g->y[1]), v, 0);
    j->k->weigh(&c, z, v, room);
}

/* ---- running --------------------------------------------------------------------- */

typedef enum ConvKind { FORWARD, BACK, WEIGH } ConvKind;
typedef struct ConvRun {
    ConvJob j;
    ConvKind kind;
    int64_t groups;
} ConvRun;

static void run_group(int group, void *ctx)
{
    const ConvRun *r = ctx;
    const ConvJob *j = &r->j;
    const ConvGeo *g = &j->p.g;
    char *room = move_by(j, j->scratch, j->packed + group * j->group);
    memset(room, 0, (size_t)j->group * j->size);
    int64_t first = g->images * group / r->groups;
    for (int64_t i = first; i < g->images * (group + 1) / r->groups; i++) {
        if (r->kind == FORWARD)
            image_forward(j, i, room);
        else if (r->kind == BACK)
            image_back(j, i, room);
        else
            image_weigh(j, i, room);
    }
}

/* Elements: packed weights, what a group needs. */
static void sizes(const Planes *p, ConvKind kind, int64_t *packed, int64_t *group)
{
    const ConvGeo *g = &p->g;
    *packed = 0;
    if (kind == FORWARD) {
        *packed = g->in * p->taps * tiles(g->out);
        *group = slots(x_planes(p)) + slots(g->out * strips(p->length));
    } else if (kind == BACK) {
        *packed = g->out * p->taps * tiles(g->in);
        *group = slots(g->out * y_stride(p)) + slots(g->in * strips(p->phase));
    } else {
        *group = slots(g->out * g->in * p->taps) + slots(x_planes(p)) +
                 slots(g->out * y_stride(p) + CONV_STRIP);
    }
    *packed = slots(*packed);
}

static size_t tables_size(const Planes *p)
{
    return (size_t)(2 * p->taps + 2 * p->taps + 1) * sizeof(int64_t);
}

static size_t scratch_of(const ConvGeo *g, ConvKind kind, size_t size)
{
    Planes p = planes_of(g);
    int64_t packed, group;
    sizes(&p, kind, &packed, &group);
    return (size_t)(packed + group * groups_of(&p, group)) * size + tables_size(&p);
}

/* Taps sorted by phase (stable): at, tap, first, phase. A forward pass measures from
 * the channel's start in the kernel's order; backward from the phase, reversed. */
static void fill_tables(ConvJob *j, ConvKind kind, int64_t *room)
{
    const Planes *p = &j->p;
    int64_t *at = room, *tap = at + p->taps, *first = tap + p->taps;
    int64_t *phase = first + p->taps + 1, n = 0, in;
    int64_t all = p->g.stride[0] * p->g.stride[1];
    for (int64_t f = 0; f < all; f++) {
        int64_t before = n;
        for (int64_t t = 0; t < p->taps; t++)
            if (tap_phase(p, t, &in) == f) {
                at[n] = -in;
                tap[n++] = t;
            }
        if (n > before) {
            phase[j->phases] = f;
            first[j->phases++] = before;
        }
    }
    first[j->phases] = n;
    for (int64_t t = 0; t < p->taps && kind != BACK; t++) {
        at[t] = tap_phase(p, t, &in) * p->phase;
        at[t] += in;
        tap[t] = t;
    }
    j->at = at;
    j->tap = tap;
    j->first = first;
    j->phase = phase;
}

static void pack_weights(const ConvJob *j, ConvKind kind)
{
    const ConvGeo *g = &j->p.g;
    char *to = j->scratch;
    ConvFlat c = {.n_in = g->in, .n_out = g->out, .taps = j->p.taps};
    if (kind == FORWARD)
        j->k->pack(&c, j->tap, j->p.taps, 0, j->w, to);
    for (int64_t f = 0; kind == BACK && f < j->phases; f++) {
        c = (ConvFlat){
            .n_in = g->out, .n_out = g->in, .taps = j->first[f + 1] - j->first[f]};
        j->k->pack(&c, j->tap + j->first[f], j->p.taps, 1, j->w, to);
        to = move_by(j, to, c.n_in * c.taps * tiles(c.n_out));
    }
}

static void sum_groups(const ConvRun *r)
{
    const ConvJob *j = &r->j;
    int64_t n = j->p.g.out * j->p.g.in * j->p.taps;
    memset(j->w, 0, (size_t)n * j->size);
    for (int64_t g = 0; g < r->groups; g++)
        j->k->add(n, move_by(j, j->scratch, j->packed + g * j->group), j->w);
}

static bool run_conv(const OpArgs *x, const ConvGeo *g, ConvKind kind,
                     const Tensor *img, const Tensor *w, const Tensor *bias,
                     const Tensor *y)
{
    bool f64 = tensor_is_f64(x->out[0]);
    ConvRun r = {
        .kind = kind, .j = {.p = planes_of(g), .k = KERN_PICK(conv_table, f64)}
    };
    r.j.size = f64 ? 8 : 4;
    r.j.x = img->data;
    r.j.w = w->data;
    r.j.y = y->data;
    r.j.bias = bias ? bias->data : NULL;
    sizes(&r.j.p, kind, &r.j.packed, &r.j.group);
    r.groups = groups_of(&r.j.p, r.j.group);
    char *tables = x->scratch;
    r.j.scratch = tables + (tables_size(&r.j.p) + 63) / 64 * 64;
    fill_tables(&r.j, kind, x->scratch);
    pack_weights(&r.j, kind);
    pool_run((int)r.groups, run_group, &r);
    if (kind == WEIGH)
        sum_groups(&r);
    return true;
}

/* ---- shape rules ----------------------------------------------------------------- */

static bool need_4d(const Spec *in, int k, Err *err)
{
    char text[96];
    if (!need_float(in, k, err) || !need_ndim(in, k, 4, err))
        return false;
    for (int d = k == 1 ? 0 : 1; d < 4; d++)
        if (in[k].dim[d] < 1)
            return err_set(err, ERR_SHAPE, "input %d is empty: %s", k + 1,
                           spec_format(&in[k], text));
    return true;
}

static bool need_channels(const char *what, int64_t have, int64_t want, Err *err)
{
    return have == want || err_set(err, ERR_SHAPE, "%s has %lld channels, not %lld",
                                   what, (long long)have, (long long)want);
}

static bool need_kernel(const ConvGeo *g, Err *err)
{
    return (g->k[0] >= 1 && g->k[1] >= 1 && g->k[0] <= CONV_MAX &&
            g->k[1] <= CONV_MAX) ||
           err_set(err, ERR_SHAPE, "the kernel's sides must be in 1..%d", CONV_MAX);
}

static void pair(int64_t to[2], const int64_t *from)
{
    to[0] = from[0];
    to[1] = from[1];
}

/* Geometry from x and w. */
static bool geo_forward(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){.images = in[0].dim[0], .in = in[0].dim[1], .out = in[1].dim[0]};
    pair(g->x, in[0].dim + 2);
    pair(g->k, in[1].dim + 2);
    return conv_steps(g, a->i, err) && need_kernel(g, err) && conv_result(g, err);
}

static bool shape_forward(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    ConvGeo g;
    char text[96];
    if (!need_4d(in, 0, err) || !need_4d(in, 1, err) ||
        !need_channels("the kernel", in[1].dim[1], in[0].dim[1], err) ||
        !geo_forward(in, a, &g, err))
        return false;
    if (n_in > 2 && in[2].ndim != -1 && (in[2].ndim != 1 || in[2].dim[0] != g.out))
        return err_set(err, ERR_SHAPE, "the bias must have %lld elements, it is %s",
                       (long long)g.out, spec_format(&in[2], text));
    *out = in[0];
    out->dim[1] = g.out;
    pair(out->dim + 2, g.y);
    return true;
}

/* Geometry from dy and w, with the sides of the image in attributes 6 and 7. */
static bool geo_back(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){.images = in[0].dim[0], .in = in[1].dim[1], .out = in[1].dim[0]};
    pair(g->k, in[1].dim + 2);
    if (!conv_steps(g, a->i, err) || !need_kernel(g, err))
        return false;
    for (int s = 0; s < 2; s++) {
        int64_t least = (in[0].dim[2 + s] - 1) * g->stride[s] +
                        g->dilation[s] * (g->k[s] - 1) + 1 - 2 * g->pad[s];
        g->x[s] = a->i[6 + s] ? a->i[6 + s] : least;
        if (g->x[s] < 1 || g->x[s] > least + g->stride[s] - 1 || g->x[s] < least)
            return err_set(err, ERR_SHAPE,
                           "no image of that %s gives a result of %lld; it can be %lld "
                           "to %lld",
                           s ? "width" : "height", (long long)in[0].dim[2 + s],
                           (long long)least, (long long)(least + g->stride[s] - 1));
    }
    return conv_result(g, err);
}

static bool shape_back(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_4d(in, 0, err) || !need_4d(in, 1, err) ||
        !need_channels("dy", in[0].dim[1], in[1].dim[0], err) ||
        !geo_back(in, a, &g, err))
        return false;
    *out = in[0];
    out->dim[1] = g.in;
    pair(out->dim + 2, g.x);
    return true;
}

/* Geometry from x and dy, with the sides of the kernel in attributes 6 and 7. */
static bool geo_weigh(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err)
{
    *g = (ConvGeo){.images = in[0].dim[0], .in = in[0].dim[1], .out = in[1].dim[1]};
    pair(g->x, in[0].dim + 2);
    if (!conv_steps(g, a->i, err))
        return false;
    for (int s = 0; s < 2; s++) {
        int64_t room =
            g->x[s] + 2 * g->pad[s] - 1 - (in[1].dim[2 + s] - 1) * g->stride[s];
        g->k[s] = a->i[6 + s] ? a->i[6 + s] : room < 0 ? 0 : room / g->dilation[s] + 1;
    }
    if (!need_kernel(g, err) || !conv_result(g, err))
        return false;
    return (g->y[0] == in[1].dim[2] && g->y[1] == in[1].dim[3]) ||
           err_set(err, ERR_SHAPE,
                   "a kernel of %lldx%lld gives results of %lldx%lld, dy has %lldx%lld",
                   (long long)g->k[0], (long long)g->k[1], (long long)g->y[0],
                   (long long)g->y[1], (long long)in[1].dim[2],
                   (long long)in[1].dim[3]);
}

static bool shape_weigh(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    ConvGeo g;
    (void)n_in;
    if (!need_4d(in, 0, err) || !need_float(in, 1, err) || !need_ndim(in, 1, 4, err))
        return false;
    if (in[1].dim[1] < 1 || in[1].dim[2] < 1 || in[1].dim[3] < 1)
        return err_set(err, ERR_SHAPE, "input 2 is empty");
    if (in[1].dim[0] != in[0].dim[0])
        return err_set(err, ERR_SHAPE, "x has %lld images and dy %lld",
                       (long long)in[0].dim[0], (long long)in[1].dim[0]);
    if (!geo_weigh(in, a, &g, err))
        return false;
    *out = in[0];
    out->dim[0] = g.out;
    out->dim[1] = g.in;
    pair(out->dim + 2, g.k);
    return true;
}

typedef bool GeoFn(const Spec *in, const OpAttr *a, ConvGeo *g, Err *err);
static GeoFn *const geo_of[] = {geo_forward, geo_back, geo_weigh};

static bool geo_args(const OpArgs *x, ConvKind kind, ConvGeo *g, Err *err)
{
    Spec in[2] = {spec_of(x->in[0]), spec_of(x->in[1])};
    return geo_of[kind](in, x->attr, g, err);
}

static bool run_forward(const OpArgs *x, Err *err)
{
    ConvGeo g;
    return geo_args(x, FORWARD, &g, err) &&
           run_conv(x, &g, FORWARD, x->in[0], x->in[1], x->n_in > 2 ? x->in[2] : NULL,
                    x->out[0]);
}

static bool run_back(const OpArgs *x, Err *err)
{
    ConvGeo g;
    return geo_args(x, BACK, &g, err) &&
           run_conv(x, &g, BACK, x->out[0], x->in[1], NULL, x->in[0]);
}

static bool run_weigh(const OpArgs *x, Err *err)
{
    ConvGeo g;
    return geo_args(x, WEIGH, &g, err) &&
           run_conv(x, &g, WEIGH, x->in[0], x->out[0], NULL, x->in[1]);
}

#define SCRATCH_AND_COST(name, kind)                                                   \
    static size_t scratch_##name(const Spec *in, int n_in, const OpAttr *a)            \
    {                                                                                  \
        ConvGeo g;                                                                     \
        (void)n_in;                                                                    \
        if (!geo_of[kind](in, a, &g, NULL))                                            \
            return 0;                                                                  \
        return 64 + scratch_of(&g, kind, in[0].dtype == F64 ? 8 : 4);                  \
    }                                                                                  \
    static double cost_##name(const Spec *in, int n_in, const OpAttr *a)               \
    {                                                                                  \
        ConvGeo g;                                                                     \
        (void)n_in;                                                                    \
        if (!geo_of[kind](in, a, &g, NULL))                                            \
            return 0;                                                                  \
        return 2.0 * (double)(g.images * g.out * g.y[0] * g.y[1]) *                    \
               (double)(g.in * g.k[0] * g.k[1]);                                       \
    }
SCRATCH_AND_COST(forward, FORWARD)
SCRATCH_AND_COST(back, BACK)
SCRATCH_AND_COST(weigh, WEIGH)

/* ---- backward -------------------------------------------------------------------- */

static OpAttr with_sides(const OpAttr *a, const int64_t *side)
{
    OpAttr b = *a;
    pair(b.i + 6, side);
    return b;
}

static Val call(Graph *g, const char *op, Val p, Val q, const OpAttr *a)
{
    Val in[2] = {p, q};
    return g_call(g, op, in, 2, a);
}

static Val channel_sum(Graph *g, Val dy)
{
    Spec s = graph_spec(g, dy);
    if (!graph_ok(g))
        return VAL_NONE;
    OpAttr a = {
        .n_list = 4, .list = {1, s.dim[1], 1, 1}
    };
    return g_reshape(g, g_call(g, "sum_to", &dy, 1, &a), 1, &s.dim[1]);
}

static bool grad_forward(Graph *g, OpGrad *d)
{
    Val x = d->in[0], w = d->in[1], dy = d->dout[0];
    OpAttr back = with_sides(d->attr, graph_spec(g, x).dim + 2);
    OpAttr weigh = with_sides(d->attr, graph_spec(g, w).dim + 2);
    if (d->need[0])
        d->din[0] = call(g, "conv2d_input_grad", dy, w, &back);
    if (d->need[1])
        d->din[1] = call(g, "conv2d_kernel_grad", x, dy, &weigh);
    if (d->n_in > 2 && d->in[2] != VAL_NONE && d->need[2])
        d->din[2] = channel_sum(g, dy);
    return graph_ok(g);
}

static bool grad_back(Graph *g, OpGrad *d)
{
    Val dy = d->in[0], w = d->in[1], v = d->dout[0];
    OpAttr weigh = with_sides(d->attr, graph_spec(g, w).dim + 2);
    if (d->need[0])
        d->din[0] = call(g, "conv2d", v, w, d->attr);
    if (d->need[1])
        d->din[1] = call(g, "conv2d_kernel_grad", v, dy, &weigh);
    return graph_ok(g);
}

static bool grad_weigh(Graph *g, OpGrad *d)
{
    Val x = d->in[0], dy = d->in[1], v = d->dout[0];
    OpAttr back = with_sides(d->attr, graph_spec(g, x).dim + 2);
    if (d->need[0])
        d->din[0] = call(g, "conv2d_input_grad", dy, v, &back);
    if (d->need[1])
        d->din[1] = call(g, "conv2d", x, v, d->attr);
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

#define STEPS                                                                          \
    "stride:i=1, pad:i=0, dilation:i=1, stride_w:i=-1, pad_w:i=-1, dilation_w:i=-1"
#define STEPS_DOC                                                                      \
    " stride, pad (zeros) and dilation hold for both sides unless stride_w, pad_w or " \
    "dilation_w is given."
const OpRow ops_conv[] = {
    {.name = "conv2d",
     .sig = "x, w, b?, " STEPS,
     .doc =
         "2-D convolution as networks use it: x [B,C,H,W] with kernels w [O,C,kh,kw] "
         "and an optional bias b [O] gives [B,O,Ho,Wo], Ho = floor((H + 2 pad - "
         "dilation (kh-1) - 1) / stride) + 1." STEPS_DOC,
     .formula = "y_bopq = b_o + sum_crs w_ocrs x_b,c,p stride + r dilation - pad,...",
     .shape = shape_forward,
     .run = run_forward,
     .grad = grad_forward,
     .scratch = scratch_forward,
     .flops = cost_forward,
     .test = {.shapes = "2x3x5x6,4x3x3x3,4; 1x1x1x1,1x1x1x1,-; 2x2x7x5,3x2x3x2,3; "
                        "2x2x9x8,5x2x3x3,-; 1x3x6x40,2x3x2x3,2; 0x2x4x4,3x2x3x3,3; "
                        "3x1x8x9,9x1x1x3,9; 40x2x3x3,2x2x3x3,-",
              .attrs = "pad=1; ; stride=2 pad=1; dilation=2 pad=2 stride=3; stride_w=2 "
                       "pad_w=1 dilation_w=2; ; stride=3 dilation_w=3 pad_w=4; pad=2"}},
    {.name = "conv2d_input_grad",
     .sig = "dy, w, " STEPS ", height:i=0, width:i=0",
     .doc = "The transpose of conv2d in x: dy [B,O,Ho,Wo] and w [O,C,kh,kw] give "
            "[B,C,height,width]; without height and width the smallest image with such "
            "a result (a transposed convolution)." STEPS_DOC,
     .formula = "dx = d <dy, conv2d(x, w)> / dx",
     .shape = shape_back,
     .run = run_back,
     .grad = grad_back,
     .scratch = scratch_back,
     .flops = cost_back,
     .test = {.shapes = "2x4x5x6,4x3x3x3; 1x1x1x1,1x1x1x1; 2x3x4x4,3x2x3x2; "
                        "2x5x3x3,5x2x3x3; 0x3x4x4,3x2x3x3; 3x9x3x2,9x1x1x3",
              .attrs = "pad=1; ; stride=2 pad=1 height=7 width=7; dilation=2 pad=2 "
                       "stride=3 height=9; ; stride=3 dilation_w=3 pad_w=4"}          },
    {.name = "conv2d_kernel_grad",
     .sig = "x, dy, " STEPS ", kh:i=0, kw:i=0",
     .doc = "The transpose of conv2d in w: x [B,C,H,W] and dy [B,O,Ho,Wo] give "
            "[O,C,kh,kw], summed over the batch; without kh and kw the largest kernel "
            "with such a result." STEPS_DOC,
     .formula = "dw = d <dy, conv2d(x, w)> / dw",
     .shape = shape_weigh,
     .run = run_weigh,
     .grad = grad_weigh,
     .scratch = scratch_weigh,
     .flops = cost_weigh,
     .test = {.shapes = "2x3x5x6,2x4x5x6; 1x1x1x1,1x1x1x1; 2x2x7x5,2x3x4x3; "
                        "2x2x9x8,2x5x3x3; 0x2x4x4,0x3x2x2; 3x1x8x9,3x9x3x4; "
                        "40x2x3x3,40x2x5x5; 1x7x4x20,1x6x3x18",
              .attrs = "pad=1; ; stride=2 pad=1 kh=3 kw=2; dilation=2 pad=2 stride=3 "
                       "kh=3 kw=3; ; stride=3 dilation_w=3 pad_w=4 kh=1 kw=3; pad=2 "
                       "kh=3 kw=3;"}                                                  },
};
const int ops_conv_count = ARRAY_LEN(ops_conv);
