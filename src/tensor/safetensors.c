/* safetensors.c -- an 8-byte little-endian header length, a JSON header, raw elements.
 *
 * The header is an object of objects of three fixed keys, so it is scanned as exactly
 * that (strict JSON, nothing else accepted): no recursion, no memory beyond one name
 * and one row for each tensor, whatever the file says. The byte ranges, sorted, must
 * tile the data without overlap, hole or rest, as the format demands. Written files
 * have the header padded with spaces to a multiple of 8. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/decode.h"
#include "tensor/io.h"

enum { MAX_HEADER = 100000000, LEN_BYTES = 8 };

/* One tensor as the header describes it. */
typedef struct Row {
    ElemKind kind;
    int ndim;
    int64_t dim[MAX_DIM];
    int64_t begin, end;
    unsigned seen; /* one bit for each key */
} Row;

typedef struct Range {
    int64_t begin, end;
    int item;
} Range;

typedef struct Reader {
    const char *p, *end; /* rest of the header */
    const char *name;    /* of the file */
    const uint8_t *data; /* behind the header */
    int64_t n_data;
    TensorSet *set;
    Range *range;
    size_t n_range, cap_range;
    Err *err;
} Reader;

/* ---- JSON ------------------------------------------------------------------------ */

static bool fail(const Reader *r, const char *why)
{
    return err_set(r->err, ERR_FORMAT, "'%s': damaged safetensors header: %s", r->name,
                   why);
}

static void skip_space(Reader *r)
{
    while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
        r->p++;
}

static bool take(Reader *r, char c)
{
    skip_space(r);
    if (r->p >= r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool take_hex4(Reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->p++) {
        if (r->p >= r->end)
            return false;
        char c = *r->p;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    return true;
}

/* Behind "\u": one code point, or a surrogate pair. U+0000 would cut a name short. */
static bool take_unicode(Reader *r, Str *dst)
{
    uint32_t high, low;
    if (!take_hex4(r, &high))
        return false;
    if (high >= 0xd800 && high < 0xdc00) {
        if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
            return false;
        r->p += 2;
        if (!take_hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    } else if (high == 0 || (high >= 0xdc00 && high < 0xe000)) {
        return false;
    }
    str_add_rune(dst, high);
    return true;
}

static bool take_escape(Reader *r, Str *dst)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->p >= r->end)
        return false;
    char c = *r->p++;
    const char *at = c ? strchr(from, c) : NULL;
    if (at)
        str_addc(dst, to[at - from]);
    return at || (c == 'u' && take_unicode(r, dst));
}

/* A string into dst (cleared first): valid UTF-8 without NUL. */
static bool take_string(Reader *r, Str *dst)
{
    str_clear(dst);
    if (!take(r, '"'))
        return fail(r, "a string is missing");
    while (r->p < r->end && *r->p != '"') {
        uint32_t rune;
        if ((uint8_t)*r->p < 0x20)
            return fail(r, "a control character inside a string");
        if (*r->p == '\\') {
            r->p++;
            if (!take_escape(r, dst))
                return fail(r, "a bad escape inside a string");
            continue;
        }
        int n = utf8_next(r->p, (size_t)(r->end - r->p), &rune);
        if (n == 1 && rune == 0xfffd)
            return fail(r, "a string that is not UTF-8");
        str_addn(dst, r->p, (size_t)n);
        r->p += n;
    }
    if (r->p >= r->end)
        return fail(r, "a string does not end");
    r->p++;
    return str_ok(dst, r->err);
}

/* A whole number without sign, fraction or exponent. */
static bool take_int(Reader *r, int64_t *out)
{
    skip_space(r);
    const char *first = r->p;
    *out = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, *r->p - '0', out))
            return fail(r, "a number is too large");
    if (r->p == first || (*first == '0' && r->p - first > 1))
        return fail(r, "a whole number is missing");
    return true;
}

