/* shards.c -- the rows of an epoch are numbered in the order of its files; window k is
 * rows k*window and on. Because the window is a multiple of the batch, a batch never
 * spans two windows, and any position can be reached by loading one window. Raw
 * elements are read and converted in pieces of 1 MiB. */
#include "data/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/decode.h"
#include "tensor/rng.h"

enum { PIECE = 1 << 20, MAX_FILES = 1 << 20 };

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(ShardsCfg, field), dflt, lo, hi, NULL, doc              \
    }
const OptRow shards_options[] = {
    OPT(batch, OPT_INT, "512", 1, 1 << 24, "rows in a batch"),
    OPT(window, OPT_INT, "16384", 1, 1 << 28,
        "rows in memory, rounded up to whole batches; shuffling reaches this far"),
    OPT(seed, OPT_INT, "1", 0, 1e15, "of the order of files and rows"),
    OPT(shuffle, OPT_BOOL, "true", 0, 0,
        "a new order each epoch, the tail dropped; false: in order, with the tail"),
    OPT(tensor, OPT_STR, "", 0, 0,
        "name of the tensor in .safetensors files; empty: the only one"),
};
const size_t shards_n_options = ARRAY_LEN(shards_options);

typedef struct Shard {
    char *path;
    ArrayInfo info;
    int64_t rows, row_bytes;
    int64_t size, changed; /* bytes, and when it was written to, in ns */
} Shard;

struct Shards {
    ShardsCfg cfg;
    Shard *shard;
    int n;
    int32_t *order; /* of the shards in epoch `ordered` */
    int64_t ordered;
    int64_t rows, width; /* elements of a row */
    int64_t span;        /* rows of a window: whole batches, no more than there are */
    int fd, open;        /* the shard that is open, -1: none */
    Tensor window;       /* f32 [window, width] */
    int64_t loaded, loaded_epoch, in_window;
    int32_t *perm;
    void *raw; /* PIECE bytes, or one row if that is more */
    size_t raw_bytes;
    int64_t epoch, position;
};

/* ---- headers --------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

static bool io_fail(const char *path, const char *why, Err *err)
{
    return err_set(err, ERR_IO, "cannot read '%s': %s", path, why);
}

/* n bytes from `at` on, or as many as there are. */
static bool read_at(int fd, const char *path, void *dst, size_t n, int64_t at,
                    size_t *got, Err *err)
{
    *got = 0;
    while (*got < n) {
        ssize_t k =
            pread(fd, (char *)dst + *got, n - *got, (off_t)(at + (int64_t)*got));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return io_fail(path, strerror(errno), err);
        if (k == 0)
            break;
        *got += (size_t)k;
    }
    return true;
}

/* How many bytes from the start hold the whole header. */
static bool header_size(int fd, const char *path, int64_t size, size_t *n, Err *err)
{
    uint8_t head[12] = {0};
    uint64_t len = 0;
    size_t got;
    if (!read_at(fd, path, head, sizeof head, 0, &got, err))
        return false;
    bool npy = ends_with(path, ".npy");
    int first = npy ? 8 : 0, bytes = !npy ? 8 : head[6] == 1 ? 2 : 4;
    for (int i = 0; i < bytes; i++)
        len |= (uint64_t)head[first + i] << 8 * i;
    if (got < sizeof head || len > (uint64_t)size)
        len = (uint64_t)size; /* the parser says what is wrong */
    *n = (size_t)(len + 12 < (uint64_t)size ? len + 12 : (uint64_t)size);
    return *n <= 100u << 20 ||
           err_set(err, ERR_FORMAT, "'%s': its header claims more than 100 MB", path);
}

static bool check_info(Shard *s, int64_t size, Err *err)
{
    ArrayInfo *a = &s->info;
    if (a->fortran)
        return err_set(
            err, ERR_FORMAT,
            "'%s' is in Fortran order, so its rows are not together; save it "
            "in C order",
            s->path);
    if (a->ndim < 1)
        return err_set(err, ERR_SHAPE, "'%s' holds a single number, not rows", s->path);
    if (a->begin + a->bytes > size ||
        (ends_with(s->path, ".npy") && a->begin + a->bytes != size))
        return err_set(err, ERR_FORMAT,
                       "'%s' has %" PRId64 " bytes but its header asks for %" PRId64,
                       s->path, size, a->begin + a->bytes);
    s->rows = a->dim[0];
    s->row_bytes = s->rows ? a->bytes / s->rows : 0;
    return true;
}

