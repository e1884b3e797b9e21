/* lb_sae.h -- the userdata of autoencoders, for the files that bind them. It owns the
 * autoencoder and remembers how it was trained and calibrated. */
#ifndef CLEAVE_SCRIPT_LB_SAE_H
#define CLEAVE_SCRIPT_LB_SAE_H
#include "lab/sae_fit.h"
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
/* The tensor at arg as contiguous f32, pushed. `what` starts errors. */
Tensor *lb_push_f32(lua_State *L, int arg, const char *what);
/* Takes a tensor out of the options at arg and pushes it; NULL (and nil) if absent. */
Tensor *lb_take_f32(lua_State *L, int arg, const char *key);
#endif
