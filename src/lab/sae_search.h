/* sae_search.h -- which weight of the sparsity penalty gives an L0: by a grid, as
 * published recipes do it, or by a bracket. L0 falls with the weight, noisily, and goes
 * on falling while a training lasts, so a grid over short trials is biased, and an
 * answer at its edge says nothing: it is flagged. */
#ifndef CLEAVE_LAB_SAE_SEARCH_H
#define CLEAVE_LAB_SAE_SEARCH_H
#include "lab/sae_fit.h"

/* L0 of a training with this weight. */
typedef bool L0At(void *ctx, double weight, double *l0, Err *err);
typedef struct L0Search {
    double weight, l0; /* the trial nearest to the target */
    double lo, hi;     /* last grid or bracket */
    int64_t trials;
    bool edge;      /* grid: the best is its first or last point, so the target may be
                     * outside; bracket: none was found in `most` trials */
    bool bracketed; /* L0(lo) > target >= L0(hi) was seen */
} L0Search;

/* A geometric grid of n points over lo..hi, then one of `refine` points over a ninth to
 * nine times the best (0: none). edge is that of the last grid. ERR_OPTION: n < 2,
 * lo >= hi. */
bool l0_grid(L0At *at, void *ctx, double target, double lo, double hi, int64_t n,
             int64_t refine, L0Search *out, Err *err);
/* From a start outwards by factors of three until the target is between two trials, then
 * halvings of the bracket in log weight, ended early by a trial within `close` of the
 * target, relative. */
bool l0_bracket(L0At *at, void *ctx, double target, double start, double close,
                int64_t most, L0Search *out, Err *err);

typedef struct SaeSearchCfg {
    char search[OPT_STR_CAP]; /* "grid", "bracket" */
    double target, lo, hi, start, close;
    int64_t points, refine, trial_steps, most;
} SaeSearchCfg;
extern const OptRow sae_search_options[];
extern const size_t sae_search_n_options;

typedef struct SaeSearch {
    L0Search found;
    double before;      /* L0 on `val` of the trial that was chosen */
    double l0;          /* of the autoencoder that is returned */
    TrainReport report; /* its training; steps and seconds of all trainings together */
} SaeSearch;
/* Autoencoders of cfg with weights chosen by the search, each from the same start; L0 is
 * the mean number of active latents on val (NULL: x). The grid's trials take trial_steps
 * (0: cfg->steps) and then one training of cfg->steps has the chosen weight; the
 * bracket's trials are of full length and the best is kept. cfg->control and cfg->l0 are
 * not used: nothing but the weight sets L0. NULL: an error. */
Sae *sae_search(const SaeCfg *cfg, const SaeSearchCfg *search, const Tensor *x,
                const Tensor *val, const TrainHooks *hooks, SaeSearch *out, Err *err);
#endif
