/* priors.c -- the rows. Coordinates span [-1,1] over height and width; e = q^2 sums to
 * 1 a row; "mean w" is the weighted mean over patterns.
 *   sparsity      mean w sum |q| / sqrt(I): 1/sqrt(I) for a dot, 1 for a flat pattern
 *   locality      mean w (sum e (y^2+x^2) - (sum e y)^2 - (sum e x)^2): variance
 *   roughness     mean w sum of squared differences of neighbours: 4 for a dot
 *   variation     mean w sum of |differences of neighbours| / sqrt(I)
 *   background    mean w energy on pixels that hardly any image lights
 *   cancellation  sum |T_r| / (|T| sqrt R), a group lasso over components: large when
 *                 they cancel; unlike sum |T_r|^2 it gains nothing from splitting a
 *                 component in two
 *   duplicates    mean squared cosine of different components of one class
 *   laplacian     mean w |5-point Laplacian of q|^2: 20 for a dot
 *   border        mean w sum e (y^2+x^2): energy far from the middle
 *   symmetry      mean |a/|a| - b/|b||^2: 0 when a component is one square
 *   head_l1       mean sum |D| / |D|: 1 for one class, sqrt C for all alike
 *   head_entropy  mean entropy of |D| / log C: 0 for one class, 1 for all alike
 *   varimax       1 - mean w sum q^4: 0 for a dot */
#include "decomp/priors.h"

#include <math.h>
#include <string.h>

static Val attr_call(Graph *g, const char *op, Val x, OpAttr a)
{
    return g_call(g, op, &x, 1, &a);
}

static Val row_norm(Graph *g, Val x)
{
    return g_shift(
        g, g_sqrt(g, g_shift(g, g_sum_axis(g, g_square(g, x), 1, true), 1e-24)), 1e-12);
}

Val prior_patterns(Graph *g, Val a, Val b)
{
    Val t = g_sqrt(g, g_div(g, row_norm(g, b), row_norm(g, a)));
    Val sa = g_mul(g, a, t), sb = g_div(g, b, t);
    Val plus = g_add(g, sa, sb), minus = g_sub(g, sa, sb);
    plus = g_div(g, plus, row_norm(g, plus));
    minus = g_div(g, minus, row_norm(g, minus));
    OpAttr axis = {0};
    return g_call(g, "concat", (Val[]){plus, minus}, 2, &axis);
}

Val prior_unit_rows(Graph *g, Val x)
{
    return g_div(g, x, row_norm(g, x));
}

Val prior_weights(Graph *g, Val nrm, double emphasis, bool twice)
{
    OpAttr axis = {0};
    Val size = g_stop(g, g_shift(g, nrm, 1e-20));
    Val h = g_exp(g, g_scale(g, g_log(g, size), emphasis / 2));
    h = g_div(g, h, g_mean(g, h));
    return twice ? g_call(g, "concat", (Val[]){h, h}, 2, &axis) : h;
}

Val prior_weighted_mean(const PriorCtx *p, Val row_values)
{
    return g_mean(p->g, g_mul(p->g, row_values, p->weight));
}

static Val row_sum(const PriorCtx *p, Val x)
{
    return g_sum_axis(p->g, x, 1, false);
}

static Val build_sparsity(const PriorCtx *p)
{
    Val l1 = row_sum(p, g_abs(p->g, p->q));
    return g_scale(p->g, prior_weighted_mean(p, l1), 1 / sqrt((double)p->I));
}

/* Constants [I,n] over the image grid. */
typedef double GridFn(double y, double x);

static Val grid_const(const PriorCtx *p, int n, GridFn *const *fn)
{
    Err err;
    Tensor t = {0};
    int64_t at[2];
    if (!graph_ok(p->g))
        return VAL_NONE;
    if (!tensor_new(graph_spec(p->g, p->q).dtype, 2, (int64_t[]){p->I, n}, &t, &err))
        return graph_fail(p->g, err.code, "%s", err.msg);
    for (int64_t i = 0; i < p->I; i++) {
        double y = p->height > 1
                       ? 2.0 * (double)(i / p->width) / (double)(p->height - 1) - 1
                       : 0;
        double x = p->width > 1
                       ? 2.0 * (double)(i % p->width) / (double)(p->width - 1) - 1
                       : 0;
        at[0] = i;
        for (at[1] = 0; at[1] < n; at[1]++)
            tensor_set(&t, at, fn[at[1]](y, x));
    }
    Val v = graph_const(p->g, &t);
    tensor_release(&t);
    return v;
}

static double coord_y(double y, double x)
{
    (void)x;
    return y;
}

static double coord_x(double y, double x)
{
    (void)y;
    return x;
}

static double radius2(double y, double x)
{
    return y * y + x * x;
}

static Val build_locality(const PriorCtx *p)
{
    Graph *g = p->g;
    Val centre =
        g_matmul(g, p->energy, grid_const(p, 2, (GridFn *const[]){coord_y, coord_x}),
                 false, false);
    Val second = g_matmul(g, p->energy, grid_const(p, 1, (GridFn *const[]){radius2}),
                          false, false);
    Val spread = g_sub(g, row_sum(p, second), row_sum(p, g_square(g, centre)));
    return prior_weighted_mean(p, spread);
}

static int64_t patterns_of(const PriorCtx *p)
{
    return graph_ok(p->g) ? graph_spec(p->g, p->q).dim[0] : 1;
}

