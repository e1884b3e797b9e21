/* lb_data.c -- data sets and samplers in Lua. */
#include <string.h>

#include "base/mem.h"
#include "data/shapes.h"
#include "script/lb_objects.h"

Dataset *lb_check_dataset(lua_State *L, int arg)
{
    Dataset *d = luaL_checkudata(L, arg, LB_DATA);
    luaL_argcheck(L, d->images.data, arg, "this data set was closed");
    return d;
}

Dataset *lb_push_dataset(lua_State *L)
{
    Dataset *d = lua_newuserdatauv(L, sizeof *d, 1);
    memset(d, 0, sizeof *d);
    luaL_setmetatable(L, LB_DATA);
    return d;
}

static int dataset_gc(lua_State *L)
{
    dataset_done(luaL_checkudata(L, 1, LB_DATA));
    return 0;
}

static int sampler_gc(lua_State *L)
{
    Sampler *s = luaL_checkudata(L, 1, LB_SAMPLER);
    sampler_done(s);
    s->batch = 0;
    return 0;
}

Sampler *lb_check_sampler(lua_State *L, int arg)
{
    Sampler *s = luaL_checkudata(L, arg, LB_SAMPLER);
    luaL_argcheck(L, s->batch > 0, arg, "this sampler was closed");
    return s;
}

/* { train = ..., test = ... } */
static int push_pair(lua_State *L, const char *dir)
{
    Err err;
    lua_createtable(L, 0, 2);
    Dataset *train = lb_push_dataset(L), *test = lb_push_dataset(L);
    if (!(dir ? dataset_idx(dir, train, test, &err) : dataset_mnist(train, test, &err)))
        return lb_raise(L, &err);
    lua_setfield(L, -3, "test");
    lua_setfield(L, -2, "train");
    lb_pace(L);
    return 1;
}

static int data_mnist(lua_State *L)
{
    return push_pair(L, NULL);
}

static int data_idx(lua_State *L)
{
    return push_pair(L, luaL_checkstring(L, 1));
}

static int data_shapes(lua_State *L)
{
    Err err;
    ShapesCfg cfg;
    lua_settop(L, 1);
    lb_options(L, 1, "cl.data.shapes", shapes_options, shapes_n_options, &cfg);
    lua_createtable(L, 0, 2);
    Dataset *train = lb_push_dataset(L), *test = lb_push_dataset(L);
    if (!dataset_shapes(&cfg, train, test, &err))
        return lb_raise(L, &err);
    lua_setfield(L, -3, "test");
    lua_setfield(L, -2, "train");
    lb_pace(L);
    return 1;
}

static int data_make(lua_State *L)
{
    Err err;
    LTensor *x = lb_check_tensor(L, 1), *y = lb_check_tensor(L, 2);
    const char *name = luaL_optstring(L, 3, "data");
    Dataset *d = lb_push_dataset(L);
    return dataset_make(name, &x->t, &y->t, 0, d, &err) ? 1 : lb_raise(L, &err);
}

static int dataset_range_fn(lua_State *L)
{
    Err err;
    Dataset *d = lb_check_dataset(L, 1);
    lua_Integer from = luaL_checkinteger(L, 2), to = luaL_optinteger(L, 3, d->n);
    luaL_argcheck(L, from >= 1 && from <= d->n, 2, "examples count from 1");
    luaL_argcheck(L, to >= from && to <= d->n, 3, "no such example");
    Dataset *out = lb_push_dataset(L);
    return dataset_range(d, from - 1, to, out, &err) ? 1 : lb_raise(L, &err);
}

static int dataset_split_fn(lua_State *L)
{
    Err err;
    Dataset *d = lb_check_dataset(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2), seed = luaL_optinteger(L, 3, 0);
    Dataset *a = lb_push_dataset(L), *b = lb_push_dataset(L);
    return dataset_split(d, n, (uint64_t)seed, a, b, &err) ? 2 : lb_raise(L, &err);
}

/* Scaled pixels of the first n examples (all by default) as f32 [n, H*W]. */
static int dataset_pixels(lua_State *L)
{
    Err err;
    Dataset *d = lb_check_dataset(L, 1);
    lua_Integer n = luaL_optinteger(L, 2, d->n);
    luaL_argcheck(L, n >= 0 && n <= d->n, 2, "more examples than the data set has");
    int64_t size = (int64_t)d->height * d->width;
    LTensor *out = lb_push_tensor(L);
    if (!tensor_new(F32, 2, (int64_t[]){n, size}, &out->t, &err))
        return lb_raise(L, &err);
    const uint8_t *src = d->images.data;
    float *dst = out->t.data;
    for (int64_t i = 0; i < n * size; i++)
        dst[i] = (float)src[i] * (1.0f / 255);
    lb_pace(L);
    return 1;
}

