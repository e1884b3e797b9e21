/* spd.h -- stochastic parameter decomposition (Bushnaq et al. 2025, arXiv 2506.20790):
 * every decomposed layer W of a frozen network gets C rank-one components V[:,c] U[c,:]
 * and a causal importance g_c for each of them and each position, found by training
 * under random masks. Of a layer whose target pre-activation (its bias included) is v,
 *   y = (a * q (m - d)) U + e (v - b) + b,   a = x V,   e = d where q = 1, else 1
 * with masks m, the delta component's mask d (0 without one) and routing q in {0, 1}:
 * this is (a * m) U + d D x + b with D = W - (V U)^T, without forming D.
 * Layer kinds, causal-importance functions, losses, samplers are rows of tables. Every
 * count, mask and denominator is a layer's own: a layer sees P = B * positions rows. */
#ifndef CLEAVE_DECOMP_SPD_H
#define CLEAVE_DECOMP_SPD_H
#include "base/option.h"
#include "graph/optim.h"
#include "tensor/io.h"

enum { SPD_MAX_LAYERS = 16, SPD_NAME = 48, SPD_HEADS = 4 };

/* ---- what is decomposed ---------------------------------------------------------- */

typedef struct SpdKindRow SpdKindRow;
/* A layer called "fc1" has the sites fc1.in and fc1.pre, or `out_site` instead of the
 * latter. Zero what does not apply. */
typedef struct SpdLayer {
    char name[SPD_NAME], out_site[SPD_NAME];
    const SpdKindRow *kind;
    Tensor weight;   /* as the network has it; borrowed */
    Tensor bias;     /* [d_out], or zeroed; borrowed */
    bool transposed; /* linear: weight is [in,out] (a tied decoder) */
    int tied;        /* U = V^T, V = U^T of that layer (0-based); -1: its own */
    int64_t components;
    int64_t stride, pad, dilation; /* conv2d */
} SpdLayer;

/* A kind of layer. Rows are [P, .] with P = B * positions, positions last in P. */
struct SpdKindRow {
    const char *name, *doc;
    int ndim; /* of its weights */
    /* Rows of V and columns of U; false with a sentence for a shape it cannot do. */
    bool (*sizes)(const SpdLayer *l, int64_t *d_in, int64_t *d_out, Err *err);
    /* Component activations [P,C] of the layer's input; V is [d_in, C]. */
    Val (*acts)(const SpdLayer *l, Graph *g, Val x, Val V);
    /* The layer's output as rows [P,d_out], and rows as an output shaped like `like`. */
    Val (*to_rows)(const SpdLayer *l, Graph *g, Val y);
    Val (*from_rows)(const SpdLayer *l, Graph *g, Val rows, Val like);
    /* W as [d_out, d_in] in the order of V's rows. */
    Val (*matrix)(const SpdLayer *l, Graph *g, Val weight);
    bool positions; /* CI functions of the whole input are for kinds without */
};
extern const SpdKindRow spd_linear, spd_conv2d;
const SpdKindRow *spd_kind_for(const Tensor *weight); /* by its dims; NULL: none */

/* Slices of the output that answer one question each; label / divide % size is the
 * right answer. n 0: the whole output is one answer, and the label itself is right. */
typedef struct SpdHeads {
    int n;
    int64_t first[SPD_HEADS], size[SPD_HEADS], divide[SPD_HEADS];
} SpdHeads;

/* The network as a builder; sites tell the decomposition where layers are. */
typedef struct SpdTarget {
    void *ctx;
    Val (*forward)(void *ctx, Graph *g, Val x); /* the output, [B,O] */
    /* A batch of B examples, from idx i32 [B] of n_examples, or drawn (n_examples 0,
     * idx VAL_NONE) from streams that begin with `stream`. */
    Val (*batch)(void *ctx, Graph *g, Val idx, int64_t B, const char *stream);
    int64_t n_examples;
    /* Labels i32 [B] of the batch for accuracies; NULL: none. */
    Val (*labels)(void *ctx, Graph *g, Val idx);
    SpdHeads heads;
    /* An input row of zeros gives every component activation 0 and no error, so such
     * rows need not be run; the share of rows that are not zero. 0: off. */
    double live_rows;
    int n_layers;
    SpdLayer layer[SPD_MAX_LAYERS];
} SpdTarget;

/* ---- settings -------------------------------------------------------------------- */