static int64_t written_at(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool read_header(Shard *s, const ShardsCfg *cfg, Err *err)
{
    struct stat st;
    size_t n, got;
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        io_fail(s->path, fd < 0 ? strerror(errno) : "it is no file", err);
        if (fd >= 0)
            close(fd);
        return false;
    }
    s->size = st.st_size;
    s->changed = written_at(&st);
    void *head = NULL;
    bool ok = header_size(fd, s->path, st.st_size, &n, err) &&
              (head = mem_alloc(n, err)) != NULL &&
              read_at(fd, s->path, head, n, 0, &got, err);
    if (ok)
        ok = ends_with(s->path, ".npy")
                 ? npy_describe(head, got, s->path, &s->info, err)
                 : safetensors_describe(head, got, st.st_size, s->path,
                                        cfg->tensor[0] ? cfg->tensor : NULL, &s->info,
                                        err);
    mem_free(head);
    close(fd);
    return ok && check_info(s, st.st_size, err);
}

static bool same_rows(const Shard *a, const Shard *b, Err *err)
{
    char one[96], two[96];
    bool same = a->info.ndim == b->info.ndim;
    for (int i = 1; same && i < a->info.ndim; i++)
        same = a->info.dim[i] == b->info.dim[i];
    return same ||
           err_set(
               err, ERR_SHAPE,
               "'%s' is %s, but '%s' is %s; all must have rows of one shape", b->path,
               shape_format(elem_dtype(b->info.kind), b->info.ndim, b->info.dim, one),
               a->path,
               shape_format(elem_dtype(a->info.kind), a->info.ndim, a->info.dim, two));
}

/* ---- opening --------------------------------------------------------------------- */

static bool add_shards(Shards *s, const glob_t *g, Err *err)
{
    s->shard = mem_array(g->gl_pathc, sizeof *s->shard, err);
    s->order = s->shard ? mem_array(g->gl_pathc, sizeof *s->order, err) : NULL;
    if (!s->order)
        return false;
    for (size_t i = 0; i < g->gl_pathc; i++) {
        Shard *x = &s->shard[i];
        *x = (Shard){.path = mem_strdup(g->gl_pathv[i], err)};
        s->n++;
        if (!x->path || !intr_check(err))
            return false;
        if (!ends_with(x->path, ".npy") && !ends_with(x->path, ".safetensors"))
            return err_set(err, ERR_FORMAT, "'%s' is neither .npy nor .safetensors",
                           x->path);
        if (!read_header(x, &s->cfg, err) || (i && !same_rows(s->shard, x, err)))
            return false;
        if (__builtin_add_overflow(s->rows, x->rows, &s->rows))
            return err_set(err, ERR_FORMAT, "'%s': too many rows", x->path);
    }
    return true;
}

static bool find_files(Shards *s, const char *pattern, Err *err)
{
    glob_t g = {0};
    char path[4096];
    int code = 0;
    bool ok = true;
    if (file_is_dir(pattern)) {
        ok = path_join(path, sizeof path, pattern, "*.npy", err);
        code = ok ? glob(path, 0, NULL, &g) : 0;
        ok = ok && path_join(path, sizeof path, pattern, "*.safetensors", err);
        if (ok && (code == 0 || code == GLOB_NOMATCH))
            code = glob(path, code == 0 ? GLOB_APPEND : 0, NULL, &g);
        if (code == GLOB_NOMATCH && g.gl_pathc > 0)
            code = 0;
    } else {
        code = glob(pattern, 0, NULL, &g);
    }
    if (ok && code == GLOB_NOSPACE)
        ok = err_set(err, ERR_MEMORY, "no memory to list '%s'", pattern);
    else if (ok && (code != 0 || g.gl_pathc == 0))
        ok = err_set(err, ERR_IO, "there is no file '%s'", pattern);
    else if (ok && g.gl_pathc > MAX_FILES)
        ok =
            err_set(err, ERR_OPTION, "'%s' matches more than a million files", pattern);
    ok = ok && add_shards(s, &g, err);
    globfree(&g);
    return ok;
}

static bool fit_window(Shards *s, Err *err)
{
    ShardsCfg *c = &s->cfg;
    const ArrayInfo *a = &s->shard[0].info;
    s->width = 1;
    for (int i = 1; i < a->ndim; i++)
        s->width *= a->dim[i];
    if (s->rows < 1 || s->width < 1 || (c->shuffle && c->batch > s->rows))
        return err_set(err, ERR_SHAPE,
                       "shards: a batch of %" PRId64 " does not fit into %" PRId64
                       " rows of %" PRId64 " values",
                       c->batch, s->rows, s->width);
    int64_t most = (s->rows + c->batch - 1) / c->batch,
            want = (c->window + c->batch - 1) / c->batch;
    s->span = (want < most ? want : most) * c->batch;
    s->raw_bytes = (size_t)(s->width * 8) > PIECE ? (size_t)(s->width * 8) : PIECE;
    return true;
}

