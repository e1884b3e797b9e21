/* masks.c -- coordinates are (y, x) with y down, as in the stroke templates. */
#include "decomp/masks.h"

#include <math.h>

bool mask_coordinates(int64_t n, Tensor *out, Err *err)
{
    if (!tensor_new(F32, 1, &n, out, err))
        return false;
    for (int64_t i = 0; i < n; i++)
        ((float *)out->data)[i] =
            n > 1 ? (float)(2.0 * (double)i / (double)(n - 1) - 1) : 0;
    return true;
}

/* The raw centre whose mask sits on the centre of energy along one axis. */
static float raw_centre(double moment, double energy)
{
    double c = energy > 0 ? moment / energy / 0.9 : 0;
    return (float)atanh(fmax(-0.95, fmin(c, 0.95)));
}

void mask_centres(const Tensor *t, const Tensor *ys, const Tensor *xs, float *centre)
{
    int64_t w = xs->dim[0], I = ys->dim[0] * w;
    const float *y = ys->data, *x = xs->data;
    for (int64_t r = 0; r < t->dim[0]; r++) {
        const float *q = (float *)t->data + r * I;
        double e = 0, my = 0, mx = 0;
        for (int64_t i = 0; i < I; i++) {
            double p = (double)q[i] * (double)q[i];
            e += p;
            my += p * (double)y[i / w];
            mx += p * (double)x[i % w];
        }
        centre[2 * r] = raw_centre(my, e);
        centre[2 * r + 1] = raw_centre(mx, e);
    }
}

/* exp(-(coordinate - centre)^2 k) as [n,m]; column 0 or 1 of centre [n,2]. */
static Val mask_side(Graph *g, Val centre, int column, Val k, const Tensor *coords)
{
    OpAttr a = {
        .i = {1, column, column + 1, 1}
    };
    Val c = g_call(g, "slice", &centre, 1, &a);
    Val d = g_square(g, g_sub(g, graph_const(g, coords), c));
    return g_exp(g, g_neg(g, g_mul(g, d, k)));
}

Val mask_learnt(Graph *g, Val centre, Val width, const Tensor *ys, const Tensor *xs)
{
    if (!graph_ok(g))
        return VAL_NONE;
    int64_t n = graph_spec(g, centre).dim[0], h = ys->dim[0], w = xs->dim[0];
    Val c = g_scale(g, g_unary(g, "tanh", centre), 0.9);
    Val sd = g_shift(g, g_scale(g, g_unary(g, "sigmoid", width), 0.47), 0.18);
    Val k = g_div(g, g_num(g, sd, 0.5), g_square(g, sd));
    Val col = g_reshape(g, mask_side(g, c, 0, k, ys), 3, (int64_t[]){n, h, 1});
    Val row = g_reshape(g, mask_side(g, c, 1, k, xs), 3, (int64_t[]){n, 1, w});
    return g_reshape(g, g_mul(g, col, row), 2, (int64_t[]){n, h * w});
}

static double bell(double d, double sigma)
{
    return exp(-0.5 * d * d / (sigma * sigma));
}

static double grid_place(int64_t k, int64_t n)
{
    return n > 1 ? 1.5 * (double)k / (double)(n - 1) - 0.75 : 0;
}

bool mask_grid(int64_t R, double sigma, int64_t height, int64_t width, Tensor *out,
               Err *err)
{
    int64_t side = 1, I = height * width;
    Tensor ys = {0}, xs = {0};
    while (side * side < R)
        side++;
    bool ok = mask_coordinates(height, &ys, err) && mask_coordinates(width, &xs, err) &&
              tensor_new(F32, 2, (int64_t[]){R, I}, out, err);
    for (int64_t r = 0; ok && r < R; r++) {
        float *m = (float *)out->data + r * I, top = 0;
        double cy = grid_place(r / side, side), cx = grid_place(r % side, side);
        for (int64_t i = 0; i < I; i++) {
            m[i] = (float)(bell((double)((float *)ys.data)[i / width] - cy, sigma) *
                           bell((double)((float *)xs.data)[i % width] - cx, sigma));
            top = fmaxf(top, m[i]);
        }
        for (int64_t i = 0; i < I; i++)
            m[i] = top > 0 ? m[i] / top : 1;
    }
    tensor_release(&ys);
    tensor_release(&xs);
    return ok;
}
