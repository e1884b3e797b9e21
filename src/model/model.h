/* model.h -- networks as rows of one table. A row says which options it takes, which
 * parameters it has (names, shapes, inits) and how to build its forward pass on a
 * graph, naming its sites. A Model owns its parameters (a TensorSet of contiguous f32
 * tensors that graphs use as states) and its config. Linear weights are [out, in].
 *   bilinear  z = x We^T; y = (z Wl^T * z Wr^T) Wu^T + b (Pearce et al. 2024, arXiv
 *             2410.08417). Parameters embed [E,I], left [H,E], right [H,E], head [C,H],
 *             bias [C]; embed = 0: no embedding, left and right are [H,I]. Sites in,
 *             embed, left, right, hidden, logits.
 *   mlp       h = act(x W1^T + b1) ...; y = h Wn^T + bn; the widths of the hidden
 *             layers as text ("500,128"; "": a linear classifier). Parameters
 *             fc1.weight [H1,I], fc1.bias [H1] ...; geglu: h = (x W^T + b) *
 *             GELU(x V^T + v) (Shazeer 2020, arXiv 2002.05202) with V and v in
 *             fc1.gate.weight and fc1.gate.bias. Sites fcK.in, fcK.pre, fcK.gate
 *             (geglu), fcK.act; the last fcK.act is "hidden", the last fcK.pre
 *             "logits".
 *   cnn       images of several channels: conv1 ... with activation and pooling, then
 *             fc1 ... as an mlp. Parameters conv1.weight [O,C,k,k], conv1.bias [O] ...,
 *             fc1.weight ... Sites convK.in, convK.pre, convK.act, convK.pool, all
 *             [B,C,H,W]; fcK as above, but the last fcK.pre is there beside "logits". */
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
    /* While a file is read: where model_add_*() take the tensors from instead of
     * drawing. */
    const TensorSet *from;
};
int model_row_count(void);
const ModelRow *model_row_at(int i);
const ModelRow *model_row(const char *name); /* NULL: none */

/* Copies config (NULL: defaults), draws the parameters. */
Model *model_new(const ModelRow *row, const void *config, Err *err);
void model_free(Model *m);
/* As a state of g; fails g if there is none of that name. */
Val model_param(Model *m, Graph *g, const char *name);
Val model_forward(Model *m, Graph *g, Val x);
int64_t model_in(const Model *m);  /* input size */
int64_t model_out(const Model *m); /* classes */
/* Stride, pad and dilation of a network's convolutions; 1, 0, 1 where it has none. */
void model_conv_steps(const Model *m, int64_t *stride, int64_t *pad, int64_t *dilation);
/* Inits shared by rows: std * N(0,1); PyTorch's Linear default (uniform
 * +-1/sqrt(fan_in)). */
bool model_add_normal(Model *m, const char *name, int ndim, const int64_t *dim,
                      double std, uint64_t seed, Err *err);
bool model_add_uniform(Model *m, const char *name, int ndim, const int64_t *dim,
                       double bound, uint64_t seed, Err *err);
bool model_add_zeros(Model *m, const char *name, int ndim, const int64_t *dim,
                     Err *err);
/* Metadata "model" (the row's name) and "model.<option>", as files have them. */
bool model_describe(const Model *m, TensorSet *file, Err *err);
/* safetensors with the row's name and config in the metadata. Training checkpoints can
 * be loaded too: their other tensors are named "optim.*", "state.*" and "train.*".
 * Errors: no model file, unknown row or option, a parameter that is missing, left over,
 * of another shape or dtype, or not finite. */
bool model_save(const Model *m, const char *path, Err *err);
bool model_load(const char *path, Model **out, Err *err);
/* The same from a set in memory; `name` starts error sentences. Shares the tensors. */
bool model_from(const TensorSet *file, const char *name, Model **out, Err *err);
/* The weight inits that rows offer: "pytorch" (weight and bias uniform within
 * 1/sqrt(fan_in)), "normal" (std 1/sqrt(fan_in)), "he" (std sqrt(2/fan_in)), "xavier"
 * (uniform within sqrt(6/(in+out))), "small" (std 0.02); biases 0 except in pytorch.
 * Adds <name>.weight [out,in] (kernels: [out,in,kh,kw], whose taps count in the fans)
 * and, if bias, <name>.bias [out]. */
#define MODEL_INITS "pytorch normal he xavier small"
bool model_add_weights(Model *m, const char *name, int ndim, const int64_t *dim,
                       bool bias, const char *init, uint64_t seed, Err *err);
bool model_add_linear(Model *m, const char *name, int64_t out, int64_t in, bool bias,
                      const char *init, uint64_t seed, Err *err);
#endif
