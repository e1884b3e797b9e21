/* parts.h -- the two halves of a component apart: its displayed patterns u (+) and w (-)
 * with their eigenvalues, activation = plus (u.x)^2 - minus (w.x)^2. */
#ifndef CLEAVE_DECOMP_PARTS_H
#define CLEAVE_DECOMP_PARTS_H
#include "decomp/dictionary.h"

/* Eigenvalues >= 0 of the symmetric form of component r: (|a||b| +- a.b) / 2. */
void dict_eigenvalues(const Dictionary *d, int64_t r, double *plus, double *minus);
/* What every pattern of the displayed components responds to x f32 [N,I]: f32
 * [N, 2 shown], columns 2r and 2r+1 are plus (u.x)^2 and minus (w.x)^2. */
bool dict_sides(const Dictionary *d, const Tensor *x, Tensor *out, Err *err);
/* Rows of q f32 [n,I] keep their `pixels` largest |values| alone. */
bool patterns_keep(Tensor *q, int64_t pixels, Err *err);
/* A dictionary of what is left of the displayed patterns when each keeps its `pixels`
 * largest |values| alone, eigenvalues as they were; a residual is left out. */
bool dict_denoise(const Dictionary *d, int64_t pixels, Dictionary *out, Err *err);
/* The n images of x f32 [N,I] that drive each pattern most: i32 [2 shown, n], the first
 * of equal ones first; -1 where fewer than n respond at all. */
bool dict_examples(const Dictionary *d, const Tensor *x, int64_t n, Tensor *out,
                   Err *err);
/* Mean images of classes, f32 [C,I], of x f32 [N,I] with labels i32 [N]; zeros for a
 * class without examples. */
bool class_means(const Tensor *x, const Tensor *labels, int64_t C, Tensor *out,
                 Err *err);
#endif
