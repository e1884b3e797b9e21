/* terms.h -- what every fit's loss is made of, as graph values: the cosine with the
 * interaction tensor through Gram matrices, and the distance to the network's logits.
 * One-class heads with entry 1: component r belongs to owner[r]. Both structs own their
 * tensors. */
#ifndef CLEAVE_DECOMP_TERMS_H
#define CLEAVE_DECOMP_TERMS_H
#include "decomp/fit.h"

typedef struct CosineConst {
    int64_t R;
    Tensor S;              /* f32 [I,I]; empty in the plain metric */
    Tensor embed, embed_S; /* f32 [E,I]; the second times S */
    Tensor core;           /* f32 [R,E,E]: M of each component's class */
    Tensor same;           /* f32 [R,R]: 1 for components of one class */
    double BB;             /* <B,B> */
} CosineConst;

typedef struct CosineTerms {
    Val TB, TT; /* scalars */
    Val nrm;    /* [R] |T_r|^2 */
    Val gram;   /* [R,R] <T_r,T_s> */
    Val cosine;
} CosineTerms;

/* S f64 [I,I] or NULL: plain. ERR_NUMERIC when the interaction tensor is zero in the
 * metric. */
bool cosine_const(const Interaction *b, const Tensor *S, const int32_t *owner,
                  int64_t R, CosineConst *out, Err *err);
void cosine_done(CosineConst *c);
/* a, b [R,I] of g. */
void cosine_terms(const CosineConst *c, Graph *g, Val a, Val b, CosineTerms *t);

/* The same for heads that are values of the graph. */
typedef struct HeadConst {
    int64_t C, E;
    Tensor S;     /* f32 [I,I]; empty in the plain metric */
    Tensor embed; /* f32 [E,I] */
    Tensor core;  /* f32 [E,C*E]: M_c side by side */
    double BB;
} HeadConst;
bool head_const(const Interaction *b, const Tensor *S, HeadConst *out, Err *err);
void head_done(HeadConst *c);
/* a, b [R,I] (the same value when they are one) and head [R,C]. Terms of the first
 * `shown` components alone go to main, if it is not NULL. */
void head_terms(const HeadConst *c, Graph *g, Val a, Val b, Val head, int64_t shown,
                CosineTerms *t, CosineTerms *main);

typedef struct Distill {
    Tensor x, logits, head; /* f32 [N,I], [N,C], [R,C] */
    double var;             /* of the logits */
} Distill;

/* ERR_OPTION without examples or logits, or when they do not fit together. head NULL:
 * given to distill_error(). */
bool distill_new(const DictData *d, const Interaction *b, const Tensor *head,
                 Distill *out, Err *err);
void distill_done(Distill *d);
/* Mean squared error of the logits of examples idx over their variance; the dictionary
 * is taken at its best scale TB / TT. */
Val distill_loss(const Distill *d, Graph *g, const CosineTerms *t, Val a, Val b,
                 Val idx);

/* Activations [B,R] of examples idx, and the error from them. */
Val distill_act(const Distill *d, Graph *g, Val a, Val b, Val idx);
Val distill_error(const Distill *d, Graph *g, Val act, Val head, Val scale, Val idx);

/* Rows from..to-1 of x [n,I]. */
Val rows_of(Graph *g, Val x, int64_t from, int64_t to);
#endif
