/* absorb.h -- does a latent that stands for a class also act on all of it? A class is
 * split when it takes several latents to tell it, and absorbed where these "main" latents
 * are silent on an example of it and another, more special latent carries the class
 * instead (arXiv 2409.14507, 2503.09532). The class is a direction, that of a linear
 * probe of what the code is to write. On small networks this is a diagnosis, not a
 * score: it comes with what the same codes give with decoder rows dealt out anew. */
#ifndef CLEAVE_DECOMP_ABSORB_H
#define CLEAVE_DECOMP_ABSORB_H
#include "base/option.h"
#include "decomp/probe.h"
#include "decomp/sae.h"

typedef struct AbsorbCfg {
    int64_t most, draws, seed, many;
    double gain, f1, cosine, share, cosine_many;
} AbsorbCfg;
extern const OptRow absorb_options[];
extern const size_t absorb_n_options;

/* One class; shares are of the examples of it that the probe accepts. */
typedef struct AbsorbClass {
    bool counts;     /* its probe is good enough for the means */
    double probe_f1; /* of the linear probe */
    double main_f1;  /* of the main latents alone */
    double main;     /* how many of them: above 1 the class is split */
    double accepted; /* examples */
    double silent;   /* share on which all main latents are 0: limit of absorbed */
    double absorbed; /* share that is fully absorbed by one latent */
    double part;     /* mean share of the projection that up to three others carry */
    double null, null_part; /* absorbed and part with rows dealt out anew, mean */
} AbsorbClass;
typedef struct AbsorbRow {
    const char *name, *doc;
    size_t offset;
} AbsorbRow;
extern const AbsorbRow absorb_rows[]; /* the numbers of AbsorbClass */
extern const size_t absorb_n_rows;

typedef struct AbsorbIn {
    const Tensor *codes, *labels;           /* f32 [N,M], i32 [N]: choose the main */
    const Tensor *test_codes, *test_labels; /* f32 [T,M], i32 [T] */
    const Tensor *test;                     /* f32 [T,F]: what the probe reads */
    const Tensor *part; /* f32 [T,F]: of it what the code is to write, in the decoder's
                           units; a factor > 0 for a row changes nothing. NULL: test */
    const Tensor *decoder; /* f32 [M,F] */
    const LinearProbe *probe;
} AbsorbIn;

/* classes [C] of the probe. mean: over those that count, `accepted` their sum; NaN where
 * none does. An example that the probe accepts is absorbed when all main latents are 0
 * and the one with the largest code times cosine of its row with the probe has a cosine
 * of at least cfg->cosine and carries at least cfg->share of the example's projection.
 * In part: the projection that main latents leave, up to cfg->many others with a cosine
 * of at least cfg->cosine_many carry, as a share of what they and the main ones carry;
 * 0 where these others carry less than cfg->share of the example's projection.
 * Interruptible. */
bool absorb_measure(const AbsorbIn *in, const AbsorbCfg *cfg, AbsorbClass classes[],
                    AbsorbClass *mean, Err *err);
/* The same of an autoencoder: x, xt f32 [N,D] [T,D]; y, yt its targets (NULL: x, xt),
 * which the probe reads. ERR_OPTION with a skip, which writes beside the code. */
bool sae_absorb(Sae *s, const LinearProbe *probe, const Tensor *x, const Tensor *labels,
                const Tensor *xt, const Tensor *yt, const Tensor *test_labels,
                const AbsorbCfg *cfg, AbsorbClass classes[], AbsorbClass *mean,
                Err *err);
#endif
