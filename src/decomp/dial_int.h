/* dial_int.h -- what the files of the gauge dial share. Rows are the P of the class's n
 * components, then their N: W = Q W0 with Q in O(n,n), m = 2n. Everything linear in W is
 * kept for W0 and multiplied by Q when it is asked for. */
#ifndef CLEAVE_DECOMP_DIAL_INT_H
#define CLEAVE_DECOMP_DIAL_INT_H
#include "decomp/gauge_dial.h"
#include "decomp/gauge_int.h"

enum { DIAL_FLOWS = 4, DIAL_KEPT = 16, DIAL_ERASED = 1000 };

typedef struct DialMetric { /* f64 [m,m] of W0, and sums over the whole dictionary */
    Tensor gram, cross;     /* W S W^T and W S B S W^T */
    double TB, TT, BB;
} DialMetric;

typedef struct DialStrong { /* a component of another class (or residual) on an image */
    double size, value;     /* |act| |head|, act */
    int32_t component;
} DialStrong;

typedef struct DialImages {
    int64_t N, kept;         /* kept: of the other components, at most DIAL_KEPT */
    Tensor xw, zm;           /* f64 [N,m]: x W0^T, and z M W0^T in the embedding */
    double *logit, *rival;   /* [N] the network's for this class, largest of another */
    int32_t *answer, *label; /* [N]; label NULL: unknown */
    DialStrong *strong;      /* [N,kept] strongest first */
} DialImages;

struct GaugeDial {
    int64_t n, m, c;
    Dictionary dict; /* a copy of the whole */
    int64_t *rows;   /* [n] components of the class */
    int64_t height, width;
    bool has_metric[2], has_images, has_unlit;
    Tensor W0, V0;        /* f64 [m,I]; V0 = W0 S */
    Tensor Q;             /* f64 [m,m] */
    DialMetric metric[2]; /* plain, data */
    double *bias;         /* [C] */
    Tensor unlit;         /* f32 [I] */
    DialImages images;
    GaugeCfg cfg[DIAL_FLOWS];
    GaugeMove flow[DIAL_FLOWS];
    bool has_flow[DIAL_FLOWS];
    double *random; /* [m,m] an element of the Lie algebra */
    double reach;   /* the last step that a flow took */
};

/* out [m,I] = Q rows */
bool dial_rows(const GaugeDial *d, const Tensor *Q, const Tensor *rows, double *out,
               Err *err);
/* Largest entry of Q^T J Q - J. */
double dial_drift(const Tensor *Q);
/* The class alone, balanced; responses: with S a and S b for a and b. */
bool dial_class(const GaugeDial *d, bool responses, Dictionary *out, Err *err);
bool dial_images_new(GaugeDial *d, const DictEval *e, Err *err);
void dial_images_done(DialImages *w);
#endif
