/* sae_stream.c -- one or two readers that always stand at the same place. */
#include "lab/sae_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct SaeStream {
    Shards *x, *y; /* y NULL: no targets */
    int32_t *idx;  /* [batch]: where y's rows are, which is where x's are */
    SaeSource source;
    TrainFeed feed;
    char order[160];
};

/* ---- what a fit asks for --------------------------------------------------------- */

static bool each(void *ctx, SaeBlock *block, void *block_ctx, Err *err)
{
    const SaeStream *st = ctx;
    const float *x = st->source.window.data;
    const float *y = st->y ? st->source.window_target.data : x;
    int64_t n, m, rows = shards_rows(st->x);
    for (int64_t first = 0; first < rows; first += n) {
        if (!shards_block(st->x, first, &n, err) ||
            (st->y && !shards_block(st->y, first, &m, err)) ||
            !block(block_ctx, first, n, x, y, err))
            return false;
    }
    return true;
}

static bool next(void *ctx, int64_t epoch, int64_t position, int32_t *idx, bool *fresh,
                 Err *err)
{
    SaeStream *st = ctx;
    bool also = false;
    if (!shards_ready(st->x, epoch, position, idx, fresh, err) ||
        (st->y && !shards_ready(st->y, epoch, position, st->idx, &also, err)))
        return false;
    *fresh |= also;
    return true;
}

/* ---- making ---------------------------------------------------------------------- */

static bool head_rows(Shards *s, const Tensor *window, Tensor *out, Err *err)
{
    int64_t rows = shards_rows(s), width = window->dim[1], n;
    int64_t keep = rows < SAE_HEAD ? rows : SAE_HEAD;
    if (!tensor_new(F32, 2, (int64_t[]){keep, width}, out, err))
        return false;
    for (int64_t first = 0; first < keep; first += n) {
        if (!shards_block(s, first, &n, err))
            return false;
        int64_t use = keep - first < n ? keep - first : n;
        memcpy((float *)out->data + first * width, window->data,
               sizeof(float) * (size_t)(use * width));
    }
    return true;
}

static Shards *reader(const Shards *from, const Shards *sizes, const SaeCfg *c,
                      Err *err)
{
    ShardsCfg cfg = *shards_cfg(sizes);
    int64_t rows = shards_rows(from);
    cfg.batch = c->batch < rows ? c->batch : rows;
    cfg.seed = c->seed;
    cfg.shuffle = true;
    return shards_again(from, &cfg, err);
}

static bool open_reader(Shards *s, Tensor *head, Tensor *window, Err *err)
{
    const Tensor *w;
    if (!shards_window(s, &w, err) || !head_rows(s, w, head, err))
        return false;
    *window = tensor_retain(w);
    return true;
}

/* Empty where one window holds all: that is the order of examples in memory. */
static void name_order(SaeStream *st)
{
    int64_t window = st->source.window.dim[0], rows = shards_rows(st->x);
    if (rows > window)
        snprintf(st->order, sizeof st->order,
                 "%d files of %" PRId64 " rows in windows of %" PRId64,
                 shards_files(st->x), rows, window);
}

SaeStream *sae_stream_open(const Shards *x, const Shards *target, const SaeCfg *cfg,
                           Err *err)
{
    if (target && !shards_aligned(x, target, err))
        return NULL;
    SaeStream *st = mem_zalloc(sizeof *st, err);
    if (!st)
        return NULL;
    SaeSource *src = &st->source;
    bool ok =
        (st->x = reader(x, x, cfg, err)) &&
        (!target || (st->y = reader(target, x, cfg, err))) &&
        (st->idx = mem_array((size_t)shards_cfg(st->x)->batch, sizeof *st->idx, err)) &&
        open_reader(st->x, &src->head, &src->window, err) &&
        (!target || open_reader(st->y, &src->head_target, &src->window_target, err));
    if (!ok) {
        sae_stream_free(st);
        return NULL;
    }
    src->ctx = st;
    src->rows = shards_rows(st->x);
    src->each = each;
    name_order(st);
    st->feed = (TrainFeed){.ctx = st, .next = next, .order = st->order};
    return st;
}

void sae_stream_free(SaeStream *st)
{
    if (!st)
        return;
    Tensor *const own[] = {&st->source.head, &st->source.head_target,
                           &st->source.window, &st->source.window_target};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    shards_free(st->x);
    shards_free(st->y);
    mem_free(st->idx);
    mem_free(st);
}

const SaeSource *sae_stream_source(const SaeStream *st)
{
    return &st->source;
}

const TrainFeed *sae_stream_feed(const SaeStream *st)
{
    return &st->feed;
}