static bool make_window(Shards *s, Err *err)
{
    int64_t dim[2] = {s->span, s->width};
    if (!s->perm)
        s->perm = mem_array((size_t)s->span, sizeof *s->perm, err);
    if (s->perm && !s->raw)
        s->raw = mem_alloc(s->raw_bytes, err);
    return s->raw && (s->window.data || tensor_new(F32, 2, dim, &s->window, err));
}

Shards *shards_open(const char *pattern, const ShardsCfg *cfg, Err *err)
{
    Shards *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->fd = s->open = -1;
    s->ordered = s->loaded = s->loaded_epoch = -1;
    if (find_files(s, pattern, err) && fit_window(s, err))
        return s;
    shards_free(s);
    return NULL;
}

void shards_free(Shards *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    for (int i = 0; i < s->n; i++)
        mem_free(s->shard[i].path);
    mem_free(s->shard);
    mem_free(s->order);
    mem_free(s->perm);
    mem_free(s->raw);
    tensor_release(&s->window);
    mem_free(s);
}

int64_t shards_rows(const Shards *s)
{
    return s->rows;
}

int shards_files(const Shards *s)
{
    return s->n;
}

int shards_row_shape(const Shards *s, int64_t dim[MAX_DIM])
{
    const ArrayInfo *a = &s->shard[0].info;
    for (int i = 1; i < a->ndim; i++)
        dim[i - 1] = a->dim[i];
    return a->ndim - 1;
}

/* ---- reading --------------------------------------------------------------------- */

