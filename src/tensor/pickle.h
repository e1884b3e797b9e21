/* pickle.h -- what a Python pickle of tensors says, without running it. A pickle is a
 * program for a stack machine that may call any Python function by name; this machine
 * knows the opcodes of protocols 2 to 5 that build plain values, and of names only
 * those below. Anything else is refused with a sentence that gives the opcode or the
 * name. Calls become values: an OrderedDict an empty dictionary, a rebuilt tensor a
 * description. All values live in the arena that the caller gives; texts are bytes of
 * the pickle itself. Values may be shared and even contain themselves, as in Python:
 * who walks them must bound depth and number. */
#ifndef CLEAVE_TENSOR_PICKLE_H
#define CLEAVE_TENSOR_PICKLE_H
#include "base/mem.h"
#include "tensor/decode.h"

typedef enum PickleKind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_BIG, /* an integer of more than 64 bits; text holds its bytes */
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,    /* items are key, value, key, value ... */
    PICKLE_NAME,    /* an allowed name, on its way to a call */
    PICKLE_STORAGE, /* a block of elements kept outside of the pickle */
    PICKLE_TENSOR,
} PickleKind;

/* The names: collections.OrderedDict; torch.Size; torch._utils._rebuild_tensor,
 * _rebuild_tensor_v2, _rebuild_parameter; torch.FloatStorage and its kin. */
typedef enum PickleName {
    NAME_ORDERED_DICT,
    NAME_SIZE,
    NAME_TENSOR,    /* _rebuild_tensor: storage, offset, size, stride */
    NAME_TENSOR_V2, /* the same and three more, which are ignored */
    NAME_PARAMETER, /* tensor, requires_grad, hooks */
    NAME_STORAGE,
} PickleName;

typedef struct PickleValue PickleValue;
struct PickleValue {
    PickleKind kind;
    PickleName name;
    ElemKind elem; /* of a storage, and of the name of one */
    double f;
    int64_t i; /* also a bool, a storage's elements, a tensor's offset in its storage */
    const char *text; /* not terminated; of a storage: its key */
    size_t n;         /* bytes of text, or items */
    PickleValue **item;
    size_t cap;
    const PickleValue *storage; /* of a tensor; of a storage: the one met before it */
    int ndim;
    int64_t *dim, *stride; /* of a tensor: [ndim] each, strides in elements */
};

/* Runs one pickle from data[*at] on and moves *at behind it. *storages (may be NULL):
 * the last storage met. NULL: *err says why. */
const PickleValue *pickle_read(const void *data, size_t n, size_t *at, const char *name,
                               Arena *a, const PickleValue **storages, Err *err);
/* The value of a text key in a dictionary; NULL: none. */
const PickleValue *pickle_get(const PickleValue *dict, const char *key);
bool pickle_is(const PickleValue *text, const char *s);
#endif
