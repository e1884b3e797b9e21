/* npy.c -- NumPy's array files. A header (a Python dict literal with exactly the keys
 * descr, fortran_order and shape) and the raw elements. The header is scanned as that
 * small grammar, never evaluated; the length of the data must match the shape
 * exactly. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "tensor/decode.h"
#include "tensor/io.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, MAX_HEADER = 100000000, HEADER_ALIGN = 64 };

typedef struct Header {
    ElemKind kind;
    bool big_endian, fortran;
    int ndim;
    int64_t dim[MAX_DIM];
    unsigned seen; /* one bit for each key */
} Header;

typedef struct Scan {
    const char *p, *end;
    const char *name; /* of the file */
    Err *err;
} Scan;

static bool fail(const Scan *s, const char *why)
{
    return err_set(s->err, ERR_FORMAT, "'%s': damaged .npy header: %s", s->name, why);
}

static void skip_space(Scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t'))
        s->p++;
}

static bool take(Scan *s, char c)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool take_word(Scan *s, const char *word)
{
    size_t n = strlen(word);
    skip_space(s);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A quoted string without escapes, cut out into dst. */
static bool take_string(Scan *s, char *dst, size_t cap)
{
    skip_space(s);
    if (s->p >= s->end || (*s->p != '\'' && *s->p != '"'))
        return false;
    char quote = *s->p++;
    size_t n = 0;
    while (s->p < s->end && *s->p != quote) {
        if (n + 1 >= cap || *s->p == '\\')
            return false;
        dst[n++] = *s->p++;
    }
    dst[n] = '\0';
    return s->p++ < s->end;
}

static bool take_descr(Scan *s, Header *h)
{
    static const struct {
        const char *code;
        ElemKind kind;
    } types[] = {
        {"f2", ELEM_F16 },
        {"f4", ELEM_F32 },
        {"f8", ELEM_F64 },
        {"b1", ELEM_BOOL},
        {"u1", ELEM_U8  },
        {"i1", ELEM_I8  },
        {"u2", ELEM_U16 },
        {"i2", ELEM_I16 },
        {"u4", ELEM_U32 },
        {"i4", ELEM_I32 },
        {"u8", ELEM_U64 },
        {"i8", ELEM_I64 }
    };
    char text[64], shown[SHOWN_CAP];
    if (take(s, '['))
        return fail(s, "records are not supported; save one plain array");
    if (!take_string(s, text, sizeof text))
        return fail(s, "'descr' is not a type");
    if (text[0] && strchr("<>|=", text[0]))
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (strcmp(text + 1, types[i].code) == 0) {
                h->kind = types[i].kind;
                h->big_endian = text[0] == '>';
                return true;
            }
    return err_set(s->err, ERR_FORMAT,
                   "'%s': .npy type '%s' is not supported; f2 f4 f8, b1, u1 to u8 and "
                   "i1 to i8 are",
                   s->name, text_shown(text, shown));
}

static bool take_dim(Scan *s, int64_t *dim)
{
    skip_space(s);
    const char *first = s->p;
    int64_t v = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *s->p - '0', &v))
            return fail(s, "a dimension is too large");
    if (s->p == first)
        return fail(s, "'shape' is not a tuple of whole numbers");
    if (s->p < s->end && *s->p == 'L') /* files of Python 2 */
        s->p++;
    *dim = v;
    return true;
}

static bool take_shape(Scan *s, Header *h)
{
    if (!take(s, '('))
        return fail(s, "'shape' is not a tuple");
    while (!take(s, ')')) {
        if (h->ndim == MAX_DIM)
            return err_set(s->err, ERR_FORMAT, "'%s': more than %d dimensions", s->name,
                           MAX_DIM);
        if (!take_dim(s, &h->dim[h->ndim++]))
            return false;
        if (take(s, ','))
            continue;
        if (!take(s, ')'))
            return fail(s, "'shape' does not end");
        if (h->ndim == 1)
            return fail(s, "'shape' is not a tuple"); /* (3) is a number in Python */
        break;
    }
    return true;
}

static bool take_entry(Scan *s, Header *h)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[32];
    if (!take_string(s, key, sizeof key) || !take(s, ':'))
        return fail(s, "not a Python dictionary");
    unsigned i = 0;
    while (i < ARRAY_LEN(keys) && strcmp(key, keys[i]) != 0)
        i++;
    if (i == ARRAY_LEN(keys))
        return fail(s, "unknown key");
    if (h->seen & 1u << i)
        return fail(s, "a key is there twice");
    h->seen |= 1u << i;
    if (i == 0)
        return take_descr(s, h);
    if (i == 2)
        return take_shape(s, h);
    h->fortran = take_word(s, "True");
    return h->fortran || take_word(s, "False") ||
           fail(s, "'fortran_order' is neither True nor False");
}

static bool scan_header(Scan *s, Header *h)
{
    memset(h, 0, sizeof *h);
    if (!take(s, '{'))
        return fail(s, "not a Python dictionary");
    while (!take(s, '}')) {
        if (!take_entry(s, h))
            return false;
        if (take(s, ','))
            continue;
        if (!take(s, '}'))
            return fail(s, "not a Python dictionary");
        break;
    }
    skip_space(s);
    if (s->p < s->end)
        return fail(s, "text behind the dictionary");
    return h->seen == 7 || fail(s, "descr, fortran_order or shape is missing");
}

