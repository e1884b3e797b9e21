/* superpose.h -- small networks that hold more features than they have neurons, and what
 * theory says about them. Features are independent: with probability `density` a
 * feature is active, else 0. Two forms:
 *   mlp   y = O ReLU(W x), no biases: computation of a target per feature;
 *   tied  y = ReLU(W^T W x + b): the toy model of superposition (Elhage et al. 2022,
 *         "Toy Models of Superposition").
 * W [n,N] reads N features into n neurons, O [N,n] writes. Loss: mean over examples and
 * features of importance_i |y_i - t_i|^power. Two conventions: "u_" is the mean over all
 * examples (what is trained), "c_" over those in which the feature is active. */
#ifndef CLEAVE_DECOMP_SUPERPOSE_H
#define CLEAVE_DECOMP_SUPERPOSE_H
#include "base/option.h"
#include "graph/optim.h"
#include "tensor/io.h"

typedef struct SuperCfg {
    char form[OPT_STR_CAP], target[OPT_STR_CAP], values[OPT_STR_CAP];
    char schedule[OPT_STR_CAP];
    int64_t features, neurons, power, embed, steps, batch, seed;
    double density, importance, last, mixing, lr;
    bool nonnegative;
} SuperCfg;
extern const OptRow super_options[];
extern const size_t super_n_options;

typedef struct Super Super;
Super *super_new(const SuperCfg *cfg, Err *err);
void super_free(Super *s); /* NULL is fine */
const SuperCfg *super_cfg(const Super *s);
/* in [n,N]; mlp: out [N,n]; tied: bias [N]. All f32. */
TensorSet *super_params(Super *s);
double super_importance(const Super *s, int64_t feature);
/* What feature `from` adds to the target of `to` for each unit of its value. */
double super_mixing(const Super *s, int64_t to, int64_t from);

/* For the trainer; ctx is the Super. Batches are drawn inside the graph. */
Val super_loss(void *ctx, Graph *g, Val idx);
void super_after(void *ctx, Graph *g); /* nonnegative: W is made so after each step */
/* y [B,N] of x f32 [B,N]. */
bool super_outputs(const Super *s, const Tensor *x, Tensor *y, Err *err);

/* Monte Carlo over `samples` examples, and exact sweeps of single features. "naive" is
 * the network that computes the n most important features perfectly and leaves out the
 * others, on the same examples. Every field is a double: super_measure_rows[] names and
 * documents them. */
typedef struct SuperMeasure {
    double u_mse, u_l4, c_mse, c_l4;
    double naive_u_mse, naive_u_l4, naive_c_mse, naive_c_l4;
    double ratio_u_mse, ratio_u_l4, ratio_c_mse, ratio_c_l4; /* naive / network */
    double c_mse_min, c_mse_max, c_mse_std;
    double isolated, interference, interference_share;
    double idle_mse, idle_l4;
    double gain, gain_std, negative, diagonal, ignored;
    double cross_mean, cross_abs, cross_rms, cross_bound, cross_min, cross_max;
    double k2, k4, k4_design, k4_random;
    double abs_cos, abs_cos_random, max_cos, welch;
    double dims, dims_limit, frame, frame4;
} SuperMeasure;
typedef struct SuperMeasureRow {
    const char *name, *doc;
    size_t offset;
} SuperMeasureRow;
extern const SuperMeasureRow super_measure_rows[];
extern const size_t super_n_measure_rows;
/* Per feature, f64 [N] each. */
enum {
    SUPER_C_MSE,
    SUPER_NAIVE_C_MSE,
    SUPER_ISOLATED,
    SUPER_RECEIVED, /* rms response to the other features at 1 */
    SUPER_GAIN,
    SUPER_NEGATIVE,
    SUPER_DIMENSION,
    SUPER_NORM,
    SUPER_PER_FEATURE
};
extern const char *const super_feature_names[SUPER_PER_FEATURE];
/* density 0: that of training. per: SUPER_PER_FEATURE empty tensors to fill, or NULL. */
bool super_measure(const Super *s, double density, int64_t samples, uint64_t seed,
                   SuperMeasure *out, Tensor *per, Err *err);
/* y_i when feature i alone takes `points` values evenly over lo..1 (lo = -1, or 0 for
 * values "unit"): f64 [N,points]. And y_j when feature i alone is 1: f64 [N,N], row j. */
bool super_responses(const Super *s, int64_t points, Tensor *out, Err *err);
bool super_gains(const Super *s, Tensor *out, Err *err);

/* ---- geometry of feature directions: the columns of w f32 or f64 [n,N] ------------- */

/* D_i = |w_i|^2 / sum_j (w_i . w_j / |w_i|)^2, f64 [N]; 0 for zero columns. Their sum is
 * at most n, and n for a tight frame (Elhage et al. 2022). */
bool super_dimensions(const Tensor *w, Tensor *out, Err *err);
/* Groups of features whose directions meet at |cos| > tolerance, among the columns longer
 * than 0.3 of the longest. */
typedef struct SuperShape {
    const char *name; /* "pentagon"; "" when it is none of the known ones */
    int64_t features, dims; /* how many, and the rank they span */
    double dimension, spread; /* mean and standard deviation of D over them */
} SuperShape;
/* *out with mem_free(). group: i32 [N] for each feature its shape, -1: too short; may be
 * NULL. */
bool super_shapes(const Tensor *w, double tolerance, SuperShape **out, int64_t *n,
                  Tensor *group, Err *err);

/* ---- theory ------------------------------------------------------------------------ */

typedef struct SuperTheory {
    double k_design, k_random; /* sum of (G_ij/g)^power: least possible, random */
    double gain, loss_ratio;   /* one active feature at a time: loss / naive */
    double gain_coactive, u_mse, u_l4; /* with others present; power 4 only, else NaN */
    double cross_bound;        /* least rms of G_ij at that gain, by its rank */
} SuperTheory;
/* For n neurons, N features, power 2 or 4, and k = the measured sum (0: the least
 * possible). One active feature: g = 1 / (1 + k^(1/(q-1))); with others the expected
 * fourth power of (1-g) x + interference is minimised, its interference taken as
 * Gaussian; good for density <= 0.02. */
bool super_theory(int64_t N, int64_t n, int64_t power, double density, double k,
                  SuperTheory *out, Err *err);
#endif
