/* torch_save.c -- what torch.load() reads: a zip archive with a pickle of names, shapes
 * and strides, and one member of raw elements for each tensor. The pickle uses the
 * instructions that torch.save() itself writes, so that restricted loading
 * (weights_only) accepts it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tensor/archive.h"
#include "tensor/io.h"

static void put_u32(Str *s, uint32_t v)
{
    char b[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
    str_addn(s, b, sizeof b);
}

static void put_text(Str *s, const char *text)
{
    str_addn(s, "X", 1);
    put_u32(s, (uint32_t)strlen(text));
    str_addn(s, text, strlen(text));
}

static void put_global(Str *s, const char *module, const char *name)
{
    str_addf(s, "c%s\n%s\n", module, name);
}

/* Non-negative, below 2^63. */
static void put_int(Str *s, int64_t v)
{
    if (v <= INT32_MAX) {
        str_addn(s, "J", 1);
        put_u32(s, (uint32_t)v);
        return;
    }
    str_addn(s, "\x8a\x08", 2);
    put_u32(s, (uint32_t)v);
    put_u32(s, (uint32_t)(v >> 32));
}

static const char *storage_of(DType t)
{
    switch (t) {
    case F32: return "FloatStorage";
    case F64: return "DoubleStorage";
    case I32: return "IntStorage";
    default: return "ByteStorage";
    }
}

/* torch._utils._rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()) */
static void put_tensor(Str *s, const Tensor *t, const char *key)
{
    put_global(s, "torch._utils", "_rebuild_tensor_v2");
    str_addn(s, "((", 2);
    put_text(s, "storage");
    put_global(s, "torch", storage_of(t->dtype));
    put_text(s, key);
    put_text(s, "cpu");
    put_int(s, tensor_count(t));
    str_addn(s, "tQ", 2);
    put_int(s, 0);
    for (int what = 0; what < 2; what++) {
        str_addn(s, "(", 1);
        for (int d = 0; d < t->ndim; d++) {
            int64_t stride = 1;
            for (int k = d + 1; k < t->ndim; k++)
                stride *= t->dim[k];
            put_int(s, what ? stride : t->dim[d]);
        }
        str_addn(s, "t", 1);
    }
    str_addn(s, "\x89", 1);
    put_global(s, "collections", "OrderedDict");
    str_addn(s, ")RtR", 4);
}

static void put_all(Str *s, const TensorSet *set)
{
    str_addn(s, "\x80\x02", 2);
    put_global(s, "collections", "OrderedDict");
    str_addn(s, ")R(", 3);
    for (int i = 0; i < tset_count(set); i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        put_text(s, tset_name(set, i));
        put_tensor(s, tset_at(set, i), key);
    }
    str_addn(s, "u.", 2);
}

static bool add_data(ArchiveOut *o, const TensorSet *set, Err *err)
{
    for (int i = 0; i < tset_count(set); i++) {
        Tensor t;
        char name[48];
        snprintf(name, sizeof name, "archive/data/%d", i);
        if (!tensor_contiguous_of(tset_at(set, i), &t, err))
            return false;
        bool ok = archiveout_add(o, name, "", 0, t.data, tensor_bytes(&t), err);
        tensor_release(&t);
        if (!ok)
            return false;
    }
    return true;
}

bool torch_save(const char *path, const TensorSet *set, Err *err)
{
    Str pickle;
    str_init(&pickle);
    put_all(&pickle, set);
    ArchiveOut *o = archiveout_open(path, err);
    bool ok = o && str_ok(&pickle, err) &&
              archiveout_add(o, "archive/data.pkl", "", 0, pickle.s, pickle.len, err) &&
              archiveout_add(o, "archive/byteorder", "", 0, "little", 6, err) &&
              add_data(o, set, err) &&
              archiveout_add(o, "archive/version", "", 0, "3\n", 2, err);
    str_done(&pickle);
    if (!ok) {
        archiveout_abort(o);
        return false;
    }
    return archiveout_commit(o, err);
}
