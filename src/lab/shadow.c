/* shadow.c -- one block that holds the tensors of a set back to back. */
#include "lab/shadow.h"

#include <string.h>

#include "base/mem.h"

bool shadow_init(Shadow *s, const TensorSet *live, Err *err)
{
    size_t bytes = 0;
    for (int i = 0; i < tset_count(live); i++)
        bytes += tensor_bytes(tset_at(live, i));
    *s = (Shadow){.live = live, .memory = mem_alloc(bytes, err)};
    return s->memory != NULL;
}

void shadow_done(Shadow *s)
{
    mem_free(s->memory);
    *s = (Shadow){0};
}

void shadow_take(Shadow *s)
{
    char *at = s->memory;
    for (int i = 0; i < tset_count(s->live); i++) {
        const Tensor *t = tset_at(s->live, i);
        memcpy(at, t->data, tensor_bytes(t));
        at += tensor_bytes(t);
    }
}

void shadow_restore(const Shadow *s)
{
    const char *at = s->memory;
    for (int i = 0; i < tset_count(s->live); i++) {
        const Tensor *t = tset_at(s->live, i);
        memcpy(t->data, at, tensor_bytes(t));
        at += tensor_bytes(t);
    }
}
