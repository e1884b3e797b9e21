/* torch.c -- files of torch.save(). The pickle gives names, shapes and strides; the
 * elements are in storages, members "data/<key>" of the zip archive or, in the older
 * form, behind the pickles one after the other. Tensors may be any views of a storage
 * and share one; each becomes a contiguous copy of its own, so nothing that is loaded
 * is tied to something else.
 * Bounds: 32 levels, 4 Mi values visited (a pickle can share values so that their tree
 * is exponentially larger than the file), every view checked against its storage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/archive.h"
#include "tensor/io.h"
#include "tensor/pickle.h"

enum { MAX_DEPTH = 32, MAX_VISITS = 4 << 20, MAX_NAME = 1000, MAX_KEY = 200 };

/* The older form: where a storage's elements are. */
typedef struct Block {
    const char *key;
    size_t n_key;
    ElemKind elem;
    const uint8_t *data; /* NULL: not met yet */
    int64_t count;
} Block;

typedef struct Loader {
    const char *name;
    Archive *zip; /* NULL: the older form */
    char prefix[256];
    bool big_endian;
    Block *block; /* sorted by key */
    size_t n_block;
    TensorSet *set;
    Arena *arena;
    Str path; /* of the value being looked at */
    int64_t visits;
    /* The storage read last: state_dicts that share one do so in a row. */
    const PickleValue *held;
    Tensor elements; /* 1-D */
    Err *err;
} Loader;

static bool fail(Loader *l, const char *why)
{
    char shown[SHOWN_CAP];
    return err_set(l->err, ERR_FORMAT, "'%s': '%s' %s", l->name,
                   text_shown(l->path.len ? l->path.s : "tensor", shown), why);
}

/* ---- storages -------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const Block *x = a, *y = b;
    size_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    int c = n ? memcmp(x->key, y->key, n) : 0;
    return c ? c : x->n_key < y->n_key ? -1 : x->n_key > y->n_key;
}

static Block *find_block(const Loader *l, const char *key, size_t n)
{
    Block want = {.key = key, .n_key = n};
    return l->n_block ? bsearch(&want, l->block, l->n_block, sizeof want, by_key)
                      : NULL;
}

static bool load_elements(Loader *l, const PickleValue *s, const void *data, size_t n)
{
    size_t bytes;
    if (!elem_bytes(s->elem, 1, &s->i, &bytes) || bytes > n)
        return fail(l, "has a storage that is shorter than it says");
    return elem_load(s->elem, l->big_endian, data, 1, &s->i, l->name, &l->elements,
                     l->err);
}

static bool read_storage(Loader *l, const PickleValue *s)
{
    char member[sizeof l->prefix + MAX_KEY + 8];
    void *data;
    size_t n;
    if (!l->zip) {
        Block *b = find_block(l, s->text, s->n);
        if (!b || !b->data || b->elem != s->elem)
            return fail(l, "has no storage in the file");
        return load_elements(l, s, b->data, (size_t)b->count * elem_size(b->elem));
    }
    if (s->n > MAX_KEY || (s->n && memchr(s->text, '\0', s->n)))
        return fail(l, "has a storage with a bad name");
    snprintf(member, sizeof member, "%sdata/%.*s", l->prefix, (int)s->n, s->text);
    int64_t at = archive_find(l->zip, member);
    if (at < 0)
        return fail(l, "has no storage in the file");
    if (!archive_read(l->zip, at, &data, &n, l->err))
        return false;
    bool ok = load_elements(l, s, data, n);
    mem_free(data);
    return ok;
}

static bool want_storage(Loader *l, const PickleValue *s)
{
    const PickleValue *h = l->held;
    if (h && h->n == s->n && memcmp(h->text, s->text, s->n) == 0 &&
        h->elem == s->elem && h->i == s->i)
        return true;
    tensor_release(&l->elements);
    l->held = NULL;
    if (!read_storage(l, s))
        return false;
    l->held = s;
    return true;
}

/* Every element that the view reaches is inside of the storage. */
static bool view_fits(const PickleValue *v)
{
    int64_t last = v->i;
    bool empty = false;
    if (v->i < 0)
        return false;
    for (int k = 0; k < v->ndim; k++) {
        int64_t span;
        if (v->dim[k] < 0 || v->stride[k] < 0)
            return false;
        empty |= v->dim[k] == 0;
        if (v->dim[k] > 0 &&
            (__builtin_mul_overflow(v->dim[k] - 1, v->stride[k], &span) ||
             __builtin_add_overflow(last, span, &last)))
            return false;
    }
    return empty ? v->i <= v->storage->i : last < v->storage->i;
}

