/* lb_spd.h -- the userdata of decompositions by stochastic masks and of toys, for the
 * files that bind them. A decomposition keeps its network and its inputs alive. */
#ifndef CLEAVE_SCRIPT_LB_SPD_H
#define CLEAVE_SCRIPT_LB_SPD_H
#include "lab/spd_fit.h"
#include "lab/toys.h"
#include "script/lb_objects.h"

#define LB_SPD "cleave.spd"
#define LB_TOY "cleave.toy"

typedef struct LSpd {
    Spd *s;
    SpdNet net; /* what s runs on */
    Tensor x;   /* inputs given as a tensor */
    TrainReport report;
    Run *run; /* where live pictures go; NULL: nowhere */
    /* user value 1: the network, 2: the data set or tensor */
} LSpd;

typedef struct LToy {
    Toy t; /* t.net.model belongs to user value 1, the network */
    bool made;
} LToy;

LSpd *lb_check_spd(lua_State *L, int arg);
LToy *lb_test_toy(lua_State *L, int arg); /* NULL: none */
/* The layer named (or counted from 1) at arg, 0-based. */
int lb_spd_layer(lua_State *L, int arg, LSpd *u);
/* Heat maps of importances and images of directions, for TrainHooks; ctx is an LSpd. */
bool lb_spd_picture(void *ctx, Spd *s, int64_t step, Err *err);
void lb_open_toys(lua_State *L);
#endif