/* [a, b, ...] of whole numbers, at most cap. */
static bool take_ints(Reader *r, int64_t *dst, int cap, int *n)
{
    *n = 0;
    if (!take(r, '['))
        return fail(r, "a list is missing");
    if (take(r, ']'))
        return true;
    do {
        if (*n == cap)
            return fail(r, "a list is too long (tensors have at most 6 dimensions)");
        if (!take_int(r, &dst[(*n)++]))
            return false;
    } while (take(r, ','));
    return take(r, ']') || fail(r, "a list does not end");
}

typedef bool TakeMember(Reader *r, const char *key, void *ctx);

/* { "key": value, ... }: `member` reads each value. */
static bool take_object(Reader *r, Str *key, TakeMember *member, void *ctx)
{
    if (!take(r, '{'))
        return fail(r, "an object is missing");
    if (take(r, '}'))
        return true;
    do {
        if (!take_string(r, key))
            return false;
        if (!take(r, ':'))
            return fail(r, "a colon is missing");
        if (!member(r, key->s, ctx))
            return false;
    } while (take(r, ','));
    return take(r, '}') || fail(r, "an object does not end");
}

/* ---- reading --------------------------------------------------------------------- */

static const struct {
    const char *code;
    ElemKind kind;
} types[] = {
    {"F64",  ELEM_F64 },
    {"F32",  ELEM_F32 },
    {"F16",  ELEM_F16 },
    {"BF16", ELEM_BF16},
    {"I64",  ELEM_I64 },
    {"I32",  ELEM_I32 },
    {"I16",  ELEM_I16 },
    {"I8",   ELEM_I8  },
    {"U64",  ELEM_U64 },
    {"U32",  ELEM_U32 },
    {"U16",  ELEM_U16 },
    {"U8",   ELEM_U8  },
    {"BOOL", ELEM_BOOL}
};

static bool take_dtype(Reader *r, Row *row)
{
    Str text;
    char shown[SHOWN_CAP];
    str_init(&text);
    bool ok = take_string(r, &text), known = false;
    for (size_t i = 0; ok && i < ARRAY_LEN(types); i++)
        if (strcmp(text.s, types[i].code) == 0) {
            row->kind = types[i].kind;
            known = true;
        }
    if (ok && !known)
        err_set(r->err, ERR_FORMAT,
                "'%s': dtype '%s' is not supported; F64 F32 F16 BF16, I8 to I64, U8 to "
                "U64 and BOOL are",
                r->name, text_shown(text.s, shown));
    str_done(&text);
    return ok && known;
}

static bool row_member(Reader *r, const char *key, void *ctx)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    Row *row = ctx;
    unsigned i = 0;
    while (i < ARRAY_LEN(keys) && strcmp(key, keys[i]) != 0)
        i++;
    if (i == ARRAY_LEN(keys))
        return fail(r, "a tensor has a key that is none of dtype, shape, data_offsets");
    if (row->seen & 1u << i)
        return fail(r, "a tensor has a key twice");
    row->seen |= 1u << i;
    if (i == 0)
        return take_dtype(r, row);
    if (i == 1)
        return take_ints(r, row->dim, MAX_DIM, &row->ndim);
    int64_t pair[2];
    int n;
    if (!take_ints(r, pair, 2, &n))
        return false;
    row->begin = pair[0];
    row->end = n == 2 ? pair[1] : -1;
    return n == 2 || fail(r, "data_offsets must be two numbers");
}

static bool meta_member(Reader *r, const char *key, void *ctx)
{
    Str *value = ctx;
    return take_string(r, value) && (tset_add_meta(r->set, key, value->s, r->err) ||
                                     err_prefix(r->err, "'%s'", r->name));
}

static bool skip_member(Reader *r, const char *key, void *ctx)
{
    Str value;
    (void)key, (void)ctx;
    str_init(&value);
    bool ok = take_string(r, &value);
    str_done(&value);
    return ok;
}

static bool take_meta(Reader *r)
{
    Str key, value;
    str_init(&key);
    str_init(&value);
    bool ok = take_object(r, &key, meta_member, &value);
    str_done(&key);
    str_done(&value);
    return ok;
}