static bool add_tensor(Loader *l, const PickleValue *v)
{
    size_t bytes;
    Tensor t;
    if (!view_fits(v))
        return fail(l, "reaches outside of its storage");
    if (!elem_bytes(v->storage->elem, v->ndim, v->dim, &bytes))
        return fail(l, "has a shape that is too large");
    if (!want_storage(l, v->storage))
        return false;
    Tensor view = l->elements; /* borrowed */
    view.ndim = v->ndim;
    memcpy(view.dim, v->dim, (size_t)v->ndim * sizeof *v->dim);
    memcpy(view.stride, v->stride, (size_t)v->ndim * sizeof *v->stride);
    if (bytes)
        view.data = (char *)view.data + (size_t)v->i * dtype_size(view.dtype);
    const char *name = l->path.len ? l->path.s : "tensor";
    bool ok = tensor_copy(&view, &t, l->err) && (tset_add(l->set, name, &t, l->err) ||
                                                 err_prefix(l->err, "'%s'", l->name));
    tensor_release(&t);
    return ok;
}

/* ---- the tree -------------------------------------------------------------------- */

static bool walk(Loader *l, const PickleValue *v, int depth);

/* Names are UTF-8 without NUL, as in every other format. */
static bool add_key(Loader *l, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t rune;
        int len = utf8_next(text + i, n - i, &rune);
        if ((len == 1 && rune == 0xfffd) || rune == 0)
            return fail(l, "holds a key that is no UTF-8 text");
        i += (size_t)len;
    }
    if (l->path.len)
        str_addc(&l->path, '.');
    str_addn(&l->path, text, n);
    if (l->path.len > MAX_NAME)
        return fail(l, "is a name of more than 1000 bytes");
    return str_ok(&l->path, l->err);
}

static bool walk_at(Loader *l, const char *key, size_t n, const PickleValue *v,
                    int depth)
{
    size_t len = l->path.len;
    bool ok = add_key(l, key, n) && walk(l, v, depth + 1);
    if (ok) {
        l->path.len = len;
        l->path.s[len] = '\0';
    }
    return ok;
}

static bool walk_dict(Loader *l, const PickleValue *v, int depth)
{
    bool ok = true;
    for (size_t i = 0; ok && i + 1 < v->n; i += 2) {
        const PickleValue *key = v->item[i];
        char number[32];
        if (key->kind == PICKLE_TEXT) {
            ok = walk_at(l, key->text, key->n, v->item[i + 1], depth);
        } else if (key->kind == PICKLE_INT) {
            int n = snprintf(number, sizeof number, "%" PRId64, key->i);
            ok = walk_at(l, number, (size_t)n, v->item[i + 1], depth);
        } else {
            ok = fail(l, "has a dictionary key that is neither text nor integer");
        }
    }
    return ok;
}

static bool holds_values(const PickleValue *v)
{
    return v->kind == PICKLE_TENSOR || v->kind == PICKLE_DICT ||
           v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE;
}

/* Plain numbers in lists (losses, rates) are no tensors and are passed over. */
static bool walk_list(Loader *l, const PickleValue *v, int depth)
{
    bool ok = true;
    l->visits += (int64_t)v->n;
    for (size_t i = 0; ok && i < v->n; i++)
        if (holds_values(v->item[i])) {
            char number[32];
            int n = snprintf(number, sizeof number, "%zu", i);
            ok = walk_at(l, number, (size_t)n, v->item[i], depth);
        }
    return ok;
}

static bool add_meta(Loader *l, const PickleValue *v)
{
    char number[40];
    if (l->path.len == 0)
        return true;
    if (v->kind == PICKLE_TEXT) {
        char *text = v->n < (1 << 16) && !(v->n && memchr(v->text, '\0', v->n))
                         ? arena_printf(l->arena, l->err, "%.*s", (int)v->n, v->text)
                         : arena_strdup(l->arena, "", l->err);
        return text && tset_add_meta(l->set, l->path.s, text, l->err);
    }
    if (v->kind == PICKLE_FLOAT)
        snprintf(number, sizeof number, "%.17g", v->f);
    else if (v->kind == PICKLE_BOOL)
        snprintf(number, sizeof number, "%s", v->i ? "true" : "false");
    else
        snprintf(number, sizeof number, "%" PRId64, v->i);
    return tset_add_meta(l->set, l->path.s, number, l->err);
}