static bool open_shard(Shards *s, int i, Err *err)
{
    if (s->open == i)
        return true;
    if (s->fd >= 0)
        close(s->fd);
    s->open = -1;
    s->fd = open(s->shard[i].path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        return io_fail(s->shard[i].path, strerror(errno), err);
    s->open = i;
    return true;
}

/* Rows first..first+n-1 of shard i to the window from row `to` on. */
static bool read_piece(Shards *s, int i, int64_t first, int64_t n, int64_t to, Err *err)
{
    const Shard *x = &s->shard[i];
    size_t want = (size_t)(n * x->row_bytes), got;
    int64_t dim[2] = {n, s->width};
    Tensor part = {0};
    if (!read_at(s->fd, x->path, s->raw, want, x->info.begin + first * x->row_bytes,
                 &got, err))
        return false;
    if (got < want)
        return err_set(err, ERR_IO,
                       "'%s' ends inside rows %" PRId64 " to %" PRId64
                       "; it was changed while it was being read",
                       x->path, first + 1, first + n);
    if (!elem_load(x->info.kind, x->info.big_endian, s->raw, 2, dim, x->path, &part,
                   err))
        return false;
    Tensor dst = tensor_wrap(F32, 2, dim, (float *)s->window.data + to * s->width);
    bool ok = tensor_copy_into(&part, &dst, err);
    tensor_release(&part);
    return ok && intr_check(err);
}

/* A file that changes under a reader would give other rows than an epoch before. */
static bool unchanged(const Shards *s, const Shard *x, Err *err)
{
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        return io_fail(x->path, strerror(errno), err);
    if (st.st_size != x->size)
        return err_set(err, ERR_FORMAT,
                       "'%s' has changed since it was opened: it had %" PRId64
                       " bytes, now it has %" PRId64,
                       x->path, x->size, (int64_t)st.st_size);
    return written_at(&st) == x->changed ||
           err_set(err, ERR_FORMAT, "'%s' has been written to since it was opened",
                   x->path);
}

static bool read_rows(Shards *s, int i, int64_t first, int64_t n, int64_t to, Err *err)
{
    int64_t step = (int64_t)s->raw_bytes / s->shard[i].row_bytes;
    bool ok = open_shard(s, i, err) && unchanged(s, &s->shard[i], err);
    for (int64_t k = 0; ok && k < n; k += step)
        ok = read_piece(s, i, first + k, n - k < step ? n - k : step, to + k, err);
    return ok;
}

static void make_order(Shards *s)
{
    RngKey key = {.seed = (uint64_t)s->cfg.seed,
                  .stream = rng_stream("shards"),
                  .step = (uint64_t)s->epoch};
    if (s->ordered == s->epoch)
        return;
    for (int i = 0; i < s->n; i++)
        s->order[i] = i;
    if (s->cfg.shuffle && s->rows > s->span)
        rng_permutation(key, s->n, s->order);
    s->ordered = s->epoch;
}

/* Rows of the epoch from `first` on, as many as the window takes. */
static bool fill_window(Shards *s, int64_t first, Err *err)
{
    int64_t end = first + s->span < s->rows ? first + s->span : s->rows;
    int64_t begin = 0; /* of the shard, in the order of the epoch */
    bool ok = true;
    for (int k = 0; ok && k < s->n && begin < end; k++) {
        const Shard *x = &s->shard[s->order[k]];
        int64_t from = begin > first ? begin : first;
        int64_t to = begin + x->rows < end ? begin + x->rows : end;
        if (from < to)
            ok = read_rows(s, s->order[k], from - begin, to - from, from - first, err);
        begin += x->rows;
    }
    s->in_window = end - first;
    return ok;
}

static bool load_window(Shards *s, int64_t k, Err *err)
{
    if (s->loaded == k && s->loaded_epoch == s->epoch)
        return true;
    make_order(s);
    s->loaded = -1;
    if (!make_window(s, err) || !fill_window(s, k * s->span, err))
        return false;
    /* One stream for all windows of all epochs: the step is their number. */
    uint64_t windows = (uint64_t)((s->rows + s->span - 1) / s->span);
    RngKey key = {.seed = (uint64_t)s->cfg.seed,
                  .stream = rng_stream("shard rows"),
                  .step = (uint64_t)s->epoch * windows + (uint64_t)k};
    if (windows == 1) /* as a Sampler does */
        key.stream = rng_stream("shuffle");
    for (int64_t i = 0; i < s->in_window; i++)
        s->perm[i] = (int32_t)i;
    if (s->cfg.shuffle)
        rng_permutation(key, s->in_window, s->perm);
    s->loaded = k;
    s->loaded_epoch = s->epoch;
    return true;
}

bool shards_next(Shards *s, Tensor *out, int64_t *n, Err *err)
{
    int64_t left = s->rows - s->position, count = s->cfg.batch;
    memset(out, 0, sizeof *out);
    *n = 0;
    if (left < count)
        count = s->cfg.shuffle ? 0 : left;
    if (count == 0) {
        s->epoch++;
        s->position = 0;
        return true;
    }
    int64_t dim[MAX_DIM];
    const ArrayInfo *a = &s->shard[0].info;
    memcpy(dim, a->dim, sizeof dim);
    dim[0] = count;
    if (!load_window(s, s->position / s->span, err) ||
        !tensor_new(F32, a->ndim, dim, out, err))
        return false;
    int64_t at = s->position % s->span;
    size_t bytes = (size_t)s->width * sizeof(float);
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)out->data + (size_t)i * bytes,
               (const char *)s->window.data + (size_t)s->perm[at + i] * bytes, bytes);
    s->position += count;
    *n = count;
    return true;
}

int64_t shards_epoch(const Shards *s)
{
    return s->epoch;
}

int64_t shards_position(const Shards *s)
{
    return s->position;
}

bool shards_seek(Shards *s, int64_t epoch, int64_t position, Err *err)
{
    bool whole =
        position % s->cfg.batch == 0 || (!s->cfg.shuffle && position == s->rows);
    if (epoch < 0 || position < 0 || position > s->rows || !whole)
        return err_set(err, ERR_OPTION,
                       "shards: epoch %" PRId64 ", position %" PRId64
                       " is not a state of %" PRId64 " rows in batches of %" PRId64,
                       epoch, position, s->rows, s->cfg.batch);
    s->epoch = epoch;
    s->position = position;
    return true;
}

/* ---- without copies -------------------------------------------------------------- */

const ShardsCfg *shards_cfg(const Shards *s)
{
    return &s->cfg;
}

static bool same_header(const Shard *a, const Shard *b)
{
    bool same = a->info.kind == b->info.kind && a->info.ndim == b->info.ndim &&
                a->info.begin == b->info.begin;
    for (int i = 0; same && i < a->info.ndim; i++)
        same = a->info.dim[i] == b->info.dim[i];
    return same;
}