static bool add_range(Reader *r, const Row *row)
{
    if (r->n_range == r->cap_range) {
        size_t cap = r->cap_range ? 2 * r->cap_range : 16;
        Range *grown = mem_realloc(r->range, cap * sizeof *grown, r->err);
        if (!grown)
            return false;
        r->range = grown;
        r->cap_range = cap;
    }
    r->range[r->n_range] =
        (Range){.begin = row->begin, .end = row->end, .item = (int)r->n_range};
    r->n_range++;
    return true;
}

static bool load_row(Reader *r, const char *key, const Row *row)
{
    char where[256], shown[SHOWN_CAP];
    size_t bytes;
    text_shown(key, shown);
    if (row->seen != 7)
        return err_set(r->err, ERR_FORMAT,
                       "'%s': tensor '%s' lacks dtype, shape or data_offsets", r->name,
                       shown);
    if (row->begin > row->end || row->end > r->n_data)
        return err_set(r->err, ERR_FORMAT,
                       "'%s': tensor '%s' lies at bytes %" PRId64 " to %" PRId64
                       " but the file has %" PRId64 " bytes of data",
                       r->name, shown, row->begin, row->end, r->n_data);
    if (!elem_bytes(row->kind, row->ndim, row->dim, &bytes) ||
        bytes != (size_t)(row->end - row->begin))
        return err_set(r->err, ERR_FORMAT,
                       "'%s': tensor '%s' has %" PRId64
                       " bytes, which is not what its shape and dtype need",
                       r->name, shown, row->end - row->begin);
    Tensor t;
    snprintf(where, sizeof where, "'%.120s', tensor '%s'", r->name, shown);
    if (!elem_load(row->kind, false, r->data + row->begin, row->ndim, row->dim, where,
                   &t, r->err))
        return false;
    bool ok = tset_add(r->set, key, &t, r->err) || err_prefix(r->err, "'%s'", r->name);
    tensor_release(&t);
    return ok && add_range(r, row);
}

/* ctx counts the metadata objects: there may be one. */
static bool top_member(Reader *r, const char *key, void *ctx)
{
    int *n_meta = ctx;
    if (strcmp(key, "__metadata__") == 0)
        return (*n_meta)++ ? fail(r, "__metadata__ is there twice") : take_meta(r);
    Row row = {0};
    Str inner;
    str_init(&inner);
    bool ok = take_object(r, &inner, row_member, &row) && load_row(r, key, &row);
    str_done(&inner);
    return ok;
}

