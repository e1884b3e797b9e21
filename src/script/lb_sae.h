/* lb_sae.h -- the userdata of autoencoders, for the files that bind them. It owns the
 * autoencoder and remembers how it was trained and calibrated. */
#ifndef CLEAVE_SCRIPT_LB_SAE_H
#define CLEAVE_SCRIPT_LB_SAE_H
#include "lab/sae_fit.h"
#include "lab/sae_stream.h"
#include "script/lb_dict.h"

#define LB_SAE "cleave.sae"

typedef struct LSae {
    Sae *s;
    TrainReport report;
    SaeCalibration cal;
} LSae;

LSae *lb_check_sae(lua_State *L, int arg);
LSae *lb_push_sae(lua_State *L); /* empty; fill ->s */
/* Logs what is to be known of it on its own first examples (sae_warnings). */
void lb_sae_warn(lua_State *L, LSae *s);
/* What is to be trained on: tensors, or files with their stream. */
typedef struct LInput {
    const Tensor *x, *y;
    const Shards *files, *targets;
    SaeStream *stream; /* pushed by lb_open_input(), which closes it in an error */
} LInput;
/* The activations at arg and the target at y (an index; nil: none), pushed. */
LInput lb_check_input(lua_State *L, int arg, int y, const char *where);
void lb_open_input(lua_State *L, LInput *in, const SaeCfg *cfg);
Sae *lb_sae_on(const LInput *in, const SaeCfg *cfg, Err *err);
const TrainFeed *lb_input_feed(const LInput *in); /* NULL for tensors */
void lb_open_streams(lua_State *L);
/* The tensor at arg as contiguous f32, pushed. `what` starts errors. */
Tensor *lb_push_f32(lua_State *L, int arg, const char *what);
/* The labels at arg, contiguous in their dtype, pushed. */
Tensor *lb_push_labels(lua_State *L, int arg);
/* Takes a tensor out of the options at arg and pushes it; NULL (and nil) if absent. */
Tensor *lb_take_f32(lua_State *L, int arg, const char *key);
#endif
