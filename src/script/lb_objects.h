/* lb_objects.h -- the userdata of data sets, networks and decompositions. Each owns its C
 * object; user value 1 keeps what it borrows alive. */
#ifndef CLEAVE_SCRIPT_LB_OBJECTS_H
#define CLEAVE_SCRIPT_LB_OBJECTS_H
#include "data/dataset.h"
#include "data/sampler.h"
#include "data/shards.h"
#include "decomp/dictionary.h"
#include "decomp/interaction.h"
#include "model/model.h"
#include "script/lb.h"

typedef struct LModel {
    Model *m;
    double noise, noise_share; /* of the last training, for the data metric */
    /* user value 1: the data set it was trained on, or nil; 2: what holds a custom network's
     * forward function */
} LModel;

Dataset *lb_check_dataset(lua_State *L, int arg);
Dataset *lb_push_dataset(lua_State *L); /* empty */
Sampler *lb_check_sampler(lua_State *L, int arg);
LModel *lb_check_model(lua_State *L, int arg);
LModel *lb_push_model(lua_State *L); /* empty; fill ->m */
/* A new network of a row with the options at arg, pushed. */
LModel *lb_make_model(lua_State *L, int arg, const char *where, const ModelRow *row);
/* Parameter i of a set as a state that shares its memory. */
void lb_push_param(lua_State *L, const TensorSet *set, int i);
/* lb_shards.c: the functions that lb_data.c lists. */
int lb_data_shards(lua_State *L);
int lb_shards_next(lua_State *L);
int lb_shards_batches(lua_State *L);
int lb_shards_load(lua_State *L);
int lb_shards_seek(lua_State *L);
void lb_open_shards(lua_State *L);
const Shards *lb_test_shards(lua_State *L, int arg); /* NULL if it is none */
/* f64 second moment of a data set plus the noise of training: E[x x^T] + share std^2 I, pushed as
 * a tensor; kept in the data set's user value so that it is computed once. */
LTensor *lb_push_moment(lua_State *L, int dataset, double noise, double share);
#endif
