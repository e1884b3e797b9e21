/* spd_int.h -- what the files of stochastic parameter decomposition share. A SpdForm is
 * one graph: the network run once as it is, with its layers' inputs and outputs caught
 * at their sites, and everything that is computed once for all losses. */
#ifndef CLEAVE_DECOMP_SPD_INT_H
#define CLEAVE_DECOMP_SPD_INT_H
#include "decomp/spd.h"

typedef struct SpdPart {
    int64_t d_in, d_out, C;
    int own;     /* the layer whose V and U these are; itself when not tied */
    int sharers; /* layers with the same matrices */
} SpdPart;

typedef struct SpdCiRow SpdCiRow;
struct Spd {
    SpdCfg cfg;
    SpdTarget target;
    const SpdCiRow *ci;
    TensorSet *params;
    SpdPart part[SPD_MAX_LAYERS];
};

/* A causal-importance function. */
struct SpdCiRow {
    const char *name, *doc;
    bool whole;  /* sees the layer's input, not a component's activation */
    bool hidden; /* ci_hidden may not be empty */
    /* Adds "<layer>.ci..." for layer l. */
    bool (*make)(Spd *s, int l, Err *err);
    /* z [P,C] from the layer's input x [B,d_in] or its activations a [P,C]. */
    Val (*apply)(Spd *s, Graph *g, int l, Val x, Val a);
    /* a_c becomes k_c a_c: parameters change so that z does not; NULL: nothing to do. */
    void (*rescale)(Spd *s, int l, const double *k);
};
const SpdCiRow *spd_ci_row(const char *name);
enum { SPD_MAX_HIDDEN = 4 };
/* Widths in ci_hidden, at most SPD_MAX_HIDDEN; -1 with a sentence. */
int spd_ci_widths(const SpdCfg *c, int64_t width[SPD_MAX_HIDDEN], Err *err);

typedef struct SpdSeen { /* of a layer in the network as it is */
    Val in, pre;         /* as the network has them */
    Val rows;            /* pre as rows [P,d_out] */
    Val V, U, a, z, g;
    int64_t P;
} SpdSeen;

typedef struct SpdForm {
    Spd *s;
    Graph *g;
    Val x, out;    /* the network's input and output */
    int64_t B;     /* rows of x */
    int64_t total; /* that they stand for: the rest are rows of zeros, as the last is */
    SpdSeen seen[SPD_MAX_LAYERS];
    const char *stream; /* in front of the names of random streams */
} SpdForm;

/* Where a mask's random numbers come from in a pass through components. */
typedef struct SpdPass {
    SpdMask mask;
    uint32_t layers;
    bool delta;
    Val route;              /* [L,B], or VAL_NONE: all */
    Val r[SPD_MAX_LAYERS];  /* given sources; VAL_NONE: drawn */
    Val d[SPD_MAX_LAYERS];  /* given delta masks [P] */
    char stream[40];        /* of drawn ones */
    Val in[SPD_MAX_LAYERS]; /* out: inputs of the layers in this pass */
} SpdPass;

/* Runs the network as it is; the rest of `f` is made by spd_form(). */
bool spd_form(SpdForm *f, Spd *s, Graph *g, Val x, int64_t total, const char *stream);
void spd_pass_init(SpdPass *p, SpdMask m, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The network's output with components in place of layers. */
Val spd_pass(SpdForm *f, SpdPass *p);
/* Divergence of an output from the target's, as the reconstruction losses measure it.
 */
Val spd_divergence(SpdForm *f, Val out);

/* ---- losses ---------------------------------------------------------------------- */

typedef struct SpdLossRow SpdLossRow;
typedef enum SpdPlan { SPD_ALL, SPD_LAYERWISE, SPD_SUBSET } SpdPlan;
struct SpdLossRow {
    const char *name, *doc;
    size_t coefficient; /* offset in SpdCfg */
    Val (*build)(SpdForm *f, const SpdLossRow *row);
    SpdMask mask;
    SpdPlan plan;
};
extern const SpdLossRow spd_loss_rows[];
extern const size_t spd_n_loss_rows;
/* Adversarial sources (spd_pgd.c). */
Val spd_loss_pgd(SpdForm *f, const SpdLossRow *row);
/* The step that schedules read, from 0; VAL_NONE in evaluation: the last. */
Val spd_clock(SpdForm *f);
Val spd_route(SpdForm *f, const char *stream);

/* The batch of a graph and its form. steps: evaluation draws from streams of its own.
 */
bool spd_batch_form(SpdForm *f, Spd *s, Graph *g, Val idx, int64_t B, bool shortcut,
                    const char *stream);
#endif
