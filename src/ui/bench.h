/* bench.h -- measuring steps, kernels and starts. A case is a row: it measures itself
 * and fills a BenchResult; the table prints one line a case. A time is the median of 7
 * windows. The floor is the larger of the arithmetic at the speed of a large product
 * and the unavoidable traffic at the speed of a read-write pass over as much memory,
 * both measured on this machine in this process. Times say nothing on a busy machine:
 * the heading gives the load. */
#ifndef CLEAVE_UI_BENCH_H
#define CLEAVE_UI_BENCH_H
#include "data/dataset.h"
#include "decomp/fit.h"
#include "graph/optim.h"
#include "ui/command.h"

typedef struct BenchResult {
    double seconds, best; /* of one step: median and best of the windows */
    double cpu;           /* seconds of all threads a step, of a training; else 0 */
    double flops, bytes;  /* that one step cannot avoid; 0: no floor */
    double floor;         /* seconds; set by the table */
    bool by_bytes;        /* which of the two set it */
    double reference;     /* seconds of the plain form; 0: none */
    double memory;        /* bytes at most, data included */
    double resident;      /* most bytes of the process so far */
    double first_loss;    /* of a training, before its first update */
} BenchResult;

/* What a dictionary step consists of, for a plainer form of the same step. */
typedef struct BenchDict {
    DictCfg cfg;
    Interaction b;
    Tensor S;         /* f64 [I,I] */
    Tensor x, logits; /* f32 [N,I], [N,C]; empty without distillation */
    Tensor idx;       /* i32 [batch] */
    DictFit *fit;     /* its parameters are trained in place */
    double loss;      /* at the parameters as they stand */
    int64_t height, width;
} BenchDict;

typedef struct Bench {
    double window;       /* seconds */
    bool profile;        /* print the time of each node of a step */
    double flop_rate;    /* of a large product, a second */
    const char *program; /* the cleave to start */
    int64_t seed;        /* of starts, batches and random numbers */
    int64_t n_losses;    /* more than 0: this many steps are run and none is timed */
    double *losses;      /* theirs */
    Dataset train;       /* loaded when first asked for */
    /* Seconds of a step and the loss of another form of a dictionary step, or NULL. */
    bool (*dense)(const struct Bench *b, const BenchDict *d, double *seconds,
                  double *loss, Err *err);
} Bench;

typedef struct BenchCase {
    const char *name, *title;
    bool (*measure)(Bench *b, const struct BenchCase *c, BenchResult *out, Err *err);
    const char *kind; /* model, start of a dictionary, or op */
    int64_t size, batch;
    double weight; /* weight decay, or of the distillation */
} BenchCase;
extern const BenchCase bench_cases[];
extern const size_t bench_n_cases;

typedef bool BenchStep(void *ctx, Err *err);
/* What is trained: the trainer's three builders (lab/train.h). */
typedef struct BenchLoss {
    Val (*build)(void *ctx, Graph *g, Val idx);
    void (*adjust)(void *ctx, Graph *g, OptimParam *p, int n); /* NULL: none */
    void (*after)(void *ctx, Graph *g);                        /* NULL: none */
    void *ctx;
} BenchLoss;
/* Times steps of Adam on it; bytes of the result are those of the weights. */
bool bench_fit(const Bench *b, TensorSet *params, const BenchLoss *l,
               int64_t n_examples, int64_t batch, double lr, BenchResult *out,
               Err *err);
/* Median and best seconds of a step over 7 windows, after steps that do not count. */
bool bench_time(const Bench *b, BenchStep *step, void *ctx, double *median,
                double *best, Err *err);
/* Bytes a second, read and written, of a pass over so many bytes on all threads. */
bool bench_bandwidth(size_t bytes, double *rate, Err *err);
bool bench_product_rate(double *flops, Err *err);
const Dataset *bench_mnist(Bench *b, Err *err); /* NULL: not to be had */

/* Measures of cases, by kind. */
bool bench_start(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_classifier(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_dictionary(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_sae(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_spd(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_super(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_conv(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_gemm(Bench *b, const BenchCase *c, BenchResult *out, Err *err);
bool bench_op(Bench *b, const BenchCase *c, BenchResult *out, Err *err);

/* The table, of the cases whose name begins with one of the words (none: all). */
Exit bench_run(Bench *b, const BenchOptions *o, char **word, int n_words);
#endif