static bool walk(Loader *l, const PickleValue *v, int depth)
{
    if (depth > MAX_DEPTH)
        return fail(l, "is nested deeper than 32 levels");
    if (++l->visits > MAX_VISITS)
        return fail(l, "comes after more than 4 million values; that is no file of "
                       "tensors");
    if (l->visits % 4096 == 0 && !intr_check(l->err))
        return false;
    switch (v->kind) {
    case PICKLE_TENSOR: return add_tensor(l, v);
    case PICKLE_DICT: return walk_dict(l, v, depth);
    case PICKLE_LIST:
    case PICKLE_TUPLE: return walk_list(l, v, depth);
    case PICKLE_BOOL:
    case PICKLE_INT:
    case PICKLE_FLOAT:
    case PICKLE_TEXT: return add_meta(l, v);
    default: return true;
    }
}

static bool walk_all(Loader *l, const PickleValue *root)
{
    return walk(l, root, 0) &&
           (tset_count(l->set) > 0 ||
            err_set(l->err, ERR_FORMAT, "'%s' holds no tensors", l->name));
}

/* ---- the zip archive ------------------------------------------------------------- */

/* The member "<prefix>data.pkl", prefix being one folder. */
static int64_t find_pickle(Loader *l)
{
    static const char last[] = "data.pkl";
    for (int64_t i = 0, n = archive_count(l->zip); i < n; i++) {
        const char *name = archive_name(l->zip, i), *slash = strchr(name, '/');
        size_t head = slash ? (size_t)(slash - name) + 1 : 0;
        if (strcmp(name + head, last) == 0 && head < sizeof l->prefix) {
            memcpy(l->prefix, name, head);
            l->prefix[head] = '\0';
            return i;
        }
    }
    return -1;
}

static bool read_byteorder(Loader *l)
{
    char member[sizeof l->prefix + 16];
    void *text;
    size_t n;
    snprintf(member, sizeof member, "%sbyteorder", l->prefix);
    int64_t at = archive_find(l->zip, member);
    if (at < 0) /* before PyTorch 2.1 it was not written */
        return true;
    if (!archive_read(l->zip, at, &text, &n, l->err))
        return false;
    l->big_endian = n == 3 && memcmp(text, "big", 3) == 0;
    bool ok = l->big_endian || (n == 6 && memcmp(text, "little", 6) == 0);
    mem_free(text);
    return ok || err_set(l->err, ERR_FORMAT,
                         "'%s': its byteorder is neither little nor big", l->name);
}

static bool load_zip(Loader *l)
{
    void *pickle;
    size_t n, at = 0;
    int64_t member = find_pickle(l);
    if (member < 0)
        return err_set(l->err, ERR_FORMAT,
                       "'%s' is a zip archive but not one of torch.save(): it has no "
                       "data.pkl",
                       l->name);
    if (!read_byteorder(l) || !archive_read(l->zip, member, &pickle, &n, l->err))
        return false;
    const PickleValue *root =
        pickle_read(pickle, n, &at, l->name, l->arena, NULL, l->err);
    bool ok = root && walk_all(l, root);
    mem_free(pickle);
    return ok;
}

/* ---- the form before PyTorch 1.6 ------------------------------------------------- */

static const uint8_t old_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

/* The storages that the pickle refers to, each key once. */
static bool collect_blocks(Loader *l, const PickleValue *last)
{
    size_t n = 0, kept = 0;
    for (const PickleValue *s = last; s; s = s->storage)
        n++;
    l->block = mem_array(n + 1, sizeof *l->block, l->err);
    if (!l->block)
        return false;
    for (const PickleValue *s = last; s; s = s->storage)
        l->block[l->n_block++] =
            (Block){.key = s->text, .n_key = s->n, .elem = s->elem};
    if (n)
        qsort(l->block, n, sizeof *l->block, by_key);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_key(&l->block[kept - 1], &l->block[i]) != 0)
            l->block[kept++] = l->block[i];
    l->n_block = kept;
    return true;
}

