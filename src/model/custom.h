/* custom.h -- networks from elsewhere: parameters that another program trained, put
 * into a network of ours by name, and networks whose forward pass is somebody else's
 * function (a script's). A custom Model has the row model_custom, which is in no table:
 * it cannot be loaded by name, because its forward pass is in no file. */
#ifndef CLEAVE_MODEL_CUSTOM_H
#define CLEAVE_MODEL_CUSTOM_H
#include "model/model.h"
#include "tensor/decode.h"

typedef struct ImportName {
    const char *param, *source;
    bool transpose; /* the source is [in, out] */
} ImportName;
typedef struct ImportCfg {
    const ImportName *map; /* parameters not listed have the same name in the source */
    int n_map;
    const char *const *ignore; /* what nothing takes: names, or beginnings and a '*' */
    int n_ignore;
} ImportCfg;
/* Overwrites every parameter of m, converting to f32. Errors name the parameter, its
 * shape and what the source has; m is then partly overwritten. */
bool model_import(Model *m, const TensorSet *from, const ImportCfg *cfg, Err *err);

typedef struct CustomCfg {
    int64_t input, classes;
    /* x [B,input] f32 -> logits [B,classes]; fails g with a sentence. */
    Val (*forward)(void *ctx, Model *m, Graph *g, Val x);
    void *ctx;
} CustomCfg;
extern const ModelRow model_custom;
/* Without parameters; copies cfg. */
Model *model_custom_new(const CustomCfg *cfg, Err *err);
/* Adds a parameter with t's values, copied to contiguous f32. */
bool model_custom_add(Model *m, const char *name, const Tensor *t, Err *err);
/* Draws one more parameter of m from (seed, "init.<name>"). fan_in is the product of
 * all dims but the first. init: "pytorch" (uniform within 1/sqrt(fan_in); zeros for
 * fewer than two dims), "normal" (std 1/sqrt(fan_in)), "he" (std sqrt(2/fan_in)),
 * "xavier" (uniform within sqrt(6/(fan_in + dim[0]))), "small" (std 0.02), "zeros",
 * "ones". scale > 0 replaces the bound, the standard deviation or the one. */
#define CUSTOM_INITS "pytorch normal he xavier small zeros ones"
bool model_custom_draw(Model *m, const char *name, int ndim, const int64_t *dim,
                       const char *init, double scale, uint64_t seed, Err *err);
#endif
