/* sae_int.h -- what the files of the sparse autoencoder share. */
#ifndef CLEAVE_DECOMP_SAE_INT_H
#define CLEAVE_DECOMP_SAE_INT_H
#include "decomp/sae.h"

typedef enum SaeNorm {
    NORM_NONE,
    NORM_STANDARDISE, /* per example: minus mean, by std over dims */
    NORM_UNIT,        /* per example: by the length of x */
    NORM_RMS,         /* mean squared length 1 */
    NORM_LENGTH,      /* mean length sqrt(D) */
    NORM_ZSCORE,      /* every dimension mean 0, std 1 */
} SaeNorm;

enum {
    ACT_K = 1,
    ACT_TRAINED = 2,
    ACT_SHARED = 4,
    ACT_SIGNED = 8,
    ACT_COUNTS = 16,
    ACT_DRAWN = 32
};

/* A forward in training. Values of the graph; VAL_NONE where there is none. */
typedef struct SaeForm {
    Sae *s;
    Graph *g;
    int64_t B;
    Val x, y; /* normalised */
    Val enc, enc_b, dec, dec_b, theta;
    Val u, f, out;
    Val code;    /* as at inference, where f is not that: what is counted */
    Val penalty; /* per example, summed over latents: mean over the batch */
    Val extra;   /* in the units of the squared error */
} SaeForm;

struct SaeActRow {
    const char *name, *doc;
    unsigned flags;
    void (*train)(SaeForm *t);             /* u, theta -> f, penalty, extra */
    Val (*infer)(Sae *s, Graph *g, Val u); /* u -> f, example by example */
};
const SaeActRow *sae_act(const char *name);

struct Sae {
    SaeCfg cfg;
    const SaeActRow *act;
    SaeNorm norm;
    int64_t D, O, M, N;
    bool own_target;
    TensorSet *params, *states;
    Tensor x, y;         /* all examples, or the first of those in a source */
    const SaeSource *src; /* NULL: x and y are all */
    Tensor window_x, window_y; /* data NULL unless fed */
    Tensor theta; /* f32 [M]; also among the params when it is trained */
    Tensor shift_in, gain_in, shift_out, gain_out; /* f32: x' = (x - shift) gain */
    double variance;          /* total, of the normalised targets */
    Tensor mask_in, mask_out; /* f32 [M,D] [M,O]; empty unless there are layers */
    char prefix[16];          /* of its parameters' names in the graph's moments */
    uint64_t graph;           /* of the last loss, and of that what resampling reads */
    Val seen_x, seen_error;
};

bool sae_make_params(Sae *s, Err *err); /* by cfg, act, D, O and M */
bool sae_make_states(Sae *s, Err *err);

/* sae_anneal.c: what u and thresholds are multiplied by so that the kernel's width is
 * that of this step (VAL_NONE: it is constant); thresholds := those of this step's place
 * on the line to theta_end; the first weights and thresholds that options ask for. */
Val sae_sharpness(Sae *s, Graph *g);
void sae_follow_line(Sae *s, Graph *g, Val theta);
bool sae_start(Sae *s, Err *err);

/* sae_layers.c: masks of the two layers of a cross-layer transcoder (ERR_OPTION: sizes
 * that do not fit); parameters outside of them become 0 and rows unit. */
bool sae_split(Sae *s, Err *err);
void sae_split_apply(Sae *s);

/* sae_draw.c: what is drawn anew at every step: numbers of latents [B], the stochastic
 * activation with its gates, and the starts that dead latents get again. */
Val sae_draw_limits(Sae *s, Graph *g, int64_t B);
bool sae_make_gates(Sae *s, Err *err);
void sae_train_stochastic(SaeForm *t);
Val sae_infer_stochastic(Sae *s, Graph *g, Val u);
void sae_resample(Sae *s, Graph *g);

/* sae_start.c: the encoder of a transcoder. */
bool sae_start_map(Sae *s, Err *err);

/* sae.c: all examples in order, in one block or several. */
bool sae_rows(const Sae *s, SaeBlock *block, void *ctx, Err *err);

/* sae_norm.c */
SaeNorm sae_norm_kind(const char *name);
bool sae_norm_fit(Sae *s, Err *err);
/* Normalises a row of targets y in double; x is the row of inputs. */
void sae_norm_row(const Sae *s, const float *x, const float *y, double *out);
void sae_norm_in_row(const Sae *s, const float *x, float *out); /* a row of inputs */
/* Input and per-example offset and scale [B,1] (VAL_NONE in the dataset kinds). */
typedef struct SaeScaled {
    Val x, shift, scale;
} SaeScaled;
SaeScaled sae_norm_in(Sae *s, Graph *g, Val x);
Val sae_norm_target(Sae *s, Graph *g, const SaeScaled *in, Val y);
Val sae_norm_back(Sae *s, Graph *g, const SaeScaled *in, Val y);

/* Whether codes are so sparse by construction that work should go with what is
 * active. */
bool sae_few(const Sae *s);
Val sae_param(Sae *s, Graph *g, const char *name);
/* f [B,m] times rows [m,O] plus b [O] (VAL_NONE: 0). */
Val sae_times(const Sae *s, Graph *g, Val f, Val rows, Val b);
Val sae_pre(Sae *s, Graph *g, Val x);          /* normalised x -> u */
Val sae_write(Sae *s, Graph *g, Val f, Val x); /* f, normalised x -> y' */
#endif
