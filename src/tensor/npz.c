/* npz.c -- NumPy's archives: each member "<name>.npy" is a .npy file. Sets are written
 * in the order of their names, so equal sets give equal bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/archive.h"
#include "tensor/decode.h"
#include "tensor/io.h"

static const char suffix[] = ".npy";
enum { SUFFIX_LEN = sizeof suffix - 1, NAME_CAP = 4096 };

static bool load_member(Archive *a, int64_t i, const char *file, TensorSet *s, Err *err)
{
    const char *member = archive_name(a, i);
    char name[NAME_CAP], where[256], shown[SHOWN_CAP];
    size_t len = strlen(member), n;
    void *data;
    Tensor t;
    text_shown(member, shown);
    if (len <= SUFFIX_LEN || len >= sizeof name ||
        strcmp(member + len - SUFFIX_LEN, suffix) != 0)
        return err_set(err, ERR_FORMAT,
                       "'%s': the member '%s' is no array; in a .npz file all are "
                       "called <name>.npy",
                       file, shown);
    memcpy(name, member, len - SUFFIX_LEN);
    name[len - SUFFIX_LEN] = '\0';
    snprintf(where, sizeof where, "%.120s/%s", file, shown);
    if (!archive_read(a, i, &data, &n, err))
        return false;
    bool ok = npy_parse(data, n, where, &t, err);
    mem_free(data);
    ok = ok && (tset_add(s, name, &t, err) || err_prefix(err, "'%s'", file));
    tensor_release(&t);
    return ok;
}

static bool load_all(Archive *a, const char *file, TensorSet **out, Err *err)
{
    TensorSet *s = a ? tset_new(err) : NULL;
    bool ok = s != NULL;
    for (int64_t i = 0, n = ok ? archive_count(a) : 0; ok && i < n; i++)
        ok = load_member(a, i, file, s, err);
    archive_close(a);
    if (ok)
        *out = s;
    else
        tset_free(s);
    return ok;
}

bool npz_load(const char *path, TensorSet **out, Err *err)
{
    *out = NULL;
    return load_all(archive_open(path, err), path, out, err);
}

bool npz_parse(const void *data, size_t n, const char *name, TensorSet **out, Err *err)
{
    *out = NULL;
    return load_all(archive_parse(data, n, name, err), name, out, err);
}

/* ---- writing --------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool save_member(ArchiveOut *o, const char *name, const Tensor *t, Err *err)
{
    char member[NAME_CAP], head[NPY_HEAD_CAP];
    Tensor dense;
    if (snprintf(member, sizeof member, "%s%s", name, suffix) >= (int)sizeof member)
        return err_set(err, ERR_FORMAT, "the tensor name '%.40s...' is too long", name);
    if (!tensor_contiguous_of(t, &dense, err))
        return false;
    bool ok = archiveout_add(o, member, head, npy_header(&dense, head), dense.data,
                             tensor_bytes(&dense), err);
    tensor_release(&dense);
    return ok;
}

bool npz_save(const char *path, const TensorSet *s, Err *err)
{
    int n = tset_count(s);
    const char **name = mem_array((size_t)n + 1, sizeof *name, err);
    ArchiveOut *o = NULL;
    for (int i = 0; name && i < n; i++)
        name[i] = tset_name(s, i);
    if (name)
        qsort(name, (size_t)n, sizeof *name, by_name);
    bool ok = name && (o = archiveout_open(path, err)) != NULL;
    for (int i = 0; ok && i < n; i++)
        ok = save_member(o, name[i], tset_get(s, name[i]), err);
    if (ok)
        ok = archiveout_commit(o, err);
    else
        archiveout_abort(o);
    mem_free(name);
    return ok;
}