typedef struct SpdCfg {
    int64_t components, samples, steps, batch, seed, ci_seed;
    char ci[OPT_STR_CAP], ci_hidden[OPT_STR_CAP], sigmoid[OPT_STR_CAP],
        sampling[OPT_STR_CAP], init[OPT_STR_CAP], output[OPT_STR_CAP],
        routing[OPT_STR_CAP], schedule[OPT_STR_CAP], pgd_init[OPT_STR_CAP];
    bool delta, pgd_shared, shortcut;
    /* Coefficients; 0: the loss is not computed. */
    double importance, faithfulness, recon, layerwise, subset, ci_recon, ci_layerwise,
        ci_subset, unmasked, hidden_acts, pgd, pgd_layerwise, pgd_subset, l1, l2;
    double p, p_final, p_start, p_end, eps, frequency, route_p;
    double lr, final_lr, clip, clip_ci;
    int64_t warmup, pgd_steps;
    double pgd_size;
    int64_t faith_steps; /* of the warm-up that sees no data */
    double faith_lr, faith_decay;
    double tau;
} SpdCfg;
extern const OptRow spd_options[];
extern const size_t spd_n_options;

/* ---- the decomposition ----------------------------------------------------------- */

typedef struct Spd Spd;
/* Components and CI functions at their start; the target's tensors are retained, its
 * ctx must live as long. A layer's `components` 0 takes cfg's. Errors: a layer of no
 * known kind, options that do not fit the layers. */
Spd *spd_new(const SpdCfg *cfg, const SpdTarget *target, Err *err);
void spd_free(Spd *s); /* NULL is fine */
const SpdCfg *spd_cfg(const Spd *s);
const SpdTarget *spd_target(const Spd *s);
int spd_layers(const Spd *s);
const SpdLayer *spd_layer(const Spd *s, int l);
int spd_find_layer(const Spd *s, const char *name); /* -1: none */
int64_t spd_components(const Spd *s, int l);
/* "<layer>.V" [d_in,C], "<layer>.U" [C,d_out], "<layer>.ci..."; tied layers share. */
TensorSet *spd_params(Spd *s);
/* V and U of a layer as values of a graph. */
Val spd_V(Spd *s, Graph *g, int l);
Val spd_U(Spd *s, Graph *g, int l);
/* D = W - (V U)^T as [d_out, d_in]. */
Val spd_delta(Spd *s, Graph *g, int l);

/* For the trainer; ctx is the Spd. The total, and every loss as an output of its name.
 * The gradient norms of components and CI functions are clipped apart. */
Val spd_loss(void *ctx, Graph *g, Val idx);
void spd_adjust(void *ctx, Graph *g, OptimParam *p, int n);
/* The loss of the warm-up: faithfulness alone; and the parameters it trains. */
Val spd_faith_loss(void *ctx, Graph *g, Val idx);

/* ---- passes ---------------------------------------------------------------------- */

typedef enum SpdMask {
    SPD_MASK_TARGET,     /* the network itself */
    SPD_MASK_ONES,       /* m = 1, no delta */
    SPD_MASK_CI,         /* m = g, no delta */
    SPD_MASK_STOCHASTIC, /* m = g + (1 - g) r, with delta where there is one */
    SPD_MASK_RANDOM,     /* m = r, no delta */
    SPD_MASK_ROUNDED,    /* m = [g > tau], no delta */
    SPD_MASK_ZEROS,      /* m = 0, no delta */
    SPD_MASK_COUNT
} SpdMask;
const char *spd_mask_name(SpdMask m);
/* Outputs f32 [N,O] of inputs x under masks; layers: bit l replaces layer l (~0: all).
 * Random masks come from cfg's seed and `draw`. */
bool spd_outputs(Spd *s, const Tensor *x, SpdMask m, uint32_t layers, uint64_t draw,
                 Tensor *out, Err *err);
/* Of one layer for inputs x: f32 [P,C]. */
typedef enum SpdView {
    SPD_ACTS,  /* a */
    SPD_CI,    /* g, lower-leaky */
    SPD_CI_UP, /* upper-leaky */
    SPD_PRE,   /* z, before the squashing */
} SpdView;
bool spd_view(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *out, Err *err);
/* The same as values of a graph in which x is the network's input. */
Val spd_view_val(Spd *s, Graph *g, Val x, int layer, SpdView v);
Val spd_output_val(Spd *s, Graph *g, Val x, SpdMask m, uint32_t layers,
                   const char *stream);
#endif