static int by_begin(const void *a, const void *b)
{
    const Range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The ranges follow each other from byte 0 to the last one. */
static bool check_tiling(Reader *r)
{
    int64_t at = 0;
    char shown[SHOWN_CAP];
    if (r->n_range)
        qsort(r->range, r->n_range, sizeof *r->range, by_begin);
    for (size_t i = 0; i < r->n_range; at = r->range[i++].end)
        if (r->range[i].begin != at)
            return err_set(r->err, ERR_FORMAT,
                           "'%s': tensor '%s' %s the tensor before it (byte %" PRId64
                           ", expected %" PRId64 ")",
                           r->name,
                           text_shown(tset_name(r->set, r->range[i].item), shown),
                           r->range[i].begin < at ? "overlaps" : "leaves a hole after",
                           r->range[i].begin, at);
    if (at != r->n_data)
        return err_set(r->err, ERR_FORMAT,
                       "'%s': %" PRId64 " bytes at the end belong to no tensor",
                       r->name, r->n_data - at);
    return true;
}

static bool find_header(Reader *r, const uint8_t *d, size_t n)
{
    uint64_t len = 0;
    for (int i = 0; n >= LEN_BYTES && i < LEN_BYTES; i++)
        len |= (uint64_t)d[i] << 8 * i;
    if (n < LEN_BYTES || len > n - LEN_BYTES || len > MAX_HEADER || len < 2)
        return err_set(
            r->err, ERR_FORMAT,
            "'%s' is not a whole safetensors file: it has %zu bytes and claims a "
            "header of %llu",
            r->name, n, (unsigned long long)len);
    r->p = (const char *)d + LEN_BYTES;
    r->end = r->p + len;
    r->data = d + LEN_BYTES + len;
    r->n_data = (int64_t)(n - LEN_BYTES - (size_t)len);
    return *r->p == '{' || fail(r, "it does not begin with {");
}

bool safetensors_parse(const void *data, size_t n, const char *name, TensorSet **out,
                       Err *err)
{
    Reader r = {.name = name, .err = err};
    Str key;
    int n_meta = 0;
    *out = NULL;
    if (!find_header(&r, data, n) || !(r.set = tset_new(err)))
        return false;
    str_init(&key);
    bool ok = take_object(&r, &key, top_member, &n_meta);
    skip_space(&r);
    ok = ok && (r.p == r.end || fail(&r, "text behind the last brace")) &&
         check_tiling(&r);
    str_done(&key);
    mem_free(r.range);
    if (ok)
        *out = r.set;
    else
        tset_free(r.set);
    return ok;
}

bool safetensors_load(const char *path, TensorSet **out, Err *err)
{
    char *data;
    size_t n;
    *out = NULL;
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = safetensors_parse(data, n, path, out, err);
    mem_free(data);
    return ok;
}

/* ---- one tensor's place ---------------------------------------------------------- */

typedef struct Wanted {
    const char *name; /* NULL: any */
    Row row;
    int found, n;
} Wanted;

static bool find_member(Reader *r, const char *key, void *ctx)
{
    Wanted *w = ctx;
    Row row = {0};
    Str inner;
    str_init(&inner);
    bool meta = strcmp(key, "__metadata__") == 0;
    bool ok = take_object(r, &inner, meta ? skip_member : row_member, &row);
    str_done(&inner);
    if (!ok || meta)
        return ok;
    w->n++;
    if (!w->name || strcmp(key, w->name) == 0) {
        w->found++;
        w->row = row;
    }
    return true;
}

bool safetensors_describe(const void *data, size_t n, int64_t file_bytes,
                          const char *name, const char *tensor, ArrayInfo *out,
                          Err *err)
{
    Reader r = {.name = name, .err = err};
    Wanted w = {.name = tensor};
    Str key;
    char shown[SHOWN_CAP];
    size_t bytes;
    memset(out, 0, sizeof *out);
    if (!find_header(&r, data, n))
        return false;
    r.n_data = file_bytes - (r.data - (const uint8_t *)data);
    str_init(&key);
    bool ok = take_object(&r, &key, find_member, &w);
    str_done(&key);
    if (!ok)
        return false;
    if (w.found != 1)
        return tensor ? err_set(err, ERR_FORMAT, "'%s' holds no tensor '%s'", name,
                                text_shown(tensor, shown))
                      : err_set(err, ERR_FORMAT,
                                "'%s' holds %d tensors; say which one is meant", name,
                                w.n);
    const Row *row = &w.row;
    if (row->seen != 7 || row->begin > row->end || row->end > r.n_data ||
        !elem_bytes(row->kind, row->ndim, row->dim, &bytes) ||
        bytes != (size_t)(row->end - row->begin))
        return fail(&r, "the place of the tensor does not fit its shape or the file");
    *out = (ArrayInfo){.kind = row->kind,
                       .ndim = row->ndim,
                       .begin = r.data - (const uint8_t *)data + row->begin,
                       .bytes = row->end - row->begin};
    memcpy(out->dim, row->dim, sizeof out->dim);
    return true;
}

/* ---- writing --------------------------------------------------------------------- */

typedef struct Named {
    const char *name;
    int item;
} Named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Named *)a)->name, ((const Named *)b)->name);
}

/* The names of the set's tensors, or of its metadata, sorted; freed by the caller. */
static Named *sorted(const TensorSet *s, bool meta, Err *err)
{
    int n = meta ? tset_meta_count(s) : tset_count(s);
    Named *list = mem_array((size_t)n + 1, sizeof *list, err);
    for (int i = 0; list && i < n; i++)
        list[i] = (Named){meta ? tset_meta_key(s, i) : tset_name(s, i), i};
    if (list)
        qsort(list, (size_t)n, sizeof *list, by_name);
    return list;
}