static bool copy_shards(const Shards *from, Shards *to, Err *err)
{
    size_t n = (size_t)from->n;
    to->shard = mem_array(n, sizeof *to->shard, err);
    to->order = to->shard ? mem_array(n, sizeof *to->order, err) : NULL;
    for (int i = 0; to->order && i < from->n; i++) {
        Shard *x = &to->shard[i];
        *x = (Shard){.path = mem_strdup(from->shard[i].path, err)};
        to->n++;
        if (!x->path || !intr_check(err) || !read_header(x, &to->cfg, err))
            return false;
        if (!same_header(x, &from->shard[i]))
            return err_set(err, ERR_FORMAT, "'%s' has changed since it was opened",
                           x->path);
    }
    to->rows = from->rows;
    return to->order != NULL;
}

Shards *shards_again(const Shards *s, const ShardsCfg *cfg, Err *err)
{
    Shards *out = mem_zalloc(sizeof *out, err);
    if (!out)
        return NULL;
    out->cfg = *cfg;
    memcpy(out->cfg.tensor, s->cfg.tensor, sizeof out->cfg.tensor);
    out->fd = out->open = -1;
    out->ordered = out->loaded = out->loaded_epoch = -1;
    if (copy_shards(s, out, err) && fit_window(out, err))
        return out;
    shards_free(out);
    return NULL;
}

bool shards_aligned(const Shards *a, const Shards *b, Err *err)
{
    if (a->n != b->n)
        return err_set(err, ERR_SHAPE,
                       "activations are in %d files, targets in %d; they must be cut "
                       "alike",
                       a->n, b->n);
    for (int i = 0; i < a->n; i++)
        if (a->shard[i].rows != b->shard[i].rows)
            return err_set(err, ERR_SHAPE,
                           "'%s' has %" PRId64 " rows, but its targets '%s' have %" PRId64,
                           a->shard[i].path, a->shard[i].rows, b->shard[i].path,
                           b->shard[i].rows);
    return true;
}

bool shards_window(Shards *s, const Tensor **out, Err *err)
{
    *out = &s->window;
    return make_window(s, err);
}

bool shards_ready(Shards *s, int64_t epoch, int64_t position, int32_t *idx, bool *fresh,
                  Err *err)
{
    int64_t B = s->cfg.batch, window = position / s->span;
    if (!shards_seek(s, epoch, position, err))
        return false;
    if (position + B > s->rows)
        return err_set(err, ERR_OPTION,
                       "shards: no batch of %" PRId64 " begins at row %" PRId64
                       " of %" PRId64,
                       B, position, s->rows);
    *fresh = s->loaded != window || s->loaded_epoch != epoch;
    if (*fresh && !load_window(s, window, err))
        return false;
    memcpy(idx, s->perm + position % s->span, sizeof *idx * (size_t)B);
    s->position += B;
    return true;
}

bool shards_block(Shards *s, int64_t first, int64_t *n, Err *err)
{
    for (int i = 0; i < s->n; i++)
        s->order[i] = i;
    s->ordered = s->loaded = -1;
    *n = s->rows - first < s->span ? s->rows - first : s->span;
    return make_window(s, err) && fill_window(s, first, err);
}

/* ---- all at once ----------------------------------------------------------------- */

/* Leaves an epoch that was begun. */
static bool restart(Shards *s, Err *err)
{
    return shards_position(s) == 0 || shards_seek(s, shards_epoch(s) + 1, 0, err);
}

static bool load_rows(Shards *s, int64_t want, Tensor *all, int64_t *got, Err *err)
{
    int64_t n = 1, row = want ? tensor_count(all) / want : 0;
    for (*got = 0; n > 0 && *got < want;) {
        Tensor t = {0};
        if (!shards_next(s, &t, &n, err))
            return false;
        int64_t use = want - *got < n ? want - *got : n;
        if (use > 0)
            memcpy((float *)all->data + *got * row, t.data,
                   sizeof(float) * (size_t)(use * row));
        *got += use;
        tensor_release(&t);
    }
    return true;
}

bool shards_load(Shards *s, int64_t rows, Tensor *out, Err *err)
{
    int64_t dim[MAX_DIM + 1], got = 0, total = shards_rows(s);
    Tensor all = {0}, view = {0};
    int ndim = shards_row_shape(s, dim + 1);
    dim[0] = rows > 0 && rows < total ? rows : total;
    bool ok = restart(s, err) && tensor_new(F32, ndim + 1, dim, &all, err) &&
              load_rows(s, dim[0], &all, &got, err) &&
              (got > 0 || err_set(err, ERR_SHAPE,
                                  "the files hold fewer rows than a batch")) &&
              tensor_slice(&all, 0, 0, got, 1, &view, err) &&
              tensor_contiguous_of(&view, out, err) &&
              restart(s, err);
    tensor_release(&view);
    tensor_release(&all);
    return ok;
}
