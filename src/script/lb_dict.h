/* lb_dict.h -- the userdata of interaction tensors and dictionaries, for the two files
 * that bind them. An interaction remembers the data its network was trained on, so that
 * the data metric needs no further argument. */
#ifndef CLEAVE_SCRIPT_LB_DICT_H
#define CLEAVE_SCRIPT_LB_DICT_H
#include "decomp/fit.h"
#include "lab/train.h"
#include "script/lb_objects.h"

typedef struct LInter {
    Interaction b;
    double noise, share;
    int64_t height, width;
    bool has_spectrum[2]; /* plain, data */
    Spectrum spectrum[2];
    Tensor S;     /* f64 [I,I], empty: no data */
    Tensor unlit; /* f32 [I] */
    /* user value 1: the training data set, or nil */
} LInter;

typedef struct LDict {
    Dictionary d;
    TrainReport report;
    /* user value 1: the interaction */
} LDict;

LInter *lb_check_inter(lua_State *L, int arg);
LDict *lb_check_dict(lua_State *L, int arg);
LInter *lb_push_inter(lua_State *L);
/* An empty dictionary of the interaction at a stack index. */
LDict *lb_push_dict(lua_State *L, int inter);
/* Pushes the interaction of the dictionary at an index. */
LInter *lb_inter_of(lua_State *L, int dict);
Spectrum *lb_spectrum_of(lua_State *L, LInter *b, bool data);
/* "data" or "plain" at arg; by default data where there is some. */
bool lb_metric_arg(lua_State *L, int arg, const LInter *b);
DictData lb_data_of(LInter *b);
/* Pixels, logits and labels of the first n training images of the interaction at
 * index 1; pushes what owns them. */
void lb_distill_examples(lua_State *L, LInter *b, int64_t n, DictData *data);
/* f32 [N,I] pixels of a data set, pushed as a tensor. */
LTensor *lb_push_pixels(lua_State *L, const Dataset *d);
/* Metrics and progress of a training go to the run. */
TrainHooks lb_fit_hooks(lua_State *L);
/* 1, or the error of an interrupted fit. */
int lb_interrupted_after(lua_State *L, const TrainReport *r);
/* The same components in new memory, pushed. */
LDict *lb_copy_dict(lua_State *L, int dict);

/* lb_study.c */
extern const LbFn lb_study_fns[];
extern const size_t lb_n_study_fns;
#endif