static bool add_quoted(Str *t, const char *s, Err *err)
{
    char shown[SHOWN_CAP];
    str_addc(t, '"');
    for (size_t left = strlen(s); left > 0;) {
        uint32_t rune;
        int n = utf8_next(s, left, &rune);
        if (n == 1 && rune == 0xfffd)
            return err_set(err, ERR_FORMAT,
                           "safetensors: the name or text '%s' is not UTF-8",
                           text_shown(s, shown));
        if (rune < 0x20)
            str_addf(t, "\\u%04x", (unsigned)rune);
        else if (rune == '"' || rune == '\\')
            str_addf(t, "\\%c", (char)rune);
        else
            str_addn(t, s, (size_t)n);
        s += n;
        left -= (size_t)n;
    }
    str_addc(t, '"');
    return true;
}

static bool write_meta(const TensorSet *s, const Named *meta, Str *t, Err *err)
{
    if (tset_meta_count(s) == 0)
        return true;
    str_add(t, "\"__metadata__\":{");
    for (int i = 0; i < tset_meta_count(s); i++) {
        if (i)
            str_addc(t, ',');
        if (!add_quoted(t, meta[i].name, err))
            return false;
        str_addc(t, ':');
        if (!add_quoted(t, tset_meta(s, meta[i].name), err))
            return false;
    }
    str_add(t, tset_count(s) ? "}," : "}");
    return true;
}

/* The header text, its length a multiple of 8. */
static bool write_header(const TensorSet *s, const Named *meta, const Named *tensors,
                         Str *t, Err *err)
{
    static const char *const codes[N_DTYPES] = {
        [F32] = "F32", [F64] = "F64", [I32] = "I32", [U8] = "U8"};
    size_t at = 0;
    str_addc(t, '{');
    if (!write_meta(s, meta, t, err))
        return false;
    for (int i = 0; i < tset_count(s); i++) {
        const Tensor *x = tset_at(s, tensors[i].item);
        if (strcmp(tensors[i].name, "__metadata__") == 0)
            return err_set(err, ERR_FORMAT,
                           "safetensors: no tensor can be called '__metadata__'");
        if (i)
            str_addc(t, ',');
        if (!add_quoted(t, tensors[i].name, err))
            return false;
        str_addf(t, ":{\"dtype\":\"%s\",\"shape\":[", codes[x->dtype]);
        for (int k = 0; k < x->ndim; k++)
            str_addf(t, k ? ",%" PRId64 : "%" PRId64, x->dim[k]);
        str_addf(t, "],\"data_offsets\":[%zu,%zu]}", at, at + tensor_bytes(x));
        at += tensor_bytes(x);
    }
    str_addc(t, '}');
    while (t->len % 8 && !t->oom)
        str_addc(t, ' ');
    if (t->len > MAX_HEADER)
        return err_set(err, ERR_FORMAT,
                       "safetensors: names and metadata take %zu bytes; at "
                       "most 100 MB are possible",
                       t->len);
    return str_ok(t, err);
}

static bool write_tensors(const TensorSet *s, const Named *tensors, FileOut *f,
                          Err *err)
{
    bool ok = true;
    for (int i = 0; ok && i < tset_count(s); i++) {
        Tensor dense;
        ok = tensor_contiguous_of(tset_at(s, tensors[i].item), &dense, err) &&
             fileout_write(f, dense.data, tensor_bytes(&dense), err);
        tensor_release(&dense);
    }
    return ok;
}

bool safetensors_save(const char *path, const TensorSet *s, Err *err)
{
    Str head;
    FileOut *f = NULL;
    uint8_t len[LEN_BYTES];
    str_init(&head);
    Named *meta = sorted(s, true, err), *tensors = meta ? sorted(s, false, err) : NULL;
    bool ok = tensors && write_header(s, meta, tensors, &head, err) &&
              (f = fileout_open(path, err)) != NULL;
    for (int i = 0; i < LEN_BYTES; i++)
        len[i] = (uint8_t)((uint64_t)head.len >> 8 * i);
    ok = ok && fileout_write(f, len, LEN_BYTES, err) &&
         fileout_write(f, head.s, head.len, err) && write_tensors(s, tensors, f, err);
    if (ok)
        ok = fileout_commit(f, err);
    else
        fileout_abort(f);
    mem_free(meta);
    mem_free(tensors);
    str_done(&head);
    return ok;
}