/* Differences of neighbours along an axis (1: vertical, 2: horizontal) of q as
 * [patterns,h,w]. */
static Val differences(const PriorCtx *p, Val image, int axis)
{
    int64_t n = axis == 1 ? p->height : p->width;
    OpAttr later =
               {
                   .i = {axis, 1, n, 1}
    },
           earlier = {.i = {axis, 0, n - 1, 1}};
    return g_sub(p->g, attr_call(p->g, "slice", image, later),
                 attr_call(p->g, "slice", image, earlier));
}

static Val neighbour_sum(const PriorCtx *p, Val (*fn)(Graph *, Val))
{
    Graph *g = p->g;
    Val image = g_reshape(g, p->q, 3, (int64_t[]){patterns_of(p), p->height, p->width});
    Val sum = VAL_NONE;
    for (int axis = 1; axis <= 2; axis++) {
        Val d = fn(g, differences(p, image, axis));
        int64_t n = axis == 1 ? (p->height - 1) * p->width : p->height * (p->width - 1);
        Val rows = row_sum(p, g_reshape(g, d, 2, (int64_t[]){patterns_of(p), n}));
        sum = axis == 1 ? rows : g_add(g, sum, rows);
    }
    return prior_weighted_mean(p, sum);
}

static Val build_roughness(const PriorCtx *p)
{
    return neighbour_sum(p, g_square);
}

static Val build_variation(const PriorCtx *p)
{
    return g_scale(p->g, neighbour_sum(p, g_abs), 1 / sqrt((double)p->I));
}

static Val build_background(const PriorCtx *p)
{
    if (p->unlit == VAL_NONE)
        return graph_fail(p->g, ERR_OPTION,
                          "the background prior needs the training images, to "
                          "know which pixels are never lit");
    return prior_weighted_mean(p, row_sum(p, g_mul(p->g, p->energy, p->unlit)));
}

static Val build_cancellation(const PriorCtx *p)
{
    Graph *g = p->g;
    Val sizes = g_sum(g, g_sqrt(g, g_shift(g, p->nrm, 1e-20)));
    return g_div(g, sizes, g_sqrt(g, g_scale(g, p->TT, (double)p->R)));
}

static Val build_duplicates(const PriorCtx *p)
{
    Graph *g = p->g;
    Val size = g_sqrt(g, g_shift(g, p->nrm, 1e-20));
    Val col = g_reshape(g, size, 2, (int64_t[]){p->R, 1});
    Val cosine = g_div(g, g_div(g, p->gram, col), size);
    Val all = g_sum(g, g_square(g, cosine));
    return g_shift(g, g_scale(g, all, 1 / (double)p->R),
                   -1); /* the diagonal is R ones */
}

static Val build_laplacian(const PriorCtx *p)
{
    OpAttr size = {
        .i = {p->height, p->width}
    };
    Val lap = attr_call(p->g, "laplacian", p->q, size);
    return prior_weighted_mean(p, row_sum(p, g_square(p->g, lap)));
}

static Val build_border(const PriorCtx *p)
{
    Val r2 = grid_const(p, 1, (GridFn *const[]){radius2});
    return prior_weighted_mean(p,
                               row_sum(p, g_matmul(p->g, p->energy, r2, false, false)));
}

static Val build_symmetry(const PriorCtx *p)
{
    Graph *g = p->g;
    Val d = g_sub(g, prior_unit_rows(g, p->a), prior_unit_rows(g, p->b));
    return g_scale(g, g_sum(g, g_square(g, d)), 1 / (double)p->R);
}

static Val build_head_l1(const PriorCtx *p)
{
    Graph *g = p->g;
    return g_scale(g, g_sum(g, g_abs(g, prior_unit_rows(g, p->head))),
                   1 / (double)p->R);
}

static Val build_head_entropy(const PriorCtx *p)
{
    Graph *g = p->g;
    int64_t C = graph_ok(g) ? graph_spec(g, p->head).dim[1] : 2;
    Val h = g_abs(g, p->head);
    Val share = g_div(g, h, g_shift(g, g_sum_axis(g, h, 1, true), 1e-12));
    Val each = g_mul(g, share, g_log(g, g_shift(g, share, 1e-12)));
    double unit = C > 1 ? log((double)C) : 1;
    return g_scale(g, g_sum(g, each), -1 / (unit * (double)p->R));
}

static Val build_varimax(const PriorCtx *p)
{
    Val fourth = row_sum(p, g_square(p->g, p->energy));
    return g_shift(p->g, g_neg(p->g, prior_weighted_mean(p, fourth)), 1);
}

const PriorRow prior_rows[] = {
    {"sparsity",     build_sparsity    },
    {"locality",     build_locality    },
    {"roughness",    build_roughness   },
    {"variation",    build_variation   },
    {"background",   build_background  },
    {"cancellation", build_cancellation},
    {"duplicates",   build_duplicates  },
    {"laplacian",    build_laplacian   },
    {"border",       build_border      },
    {"symmetry",     build_symmetry    },
    {"head_l1",      build_head_l1     },
    {"head_entropy", build_head_entropy},
    {"varimax",      build_varimax     },
};
const size_t prior_n_rows = ARRAY_LEN(prior_rows);
_Static_assert(ARRAY_LEN(prior_rows) <= PRIOR_CAP, "PRIOR_CAP");

int prior_index(const char *name)
{
    for (size_t k = 0; k < prior_n_rows; k++)
        if (!strcmp(prior_rows[k].name, name))
            return (int)k;
    return -1;
}
