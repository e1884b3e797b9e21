/* decode.c -- each element is put together from its bytes in the file's order, so
 * neither the host's byte order nor alignment matters; the common case (same size,
 * little-endian file and host) is one copy. Blocks of 1 Mi elements, the interrupt
 * flag read between. */
#include "tensor/decode.h"

#include <string.h>

#include "base/intr.h"
#include "base/str.h"

enum { BLOCK = 1 << 20 };

static const struct {
    const char *name;
    size_t size;
    DType dtype;
} kinds[N_ELEM] = {
    [ELEM_F16] = {"f16",  2, F32},
      [ELEM_BF16] = {"bf16", 2, F32},
    [ELEM_F32] = {"f32",  4, F32},
      [ELEM_F64] = {"f64",  8, F64},
    [ELEM_BOOL] = {"bool", 1, I32},
      [ELEM_U8] = {"u8",   1, U8 },
    [ELEM_I8] = {"i8",   1, I32},
      [ELEM_U16] = {"u16",  2, I32},
    [ELEM_I16] = {"i16",  2, I32},
      [ELEM_U32] = {"u32",  4, I32},
    [ELEM_I32] = {"i32",  4, I32},
      [ELEM_U64] = {"u64",  8, I32},
    [ELEM_I64] = {"i64",  8, I32},
};

size_t elem_size(ElemKind k)
{
    return kinds[k].size;
}

DType elem_dtype(ElemKind k)
{
    return kinds[k].dtype;
}

const char *elem_name(ElemKind k)
{
    return kinds[k].name;
}

bool elem_bytes(ElemKind k, int ndim, const int64_t *dim, size_t *bytes)
{
    int64_t n = (int64_t)kinds[k].size;
    bool empty = false, fits = true;
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0)
            return false;
        empty |= dim[i] == 0;
        fits = fits && !__builtin_mul_overflow(n, dim[i] ? dim[i] : 1, &n);
    }
    *bytes = empty ? 0 : (size_t)n;
    return fits;
}

static uint64_t raw_bits(const uint8_t *p, size_t size, bool big_endian)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)p[i] << 8 * (big_endian ? size - 1 - i : i);
    return v;
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float half_to_float(uint32_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* a denormal is fraction * 2^-24, exact in f32 */
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* false when the integer is outside i32. */
static bool int_of_bits(ElemKind k, uint64_t v, int32_t *out)
{
    switch (k) {
    case ELEM_BOOL: *out = v != 0; return true;
    case ELEM_I8: *out = (int8_t)v; return true;
    case ELEM_I16: *out = (int16_t)v; return true;
    case ELEM_I32: *out = (int32_t)v; return true;
    case ELEM_I64: *out = (int32_t)v; return (int64_t)v == (int64_t)*out;
    default: /* unsigned */ *out = (int32_t)v; return v <= INT32_MAX;
    }
}

static bool decode_block(ElemKind k, bool big_endian, const uint8_t *src, int64_t first,
                         int64_t n, Tensor *t, const char *where, Err *err)
{
    size_t size = kinds[k].size;
    src += (size_t)first * size;
    for (int64_t i = 0; i < n; i++, src += size) {
        uint64_t v = raw_bits(src, size, big_endian);
        if (t->dtype == U8) {
            ((uint8_t *)t->data)[first + i] = (uint8_t)v;
        } else if (t->dtype == F64) {
            memcpy((double *)t->data + first + i, &v, sizeof v);
        } else if (t->dtype == F32) {
            uint32_t w = (uint32_t)v;
            ((float *)t->data)[first + i] = k == ELEM_F16    ? half_to_float(w)
                                            : k == ELEM_BF16 ? float_of_bits(w << 16)
                                                             : float_of_bits(w);
        } else if (!int_of_bits(k, v, (int32_t *)t->data + first + i)) {
            return err_set(
                err, ERR_FORMAT,
                "%s: element %lld is %s%llu (%s), which does not fit the i32 "
                "it is read as",
                where, (long long)(first + i),
                k == ELEM_I64 && (int64_t)v < 0 ? "-" : "",
                k == ELEM_I64 && (int64_t)v < 0 ? (unsigned long long)(0 - v)
                                                : (unsigned long long)v,
                kinds[k].name);
        }
    }
    return true;
}

bool elem_load(ElemKind k, bool big_endian, const void *src, int ndim,
               const int64_t *dim, const char *where, Tensor *out, Err *err)
{
    if (!tensor_new(kinds[k].dtype, ndim, dim, out, err))
        return err_prefix(err, "%s", where);
    bool big_host = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    bool as_is = kinds[k].size == dtype_size(kinds[k].dtype) && k != ELEM_U32 &&
                 (kinds[k].size == 1 || big_endian == big_host) && k != ELEM_BOOL;
    size_t size = kinds[k].size;
    int64_t count = tensor_count(out);
    bool ok = true;
    for (int64_t i = 0; ok && i < count; i += BLOCK) {
        int64_t n = count - i < BLOCK ? count - i : BLOCK;
        if (as_is)
            memcpy((char *)out->data + (size_t)i * size,
                   (const char *)src + (size_t)i * size, (size_t)n * size);
        else
            ok = decode_block(k, big_endian, src, i, n, out, where, err);
        ok = ok && intr_check(err);
    }
    if (!ok)
        tensor_release(out);
    return ok;
}

const char *text_shown(const char *s, char dst[SHOWN_CAP])
{
    size_t used = 0;
    for (size_t left = strlen(s); left > 0;) {
        uint32_t rune;
        int n = utf8_next(s, left, &rune);
        bool bad = (n == 1 && rune == 0xfffd) || rune_width(rune) < 0;
        if (used + (size_t)n + 4 > SHOWN_CAP) {
            memcpy(dst + used, "...", 3);
            used += 3;
            break;
        }
        memcpy(dst + used, bad ? "?" : s, bad ? 1 : (size_t)n);
        used += bad ? 1 : (size_t)n;
        s += n;
        left -= (size_t)n;
    }
    dst[used] = '\0';
    return dst;
}
