/* dataset.c -- checking, cutting and loading of labelled images. MNIST is recognised by
 * the CRC-32 of its four uncompressed files; for a .gz that is the sum which zlib has
 * just verified, so the check costs nothing. */
#include "data/dataset.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/idx.h"
#include "tensor/rng.h"

enum { N_FILES = 4, MAX_CLASSES = 65536, N_MNIST_CLASSES = 10 };

static const struct {
    const char *name, *other; /* the two spellings in use */
    uint32_t mnist_crc;       /* of the uncompressed file */
} files[N_FILES] = {
    {"train-images-idx3-ubyte", "train-images.idx3-ubyte", 0xe9f4d8b3},
    {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", 0xe0cb4ad2},
    {"t10k-images-idx3-ubyte",  "t10k-images.idx3-ubyte",  0x91373bdf},
    {"t10k-labels-idx1-ubyte",  "t10k-labels.idx1-ubyte",  0x4ab9eff9},
};

void dataset_done(Dataset *d)
{
    if (!d)
        return;
    tensor_release(&d->images);
    tensor_release(&d->labels);
    memset(d, 0, sizeof *d);
}

static bool check_labels(const char *name, const Tensor *labels, int *n_classes,
                         Err *err)
{
    const int32_t *v = labels->data;
    int64_t limit = *n_classes ? *n_classes : MAX_CLASSES, largest = -1;
    for (int64_t i = 0; i < labels->dim[0]; i++) {
        if (v[i] < 0 || v[i] >= limit)
            return err_set(err, ERR_FORMAT,
                           "%s: label %lld is %d; labels must be 0 to %lld", name,
                           (long long)i, (int)v[i], (long long)limit - 1);
        largest = v[i] > largest ? v[i] : largest;
    }
    if (*n_classes == 0)
        *n_classes = (int)largest + 1;
    return true;
}

bool dataset_make(const char *name, const Tensor *images, const Tensor *labels,
                  int n_classes, Dataset *out, Err *err)
{
    char si[96], sl[96];
    memset(out, 0, sizeof *out);
    if (images->dtype != U8 || images->ndim != 3 || labels->dtype != I32 ||
        labels->ndim != 1 || images->dim[1] > INT_MAX || images->dim[2] > INT_MAX ||
        !tensor_contiguous(images) || !tensor_contiguous(labels))
        return err_set(
            err, ERR_SHAPE,
            "%s: images must be contiguous u8 [N,height,width] and labels i32 "
            "[N], got %s and %s",
            name, tensor_format_shape(images, si), tensor_format_shape(labels, sl));
    if (images->dim[0] != labels->dim[0])
        return err_set(err, ERR_FORMAT, "%s: %lld images but %lld labels", name,
                       (long long)images->dim[0], (long long)labels->dim[0]);
    if (!check_labels(name, labels, &n_classes, err))
        return false;
    text_copy(out->name, sizeof out->name, name);
    out->images = tensor_retain(images);
    out->labels = tensor_retain(labels);
    out->n = images->dim[0];
    out->n_classes = n_classes;
    out->height = (int)images->dim[1];
    out->width = (int)images->dim[2];
    out->channels = 1;
    return true;
}

bool dataset_layout(Dataset *d, int channels, int n_heads, const int *head,
                    const char *const *names, Err *err)
{
    int64_t product = 1;
    if (channels < 1 || d->height % channels)
        return err_set(err, ERR_SHAPE, "%s: %d rows cannot be %d channels", d->name,
                       d->height, channels);
    if (n_heads < 0 || n_heads > DATASET_HEADS)
        return err_set(err, ERR_OPTION, "%s: there are at most %d heads", d->name,
                       DATASET_HEADS);
    for (int h = 0; h < n_heads; h++) {
        if (head[h] < 1 || (product *= head[h]) > MAX_CLASSES)
            return err_set(err, ERR_OPTION, "%s: head %d of %d classes does not fit",
                           d->name, h + 1, head[h]);
        d->head[h] = head[h];
        text_copy(d->head_name[h], DATASET_HEAD_CAP, names ? names[h] : "");
    }
    if (n_heads && product < d->n_classes)
        return err_set(err, ERR_SHAPE, "%s: the heads have %lld combinations, but %d "
                       "labels are in use", d->name, (long long)product, d->n_classes);
    d->channels = channels;
    d->n_heads = n_heads;
    if (n_heads)
        d->n_classes = (int)product;
    return true;
}

/* The layout of `from` for a part of it. */
static void same_layout(const Dataset *from, Dataset *part)
{
    part->channels = from->channels;
    part->n_heads = from->n_heads;
    memcpy(part->head, from->head, sizeof part->head);
    memcpy(part->head_name, from->head_name, sizeof part->head_name);
}

/* ---- parts ----------------------------------------------------------------------- */

bool dataset_range(const Dataset *d, int64_t start, int64_t stop, Dataset *out,
                   Err *err)
{
    Tensor images = {0}, labels = {0};
    memset(out, 0, sizeof *out);
    if (start < 0 || stop < start || stop > d->n)
        return err_set(err, ERR_SHAPE, "%s: examples %lld to %lld of %lld do not exist",
                       d->name, (long long)start, (long long)stop, (long long)d->n);
    bool ok = tensor_slice(&d->images, 0, start, stop, 1, &images, err) &&
              tensor_slice(&d->labels, 0, start, stop, 1, &labels, err) &&
              dataset_make(d->name, &images, &labels, d->n_classes, out, err);
    if (ok)
        same_layout(d, out);
    tensor_release(&images);
    tensor_release(&labels);
    return ok;
}

bool dataset_subset(const Dataset *d, const int32_t *idx, int64_t n, Dataset *out,
                    Err *err)
{
    Tensor images = {0}, labels = {0};
    size_t size = (size_t)d->height * (size_t)d->width;
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < n; i++)
        if (idx[i] < 0 || idx[i] >= d->n)
            return err_set(err, ERR_SHAPE,
                           "%s: example %d does not exist; there are %lld", d->name,
                           (int)idx[i], (long long)d->n);
    bool ok = tensor_new(U8, 3, (int64_t[]){n, d->height, d->width}, &images, err) &&
              tensor_new(I32, 1, &n, &labels, err);
    for (int64_t i = 0; ok && i < n; i++) {
        memcpy((uint8_t *)images.data + (size_t)i * size,
               (const uint8_t *)d->images.data + (size_t)idx[i] * size, size);
        ((int32_t *)labels.data)[i] = ((const int32_t *)d->labels.data)[idx[i]];
    }
    ok = ok && dataset_make(d->name, &images, &labels, d->n_classes, out, err);
    if (ok)
        same_layout(d, out);
    tensor_release(&images);
    tensor_release(&labels);
    return ok;
}

