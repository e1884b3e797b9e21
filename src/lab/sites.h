/* sites.h -- values inside a network. A pass runs a model over a data set or a matrix
 * of inputs in blocks of fixed size and keeps the logits or the value of one named
 * site; a hook may replace the value of any site on the way, which is how activations
 * are captured, ablated and spliced. */
#ifndef CLEAVE_LAB_SITES_H
#define CLEAVE_LAB_SITES_H
#include "data/dataset.h"
#include "model/model.h"

typedef struct SitePass {
    Model *model;
    const Dataset *data; /* its pixels, or, when NULL, */
    const Tensor *x;     /* f32 [N,I], contiguous */
    const char *site;    /* NULL: the logits */
    SiteHook *hook;      /* NULL: none; it is called while a block's graph is built */
    void *ctx;
} SitePass;

/* f32 [N,...]: a site's value is the one before the hook replaces it. A site that does
 * not have one row for each example, or does not exist, is an error that lists those
 * that do. Interruptible. */
bool site_pass(const SitePass *p, Tensor *out, Err *err);
/* The sites of a model in the order of its forward pass; f is called for each with its
 * shape for a batch of 1. */
bool site_list(Model *m, void (*f)(void *ctx, const char *site, const Spec *s),
               void *ctx, Err *err);
#endif