/* Each storage: 8 bytes with its number of elements, then the elements. */
static bool place_blocks(Loader *l, const PickleValue *keys, const uint8_t *d, size_t n,
                         size_t at)
{
    bool ok = keys->kind == PICKLE_LIST;
    for (size_t i = 0; ok && i < keys->n; i++) {
        const PickleValue *key = keys->item[i];
        Block *b = key->kind == PICKLE_TEXT ? find_block(l, key->text, key->n) : NULL;
        size_t bytes;
        uint64_t count = 0;
        for (int k = 0; k < 8 && at + 8 <= n; k++)
            count |= (uint64_t)d[at + (size_t)k] << 8 * k;
        ok = b && at + 8 <= n && count <= INT64_MAX &&
             elem_bytes(b->elem, 1, &(int64_t){(int64_t)count}, &bytes) &&
             bytes <= n - at - 8;
        if (ok) {
            b->data = d + at + 8;
            b->count = (int64_t)count;
            at += 8 + bytes;
        }
    }
    return ok || err_set(l->err, ERR_FORMAT,
                         "'%s': damaged: the list of storages does not fit the file",
                         l->name);
}

static bool load_old(Loader *l, const uint8_t *d, size_t n)
{
    const PickleValue *part[5], *last = NULL;
    size_t at = 0;
    for (int i = 0; i < 5; i++) { /* magic, version, system, object, keys */
        part[i] =
            pickle_read(d, n, &at, l->name, l->arena, i == 3 ? &last : NULL, l->err);
        if (!part[i])
            return false;
    }
    if (part[1]->kind != PICKLE_INT || part[1]->i != 1001)
        return err_set(l->err, ERR_FORMAT,
                       "'%s': version of torch.save() unknown; 1001 "
                       "and the zip form can be read",
                       l->name);
    return collect_blocks(l, last) && place_blocks(l, part[4], d, n, at) &&
           walk_all(l, part[3]);
}

/* ---- doors ----------------------------------------------------------------------- */

/* Takes the archive; d is the file's bytes in the older form. */
static bool load(Archive *zip, const uint8_t *d, size_t n, const char *name,
                 TensorSet **out, Err *err)
{
    Loader l = {.name = name, .zip = zip, .err = err};
    str_init(&l.path);
    l.arena = arena_new(err);
    l.set = l.arena ? tset_new(err) : NULL;
    bool ok = l.set && (zip ? load_zip(&l) : load_old(&l, d, n));
    tensor_release(&l.elements);
    str_done(&l.path);
    mem_free(l.block);
    arena_free(l.arena);
    archive_close(zip);
    if (ok)
        *out = l.set;
    else
        tset_free(l.set);
    return ok;
}

static bool is_zip(const void *d, size_t n)
{
    return n >= 4 && memcmp(d, "PK\3\4", 4) == 0;
}

static bool is_old(const void *d, size_t n)
{
    return n >= sizeof old_magic && memcmp(d, old_magic, sizeof old_magic) == 0;
}

static bool unknown(const char *name, Err *err)
{
    return err_set(err, ERR_FORMAT,
                   "'%s' was not written by torch.save(): it is neither a zip archive "
                   "nor PyTorch's older form",
                   name);
}

bool torch_parse(const void *data, size_t n, const char *name, TensorSet **out,
                 Err *err)
{
    *out = NULL;
    if (is_old(data, n))
        return load(NULL, data, n, name, out, err);
    if (!is_zip(data, n))
        return unknown(name, err);
    Archive *a = archive_parse(data, n, name, err);
    return a && load(a, NULL, 0, name, out, err);
}

bool torch_load(const char *path, TensorSet **out, Err *err)
{
    char head[sizeof old_magic], *data;
    size_t n = 0;
    *out = NULL;
    FILE *f = file_is_dir(path) ? NULL : fopen(path, "rb");
    if (f) {
        n = fread(head, 1, sizeof head, f);
        fclose(f);
    }
    if (f && is_zip(head, n)) {
        Archive *a = archive_open(path, err);
        return a && load(a, NULL, 0, path, out, err);
    }
    if (f && !is_old(head, n))
        return unknown(path, err);
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = torch_parse(data, n, path, out, err);
    mem_free(data);
    return ok;
}