LTensor *lb_push_moment(lua_State *L, int dataset, double noise, double share)
{
    Err err;
    dataset = lua_absindex(L, dataset);
    Dataset *d = lb_check_dataset(L, dataset);
    LTensor *kept = lua_getiuservalue(L, dataset, 1) == LUA_TUSERDATA
                        ? lb_test_tensor(L, -1)
                        : NULL;
    if (!kept) {
        lua_pop(L, 1);
        kept = lb_push_tensor(L);
        if (!dataset_second_moment(d, &kept->t, &err))
            lb_raise(L, &err);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, dataset, 1);
    }
    LTensor *out = lb_push_tensor(L);
    if (!tensor_copy(&kept->t, &out->t, &err))
        lb_raise(L, &err);
    int64_t n = out->t.dim[0];
    for (int64_t i = 0; i < n; i++)
        ((double *)out->t.data)[i * n + i] += share * noise * noise;
    lua_remove(L, -2);
    return out;
}

static int dataset_moment_fn(lua_State *L)
{
    lb_check_dataset(L, 1);
    lb_push_moment(L, 1, luaL_optnumber(L, 2, 0), luaL_optnumber(L, 3, 0.5));
    return 1;
}

/* { { name = "shape", size = 3 }, ... }, empty for one label. */
static void push_heads(lua_State *L, const Dataset *d)
{
    lua_createtable(L, d->n_heads, 0);
    for (int h = 0; h < d->n_heads; h++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, d->head_name[h]);
        lua_setfield(L, -2, "name");
        lua_pushinteger(L, d->head[h]);
        lua_setfield(L, -2, "size");
        lua_rawseti(L, -2, h + 1);
    }
}

static int dataset_index(lua_State *L)
{
    Dataset *d = luaL_checkudata(L, 1, LB_DATA);
    const char *key = luaL_checkstring(L, 2);
    luaL_getmetatable(L, LB_DATA);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    if (!strcmp(key, "images")) {
        lb_push_tensor(L)->t = tensor_retain(&lb_check_dataset(L, 1)->images);
    } else if (!strcmp(key, "labels")) {
        lb_push_tensor(L)->t = tensor_retain(&lb_check_dataset(L, 1)->labels);
    } else if (!strcmp(key, "n")) {
        lua_pushinteger(L, d->n);
    } else if (!strcmp(key, "classes")) {
        lua_pushinteger(L, d->n_classes);
    } else if (!strcmp(key, "name")) {
        lua_pushstring(L, d->name);
    } else if (!strcmp(key, "channels")) {
        lua_pushinteger(L, d->channels);
    } else if (!strcmp(key, "heads")) {
        push_heads(L, d);
    } else {
        return lb_error(L, ERR_OPTION,
                        "a data set has images, labels, n, classes, channels, heads, "
                        "name and its methods, but no '%s'",
                        key);
    }
    return 1;
}

static int dataset_len(lua_State *L)
{
    lua_pushinteger(L, lb_check_dataset(L, 1)->n);
    return 1;
}

static int dataset_tostring(lua_State *L)
{
    Dataset *d = luaL_checkudata(L, 1, LB_DATA);
    lua_pushfstring(L, "%s: %d examples of %d x %d, %d classes", d->name, (int)d->n,
                    d->height, d->width, d->n_classes);
    return 1;
}

/* --- samplers --------------------------------------------------------------------- */

typedef struct SamplerCfg {
    int64_t batch, seed;
    bool shuffle;
} SamplerCfg;
static const OptRow sampler_options[] = {
    {"batch", OPT_INT, offsetof(SamplerCfg, batch), "512", 1, 1 << 24, NULL,
     "Examples in a batch."},
    {"seed", OPT_INT, offsetof(SamplerCfg, seed), "1", 0, 0, NULL,
     "Seed of the shuffles."},
    {"shuffle", OPT_BOOL, offsetof(SamplerCfg, shuffle), "true", 0, 0, NULL,
     "A new order each epoch, tail dropped; false: in order, with the tail."},
};
static const size_t n_sampler_options = ARRAY_LEN(sampler_options);

static int cl_sampler(lua_State *L)
{
    Err err;
    SamplerCfg c;
    int64_t n = lua_isinteger(L, 1) ? lua_tointeger(L, 1) : lb_check_dataset(L, 1)->n;
    lb_options(L, 2, "cl.sampler", sampler_options, n_sampler_options, &c);
    Sampler *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    luaL_setmetatable(L, LB_SAMPLER);
    return sampler_init(s, n, c.batch, (uint64_t)c.seed, c.shuffle, &err)
               ? 1
               : lb_raise(L, &err);
}

static int sampler_next_fn(lua_State *L)
{
    Err err;
    Sampler *s = lb_check_sampler(L, 1);
    LTensor *out = lb_push_tensor(L), full = {0};
    if (!tensor_new(I32, 1, &s->batch, &out->t, &err))
        return lb_raise(L, &err);
    int64_t n = sampler_next(s, out->t.data);
    if (n == 0)
        return 0;
    if (n < s->batch) {
        full.t = out->t;
        bool ok = tensor_slice(&full.t, 0, 0, n, 1, &out->t, &err);
        tensor_release(&full.t);
        if (!ok)
            return lb_raise(L, &err);
    }
    return 1;
}