static int by_index(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

bool dataset_split(const Dataset *d, int64_t n_first, uint64_t seed, Dataset *a,
                   Dataset *b, Err *err)
{
    memset(a, 0, sizeof *a);
    memset(b, 0, sizeof *b);
    if (n_first < 0 || n_first > d->n)
        return err_set(err, ERR_OPTION, "%s: cannot split %lld off %lld examples",
                       d->name, (long long)n_first, (long long)d->n);
    int32_t *order = mem_array((size_t)d->n + 1, sizeof *order, err);
    if (!order)
        return false;
    RngKey key = {.seed = seed, .stream = rng_stream("split")};
    rng_permutation(key, d->n, order);
    qsort(order, (size_t)n_first, sizeof *order, by_index);
    qsort(order + n_first, (size_t)(d->n - n_first), sizeof *order, by_index);
    bool ok = dataset_subset(d, order, n_first, a, err) &&
              dataset_subset(d, order + n_first, d->n - n_first, b, err);
    mem_free(order);
    if (!ok)
        dataset_done(a);
    return ok;
}

/* ---- folders --------------------------------------------------------------------- */

/* The path of file i in dir, in whatever spelling is there. */
static bool find_file(const char *dir, int i, char *path, size_t cap)
{
    const char *const name[] = {files[i].name, files[i].other};
    for (size_t k = 0; k < ARRAY_LEN(name); k++)
        for (int gz = 1; gz >= 0; gz--) {
            int n = snprintf(path, cap, "%s/%s%s", dir, name[k], gz ? ".gz" : "");
            if (n > 0 && (size_t)n < cap && file_exists(path))
                return true;
        }
    return false;
}

static bool load_file(const char *dir, int i, bool check, Tensor *out, Err *err)
{
    char path[PATH_MAX], *data;
    size_t n;
    uint32_t crc = 0;
    if (!find_file(dir, i, path, sizeof path))
        return err_set(err, ERR_IO, "'%s' holds no %s (with or without .gz)", dir,
                       files[i].name);
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = idx_parse_crc(data, n, path, out, &crc, err);
    mem_free(data);
    if (ok && check && crc != files[i].mnist_crc) {
        tensor_release(out);
        return err_set(err, ERR_FORMAT,
                       "'%s' is not MNIST's %s: its CRC-32 is %08x instead of %08x",
                       path, files[i].name, (unsigned)crc,
                       (unsigned)files[i].mnist_crc);
    }
    return ok;
}

/* One split: `first` is the index of its images in files[]. */
static bool load_split(const char *dir, int first, bool check, const char *name,
                       Dataset *out, Err *err)
{
    Tensor images = {0}, raw = {0}, labels = {0};
    memset(out, 0, sizeof *out);
    bool ok = load_file(dir, first, check, &images, err) &&
              load_file(dir, first + 1, check, &raw, err);
    if (ok && raw.dtype != U8 && raw.dtype != I32)
        ok =
            err_set(err, ERR_FORMAT, "%s: labels in '%s' must be whole numbers, not %s",
                    name, dir, dtype_name(raw.dtype));
    ok = ok && tensor_convert(&raw, I32, &labels, err) &&
         dataset_make(name, &images, &labels, check ? N_MNIST_CLASSES : 0, out, err);
    tensor_release(&images);
    tensor_release(&raw);
    tensor_release(&labels);
    return ok;
}

static bool load_folder(const char *dir, const char *name, bool check, Dataset *train,
                        Dataset *test, Err *err)
{
    char text[DATASET_NAME_CAP];
    memset(train, 0, sizeof *train);
    memset(test, 0, sizeof *test);
    snprintf(text, sizeof text, "%.50s train", name);
    bool ok = load_split(dir, 0, check, text, train, err);
    snprintf(text, sizeof text, "%.50s test", name);
    ok = ok && load_split(dir, 2, check, text, test, err);
    if (ok && (train->height != test->height || train->width != test->width))
        ok = err_set(err, ERR_FORMAT,
                     "'%s': training images are %d x %d but test images %d x %d", dir,
                     train->height, train->width, test->height, test->width);
    if (!ok) {
        dataset_done(train);
        dataset_done(test);
        return false;
    }
    int most = train->n_classes > test->n_classes ? train->n_classes : test->n_classes;
    train->n_classes = test->n_classes = most;
    return true;
}

bool dataset_idx(const char *dir, Dataset *train, Dataset *test, Err *err)
{
    const char *end = dir + strlen(dir);
    while (end > dir + 1 && end[-1] == '/')
        end--;
    const char *name = end;
    while (name > dir && name[-1] != '/')
        name--;
    char text[DATASET_NAME_CAP];
    snprintf(text, sizeof text, "%.*s", (int)(end - name), name);
    return load_folder(dir, text, false, train, test, err);
}

/* ---- the bundled MNIST ----------------------------------------------------------- */

static bool holds_mnist(const char *dir)
{
    char path[PATH_MAX];
    return find_file(dir, 0, path, sizeof path);
}

bool dataset_mnist_dir(char *dst, size_t cap, Err *err)
{
    static const char *const beside[] = {"../data/mnist", "../../data/mnist",
                                         "../share/cleave/mnist"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; slash && i < ARRAY_LEN(beside); i++)
        if (path_join(dst, cap, exe, beside[i], NULL) && holds_mnist(dst))
            return true;
    const char *env = getenv("CLEAVE_DATA");
    if (env && *env) {
        if (path_join(dst, cap, env, "mnist", NULL) && holds_mnist(dst))
            return true;
        if (text_copy(dst, cap, env) && holds_mnist(dst))
            return true;
    }
    return err_set(
        err, ERR_IO,
        "MNIST was not found: neither in ../data/mnist, ../../data/mnist and "
        "../share/cleave/mnist from '%.300s' nor in $CLEAVE_DATA (%.200s)",
        exe, env && *env ? env : "not set");
}

bool dataset_mnist(Dataset *train, Dataset *test, Err *err)
{
    char dir[PATH_MAX];
    memset(train, 0, sizeof *train);
    memset(test, 0, sizeof *test);
    return dataset_mnist_dir(dir, sizeof dir, err) &&
           load_folder(dir, "mnist", true, train, test, err);
}
