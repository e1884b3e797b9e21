/* model.h -- networks as rows of one table. A row says which options it takes, which parameters it has
 * (names, shapes, inits) and how to build its forward pass on a graph, naming its sites.
 * A Model owns its parameters (a TensorSet of contiguous f32 tensors that graphs use as states) and
 * its config. Linear weights are [out, in].
 *   bilinear  z = x We^T; y = (z Wl^T * z Wr^T) Wu^T + b     (Pearce et al. 2024, arXiv 2410.08417)
 *             params embed [E,I], left [H,E], right [H,E], head [C,H], bias [C]; embed = 0: no
 *             embedding, left and right are [H,I]. Sites in, embed, left, right, hidden, logits.
 *   mlp       784-H-...-10 with relu, gelu or geglu; biases optional. Sites fc1.in, fc1.pre, hidden ... */
#ifndef CLEAVE_MODEL_MODEL_H
#define CLEAVE_MODEL_MODEL_H
#include "base/option.h"
#include "graph/graph.h"
#include "tensor/io.h"

typedef struct Model Model;
typedef struct ModelRow {
    const char *name, *doc;
    const OptRow *options;
    size_t n_options, config_size;
    /* Adds every parameter, drawn from (seed, "init.<name>"). */
    bool (*init)(Model *m, Err *err);
    /* x [B,I] f32 -> logits [B,C]; parameters by model_param(). */
    Val (*forward)(Model *m, Graph *g, Val x);
} ModelRow;
struct Model {
    const ModelRow *row;
    void *config;      /* config_size bytes, filled through row->options */
    TensorSet *params; /* name -> tensor, in the row's order */
};
int model_row_count(void);
const ModelRow *model_row_at(int i);
const ModelRow *model_row(const char *name); /* NULL: none */

/* Copies config (NULL: defaults), draws the parameters. */
Model *model_new(const ModelRow *row, const void *config, Err *err);
void model_free(Model *m);
Val model_param(Model *m, Graph *g, const char *name); /* as a state of g; fails g if missing */
Val model_forward(Model *m, Graph *g, Val x);
int64_t model_in(const Model *m);  /* input size */
int64_t model_out(const Model *m); /* classes */
/* Inits shared by rows: std * N(0,1); PyTorch's Linear default (uniform +-1/sqrt(fan_in)). */
bool model_add_normal(Model *m, const char *name, int ndim, const int64_t *dim, double std,
                      uint64_t seed, Err *err);
bool model_add_uniform(Model *m, const char *name, int ndim, const int64_t *dim,
                       double bound, uint64_t seed, Err *err);
bool model_add_zeros(Model *m, const char *name, int ndim, const int64_t *dim, Err *err);
/* safetensors with the row's name and config in the metadata. */
bool model_save(const Model *m, const char *path, Err *err);
bool model_load(const char *path, Model **out, Err *err);
#endif
