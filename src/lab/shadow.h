/* shadow.h -- a copy of training state to go back to. Steps are pure functions of
 * (state, batch, step number), so an old copy and a replay of the steps since give any
 * later state again, bit for bit; taking one every tenth of a second is enough to undo
 * half a step. Owns its memory. */
#ifndef CLEAVE_LAB_SHADOW_H
#define CLEAVE_LAB_SHADOW_H
#include "tensor/io.h"

typedef struct Shadow {
    const TensorSet *live; /* borrowed: contiguous tensors */
    char *memory;
    int64_t step, epoch, position; /* filled in by the owner */
} Shadow;

bool shadow_init(Shadow *s, const TensorSet *live, Err *err);
void shadow_done(Shadow *s);
void shadow_take(Shadow *s);
void shadow_restore(const Shadow *s);
#endif
