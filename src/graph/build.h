/* build.h -- short names for building graphs in C: g_add(g, a, b) is graph_op() of the row
 * "add". Failure is sticky in the graph, so builders read like formulas. All functions return
 * VAL_NONE once the graph has failed. Shapes as in the rows' docs (`cleave help NAME`). */
#ifndef CLEAVE_GRAPH_BUILD_H
#define CLEAVE_GRAPH_BUILD_H
#include "graph/graph.h"

Val g_call(Graph *g, const char *op, const Val *in, int n_in, const OpAttr *a);
Val g_num(Graph *g, Val like, double v); /* scalar constant of like's dtype */
Val g_unary(Graph *g, const char *op, Val x);
Val g_binary(Graph *g, const char *op, Val a, Val b);
Val g_add(Graph *g, Val a, Val b);
Val g_sub(Graph *g, Val a, Val b);
Val g_mul(Graph *g, Val a, Val b);
Val g_div(Graph *g, Val a, Val b);
Val g_scale(Graph *g, Val x, double k);  /* k x */
Val g_shift(Graph *g, Val x, double k);  /* x + k */
Val g_neg(Graph *g, Val x);
Val g_square(Graph *g, Val x);
Val g_sqrt(Graph *g, Val x);
Val g_abs(Graph *g, Val x);
Val g_exp(Graph *g, Val x);
Val g_log(Graph *g, Val x);
Val g_relu(Graph *g, Val x);
Val g_gelu(Graph *g, Val x);
Val g_linear(Graph *g, Val x, Val w, Val b);            /* x [B,I], w [O,I], b [O] or VAL_NONE */
/* x [B,C,H,W], w [O,C,kh,kw], b [O] or VAL_NONE; all three hold down and across. */
Val g_conv2d(Graph *g, Val x, Val w, Val b, int64_t stride, int64_t pad,
             int64_t dilation);
Val g_matmul(Graph *g, Val a, Val b, bool ta, bool tb); /* 2-D */
/* x m (or x m^T) of matrices; where x is itself a sum of products, in the order that
 * takes the fewest operations. */
Val g_product(Graph *g, Val x, Val m, bool trans);
Val g_einsum(Graph *g, const char *spec, Val a, Val b); /* "bi,ij->bj" */
Val g_sum(Graph *g, Val x);                             /* all elements */
Val g_mean(Graph *g, Val x);
Val g_sum_axis(Graph *g, Val x, int axis, bool keep);
Val g_reshape(Graph *g, Val x, int ndim, const int64_t *dim);
Val g_transpose(Graph *g, Val x); /* 2-D */
Val g_cross_entropy(Graph *g, Val logits, Val labels);  /* mean over the batch */
Val g_normal(Graph *g, const char *stream, DType t, int ndim, const int64_t *dim);
Val g_uniform(Graph *g, const char *stream, double lo, double hi, DType t, int ndim,
              const int64_t *dim);
Val g_bernoulli(Graph *g, const char *stream, double p, DType t, int ndim,
                const int64_t *dim);
Val g_stop(Graph *g, Val x); /* stop gradient */
#endif
