/* lb_sae_stream.c -- what autoencoders are trained on in Lua: tensors, or files that are
 * read in windows. A stream is a userdata, so an error anywhere closes it. */
#include "script/lb_sae.h"

#define LB_STREAM "cleave.sae_stream"

typedef struct LStream {
    SaeStream *st;
} LStream;

static int stream_gc(lua_State *L)
{
    LStream *s = luaL_checkudata(L, 1, LB_STREAM);
    sae_stream_free(s->st);
    s->st = NULL;
    return 0;
}

void lb_open_streams(lua_State *L)
{
    lb_class(L, LB_STREAM, stream_gc);
}

LInput lb_check_input(lua_State *L, int arg, int y, const char *where)
{
    LInput in = {.files = lb_test_shards(L, arg), .targets = lb_test_shards(L, y)};
    bool target = !lua_isnil(L, y);
    if (target && !in.targets && !lb_test_tensor(L, y))
        lb_error(L, ERR_OPTION, "%s: target must be a tensor or files, not a %s", where,
                 luaL_typename(L, y));
    if (target && !in.files != !in.targets)
        lb_error(
            L, ERR_OPTION,
            "%s: activations and target must both be files (cl.data.shards) or both "
            "be tensors; shards:load() makes a tensor",
            where);
    if (!in.files) {
        in.x = lb_push_f32(L, arg, "the activations");
        in.y = target ? lb_push_f32(L, y, "target") : NULL;
    }
    return in;
}

void lb_open_input(lua_State *L, LInput *in, const SaeCfg *cfg)
{
    Err err;
    if (!in->files)
        return;
    LStream *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->st = NULL;
    luaL_setmetatable(L, LB_STREAM);
    if (!(s->st = sae_stream_open(in->files, in->targets, cfg, &err)))
        lb_raise(L, &err);
    in->stream = s->st;
}

Sae *lb_sae_on(const LInput *in, const SaeCfg *cfg, Err *err)
{
    return in->stream ? sae_new_from(cfg, sae_stream_source(in->stream), err)
                      : sae_new(cfg, in->x, in->y, err);
}

const TrainFeed *lb_input_feed(const LInput *in)
{
    return in->stream ? sae_stream_feed(in->stream) : NULL;
}