const LbFn lb_data_fns[] = {
    {"cl.data.mnist", "()",
     "The bundled MNIST (LeCun, Cortes, Burges): { train = 60,000 examples, test = "
     "10,000 }. "
     "Pixels stay u8 [N,28,28] and are scaled to 0..1 when a batch is gathered.",
     data_mnist, NULL, NULL, "mnist = cl.data.mnist()"},
    {"cl.data.idx", "(folder)",
     "Another data set in MNIST's file format: a folder with train-images-idx3-ubyte "
     "and so "
     "on, gzipped or not. Damaged files are refused with one sentence.",
     data_idx, NULL, NULL, NULL},
    {"cl.data.shapes", "({ train = 10000, test = 2000, sizes = 3, noise = 0, seed = 1 })",
     "Coloured shapes on black: circle, square or triangle, red, green or blue, small, "
     "medium or large, drawn apart, at a jittered place: { train = ..., test = ... }. "
     "Images are RGB planes one below the other, u8 [N,96,32]; a label is "
     "(shape * 3 + colour) * sizes + size, and heads lists the three attributes, so "
     "cl.train gives each its own cross-entropy and its own acc_<name>.",
     data_shapes, shapes_options, &shapes_n_options,
     "shapes = cl.data.shapes { train = 100, test = 20 }"},
    {"cl.data.make", "(images, labels, name)",
     "A data set from tensors: images u8 [N,height,width], labels i32 [N] from 0 on.",
     data_make, NULL, NULL, NULL},
    {"dataset:range", "(first, last)",
     "Examples first to last, counted from 1; shares memory.", dataset_range_fn, NULL,
     NULL, NULL},
    {"dataset:split", "(n, seed = 0)",
     "Two disjoint data sets: n examples drawn by the seed, and the rest.",
     dataset_split_fn, NULL, NULL, NULL},
    {"dataset:pixels", "(n)",
     "Pixels of the first n examples (all by default), scaled to 0..1, f32 [n, "
     "height*width].",
     dataset_pixels, NULL, NULL, NULL},
    {"dataset:second_moment", "(noise = 0, share = 0.5)",
     "E[x x^T] of the pixels in 0..1 plus share * noise^2 on the diagonal, f64: the "
     "metric of the "
     "data that a network saw when a share of its examples carried Gaussian noise of "
     "that std.",
     dataset_moment_fn, NULL, NULL, NULL},
    {"cl.sampler", "(dataset or count, { batch = 512, seed = 1, shuffle = true })",
     "Batches of example indices (i32, from 0) for step:run and cl.batch_u8.",
     cl_sampler, sampler_options, &n_sampler_options, NULL},
    {"cl.data.shards",
     "(pattern, { batch = 512, window = 16384, seed = 1, shuffle = true })",
     "Rows in many .npy or .safetensors files (\"acts/*.npy\", or a folder), such as "
     "stored "
     "activations: streamed in windows, so that memory does not grow with the files. "
     "Shuffled, the "
     "files come in an order of (seed, epoch) and the rows within each window too; a "
     "window of all rows has the order of examples in memory. A file that is written to "
     "after this is an error. Has rows, files, row_shape, epoch and position.",
     lb_data_shards, shards_options, &shards_n_options,
     "for x in cl.data.shards(\"acts\"):batches() do print(x:mean()) end"},
    {"shards:next", "()",
     "The next batch f32 [batch, ...]; nil at the end of an epoch, after which the "
     "next begins.",
     lb_shards_next, NULL, NULL, NULL},
    {"shards:load", "(rows = all)",
     "The first rows of a whole epoch as one tensor in memory, for what needs them "
     "together, such as cl.decomp.sae.",
     lb_shards_load, NULL, NULL, "x = cl.data.shards(\"acts\"):load(50000)"},
    {"shards:batches", "()", "A loop over one whole epoch; one that was begun is left.",
     lb_shards_batches, NULL, NULL, NULL},
    {"shards:seek", "(epoch, position)",
     "Goes to a state that epoch and position gave; the batches go on as they would "
     "have.",
     lb_shards_seek, NULL, NULL, NULL},
    {"sampler:next", "()",
     "The next batch of indices; nil at the end of an ordered pass.", sampler_next_fn,
     NULL, NULL, NULL},
};
const size_t lb_n_data_fns = ARRAY_LEN(lb_data_fns);

void lb_open_data(lua_State *L)
{
    static const luaL_Reg events[] = {{"__index", dataset_index},
                                      {"__len", dataset_len},
                                      {"__tostring", dataset_tostring},
                                      {NULL, NULL}};
    lb_open_shards(L);
    lb_class(L, LB_DATA, dataset_gc);
    luaL_getmetatable(L, LB_DATA);
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    luaL_setfuncs(L, events, 0);
    lua_pop(L, 1);
    lb_class(L, LB_SAMPLER, sampler_gc);
}