/* Where header text and data are; everything before is checked. */
static bool find_header(const uint8_t *d, size_t n, Scan *s)
{
    if (n < MAGIC_LEN + 4 || memcmp(d, magic, MAGIC_LEN) != 0)
        return err_set(s->err, ERR_FORMAT, "'%s' is not a .npy file", s->name);
    if (d[6] < 1 || d[6] > 3)
        return err_set(s->err, ERR_FORMAT, "'%s': .npy version %d; 1 to 3 are known",
                       s->name, d[6]);
    size_t at = d[6] == 1 ? 10 : 12, len = (size_t)d[8] | (size_t)d[9] << 8;
    if (d[6] > 1 && n >= 12)
        len |= (size_t)d[10] << 16 | (size_t)d[11] << 24;
    if (len > MAX_HEADER)
        return fail(s, "it claims to be longer than 100 MB");
    if (n < at || len > n - at)
        return fail(s, "the file ends inside it");
    s->p = (const char *)d + at;
    s->end = s->p + len;
    return true;
}

/* Fortran order is the reversed shape in our order, then its axes reversed. */
static bool load_fortran(const Header *h, const void *data, const char *name,
                         Tensor *out, Err *err)
{
    int64_t reversed[MAX_DIM];
    int axes[MAX_DIM];
    Tensor raw = {0}, view = {0};
    for (int i = 0; i < h->ndim; i++) {
        reversed[i] = h->dim[h->ndim - 1 - i];
        axes[i] = h->ndim - 1 - i;
    }
    bool ok =
        elem_load(h->kind, h->big_endian, data, h->ndim, reversed, name, &raw, err) &&
        tensor_permute(&raw, axes, &view, err) && tensor_copy(&view, out, err);
    tensor_release(&raw);
    tensor_release(&view);
    return ok;
}

bool npy_describe(const void *data, size_t n, const char *name, ArrayInfo *out,
                  Err *err)
{
    Scan s = {.name = name, .err = err};
    Header h;
    memset(out, 0, sizeof *out);
    if (!find_header(data, n, &s) || !scan_header(&s, &h))
        return false;
    *out = (ArrayInfo){.kind = h.kind,
                       .big_endian = h.big_endian,
                       .fortran = h.fortran && h.ndim > 1,
                       .ndim = h.ndim,
                       .begin = s.end - (const char *)data};
    memcpy(out->dim, h.dim, sizeof out->dim);
    size_t bytes;
    if (!elem_bytes(h.kind, h.ndim, h.dim, &bytes) || bytes > INT64_MAX / 2)
        return err_set(err, ERR_FORMAT, "'%s': the shape in its header is too large",
                       name);
    out->bytes = (int64_t)bytes;
    return true;
}

bool npy_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err)
{
    Scan s = {.name = name, .err = err};
    Header h;
    size_t bytes;
    memset(out, 0, sizeof *out);
    if (!find_header(data, n, &s) || !scan_header(&s, &h))
        return false;
    size_t left = n - (size_t)(s.end - (const char *)data);
    if (!elem_bytes(h.kind, h.ndim, h.dim, &bytes))
        return err_set(err, ERR_FORMAT, "'%s': the shape in its header is too large",
                       name);
    if (bytes != left)
        return err_set(err, ERR_FORMAT,
                       "'%s' holds %zu bytes of data but its header asks for %zu", name,
                       left, bytes);
    return h.fortran && h.ndim > 1
               ? load_fortran(&h, s.end, name, out, err)
               : elem_load(h.kind, h.big_endian, s.end, h.ndim, h.dim, name, out, err);
}

bool npy_load(const char *path, Tensor *out, Err *err)
{
    char *data;
    size_t n;
    memset(out, 0, sizeof *out);
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = npy_parse(data, n, path, out, err);
    mem_free(data);
    return ok;
}

size_t npy_header(const Tensor *t, char head[NPY_HEAD_CAP])
{
    static const char *const codes[N_DTYPES] = {
        [F32] = "<f4", [F64] = "<f8", [I32] = "<i4", [U8] = "|u1"};
    char shape[192] = "";
    size_t used = 0;
    for (int i = 0; i < t->ndim; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used,
                                 i ? ", %lld" : "%lld", (long long)t->dim[i]);
    int n =
        snprintf(head, NPY_HEAD_CAP,
                 "%s\x01%c..{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
                 magic, '\0', codes[t->dtype], shape, t->ndim == 1 ? "," : "");
    while ((n + 1) % HEADER_ALIGN)
        head[n++] = ' ';
    head[n++] = '\n';
    head[8] = (char)((n - 10) & 255);
    head[9] = (char)((n - 10) >> 8);
    return (size_t)n;
}

bool npy_save(const char *path, const Tensor *t, Err *err)
{
    char head[NPY_HEAD_CAP];
    size_t n = npy_header(t, head);
    Tensor dense = {0};
    FileOut *f = NULL;
    bool ok = tensor_contiguous_of(t, &dense, err) && (f = fileout_open(path, err)) &&
              fileout_write(f, head, n, err) &&
              fileout_write(f, dense.data, tensor_bytes(&dense), err);
    if (ok)
        ok = fileout_commit(f, err);
    else
        fileout_abort(f);
    tensor_release(&dense);
    return ok;
}
