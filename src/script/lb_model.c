/* lb_model.c -- networks and the trainer in Lua. cl.model.NAME comes from the rows
 * of models; parameters are states that share the network's memory. */
#include <string.h>

#include "base/intr.h"
#include "lab/train.h"
#include "model/rows.h"
#include "script/lb_dict.h"

LModel *lb_check_model(lua_State *L, int arg)
{
    LModel *m = luaL_checkudata(L, arg, LB_MODEL);
    luaL_argcheck(L, m->m, arg, "this network was closed");
    return m;
}

LModel *lb_push_model(lua_State *L)
{
    LModel *m = lua_newuserdatauv(L, sizeof *m, 2);
    memset(m, 0, sizeof *m);
    luaL_setmetatable(L, LB_MODEL);
    return m;
}

static int model_gc(lua_State *L)
{
    LModel *m = luaL_checkudata(L, 1, LB_MODEL);
    model_free(m->m);
    m->m = NULL;
    return 0;
}

LModel *lb_make_model(lua_State *L, int arg, const char *where, const ModelRow *row)
{
    Err err;
    void *cfg = lua_newuserdatauv(L, row->config_size, 0); /* scratch that Lua frees */
    memset(cfg, 0, row->config_size);
    lb_options(L, arg, where, row->options, row->n_options, cfg);
    LModel *m = lb_push_model(L);
    if (!(m->m = model_new(row, cfg, &err)))
        lb_raise(L, &err);
    return m;
}

static int new_bilinear(lua_State *L)
{
    lb_make_model(L, 1, "cl.model.bilinear", &model_bilinear);
    return 1;
}

/* hidden = 128 and hidden = { 500, 128 } are what the text "500,128" says. */
static void widths_as_text(lua_State *L, int arg, const char *where, const char *name)
{
    lua_settop(L, arg);
    lb_take_option(L, arg, name);
    if (lua_istable(L, -1)) {
        luaL_Buffer text;
        int list = lua_gettop(L);
        lua_Integer n = (lua_Integer)lua_rawlen(L, list);
        luaL_buffinit(L, &text);
        for (lua_Integer i = 1; i <= n; i++) {
            if (i > 1)
                luaL_addchar(&text, ',');
            lua_rawgeti(L, list, i);
            if (!lua_isinteger(L, -1))
                lb_error(L, ERR_OPTION, "%s: a list of '%s' holds widths", where, name);
            luaL_addvalue(&text);
        }
        luaL_pushresult(&text);
    } else if (lua_isinteger(L, -1)) {
        lua_tostring(L, -1);
    }
    if (!lua_isnil(L, -1))
        lua_setfield(L, arg, name);
    lua_settop(L, arg);
}

static int new_mlp(lua_State *L)
{
    widths_as_text(L, 1, "cl.model.mlp", "hidden");
    lb_make_model(L, 1, "cl.model.mlp", &model_mlp);
    return 1;
}

static int new_cnn(lua_State *L)
{
    static const char *const lists[] = {"conv", "hidden", "heads"};
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        widths_as_text(L, 1, "cl.model.cnn", lists[k]);
    lb_make_model(L, 1, "cl.model.cnn", &model_cnn);
    return 1;
}

static int load_model(lua_State *L)
{
    Err err;
    const char *path = luaL_checkstring(L, 1);
    LModel *m = lb_push_model(L);
    return model_load(path, &m->m, &err) ? 1 : lb_raise(L, &err);
}

static int model_save_fn(lua_State *L)
{
    Err err;
    return model_save(lb_check_model(L, 1)->m, luaL_checkstring(L, 2), &err)
               ? 0
               : lb_raise(L, &err);
}

void lb_push_param(lua_State *L, const TensorSet *set, int i)
{
    LTensor *t = lb_push_tensor(L);
    t->t = tensor_retain(tset_at(set, i));
    t->is_state = true;
    text_copy(t->name, sizeof t->name, tset_name(set, i));
}

static int model_params_fn(lua_State *L)
{
    LModel *m = lb_check_model(L, 1);
    int n = tset_count(m->m->params);
    lua_createtable(L, n, n);
    for (int i = 0; i < n; i++) {
        lb_push_param(L, m->m->params, i);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, tset_name(m->m->params, i));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int model_tostring(lua_State *L)
{
    LModel *m = luaL_checkudata(L, 1, LB_MODEL);
    if (!m->m) {
        lua_pushliteral(L, "closed network");
        return 1;
    }
    int64_t n = 0;
    for (int i = 0; i < tset_count(m->m->params); i++)
        n += tensor_count(tset_at(m->m->params, i));
    lua_pushfstring(L, "%s: %d inputs, %d outputs, %d parameters", m->m->row->name,
                    (int)model_in(m->m), (int)model_out(m->m), (int)n);
    return 1;
}

/* --- training --------------------------------------------------------------------- */

static bool on_metric(void *ctx, int64_t step, const char *const *names,
                      const double *v, int n, Err *err)
{
    Run *run = ctx;
    return !run || journal_metric(run_journal(run), step, names, v, n, err);
}

static bool on_progress(void *ctx, double done, double total, const char *text,
                        Err *err)
{
    Run *run = ctx;
    return !run || journal_progress(run_journal(run), done, total, text, err);
}

TrainHooks lb_fit_hooks(lua_State *L)
{
    return (TrainHooks){
        .ctx = lb_of(L)->run, .metric = on_metric, .progress = on_progress};
}

static void push_report(lua_State *L, const TrainReport *r)
{
    const struct {
        const char *name;
        double v;
    } numbers[] = {
        {"loss", r->loss},           {"test_acc", r->test_acc},
        {"test_loss", r->test_loss}, {"best_acc", r->best_acc},
        {"seconds", r->seconds},     {"steps_per_second", r->steps_per_second}};
    lua_createtable(L, 0, 9);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        lua_pushnumber(L, numbers[i].v);
        lua_setfield(L, -2, numbers[i].name);
    }
    lua_pushinteger(L, r->steps);
    lua_setfield(L, -2, "steps");
    lua_pushinteger(L, r->epochs);
    lua_setfield(L, -2, "epochs");
    lua_pushboolean(L, r->interrupted);
    lua_setfield(L, -2, "interrupted");
}

static int cl_train(lua_State *L)
{
    Err err;
    TrainCfg cfg;
    TrainReport report;
    LModel *m = lb_check_model(L, 1);
    lua_settop(L, 3);
    lb_options(L, 3, "cl.train", train_options, train_n_options, &cfg);
    Dataset *train, *test = NULL;
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "train");
        lua_getfield(L, 2, "test");
        if (!luaL_testudata(L, 4, LB_DATA) ||
            (!lua_isnil(L, 5) && !luaL_testudata(L, 5, LB_DATA)))
            return lb_error(
                L, ERR_OPTION,
                "cl.train: the second argument is a data set or "
                "{ train = dataset, test = dataset }, test may be left out");
        train = lb_check_dataset(L, 4);
        if (!lua_isnil(L, 5))
            test = lb_check_dataset(L, 5);
    } else {
        train = lb_check_dataset(L, 2);
        lua_pushvalue(L, 2);
    }
    TrainHooks hooks = lb_fit_hooks(L);
    if (!train_model(m->m, train, test, &cfg, &hooks, &report, &err))
        return lb_raise(L, &err);
    m->noise = cfg.noise;
    m->noise_share = cfg.noise_share;
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, 1, 1);
    if (report.interrupted && intr_pending()) /* stop_at is no reason to raise */
        return lb_error(L, ERR_INTERRUPT, "interrupted");
    push_report(L, &report);
    return 1;
}

/* The rows' option tables are known when the program is linked, but their sizes are not
 * constants of this file: installed and documented through pointers. */
const LbFn lb_model_fns[] = {
    {"cl.model.bilinear", "({ embed = 96, hidden = 256, seed = 1, ... })",
     "A bilinear classifier (Pearce et al. 2024, arXiv 2410.08417): z = We x, logits = "
     "Wu ((Wl z) * "
     "(Wr z)) + b. Without the bias each logit is exactly x^T B_c x, so the weights "
     "can be taken "
     "apart by linear algebra.",
     new_bilinear, NULL, NULL, "net = cl.model.bilinear { seed = 1 }"},
    {"cl.model.mlp", "({ hidden = 128, activation = \"relu\", ... })",
     "A multilayer perceptron with ReLU, exact GELU or GeGLU. hidden is also a number or a "
     "list: 128, { 500, 128 }.",
     new_mlp, NULL, NULL, "net = cl.model.mlp { hidden = 128 }"},
    {"cl.model.cnn", "({ conv = { 8, 16 }, hidden = 64, ... })",
     "Convolutions, each with an activation and a pool, then a fully connected head. "
     "Images are rows of channels * height * width values, as data sets have them; "
     "conv, hidden and heads are lists. Sites conv1.in, conv1.pre, conv1.act, "
     "conv1.pool are [B,channels,rows,columns]. heads = { 3, 3, 3 }: three groups of "
     "outputs, for data sets with three heads.",
     new_cnn, NULL, NULL,
     "net = cl.model.cnn { channels = 3, height = 32, width = 32, heads = { 3, 3, 3 } }"},
    {"cl.model.load", "(path)", "A network saved by net:save().", load_model, NULL,
     NULL, NULL},
    {"model:save", "(path)", "Writes parameters and settings as .safetensors.",
     model_save_fn, NULL, NULL, NULL},
    {"model:parameters", "()",
     "The parameters as states, by position and by name; they share the network's "
     "memory.",
     model_params_fn, NULL, NULL, NULL},
    {"cl.train",
     "(net, { train = dataset, test = dataset }, { epochs = 8, noise = 0.55, ... })",
     "Trains a network in place with cross-entropy. noise is the std of Gaussian noise "
     "added to every "
     "pixel of a share of the examples. Returns loss, test_acc, test_loss, best_acc, "
     "steps, "
     "seconds. Progress and metrics go to the run. An interrupt leaves the parameters "
     "of the last whole "
     "step.",
     cl_train, train_options, &train_n_options,
     "cl.train(net, mnist, { epochs = 8, noise = 0.55 })"},
};
const size_t lb_n_model_fns = ARRAY_LEN(lb_model_fns);

void lb_open_model(lua_State *L)
{
    lb_class(L, LB_MODEL, model_gc);
    luaL_getmetatable(L, LB_MODEL);
    lua_pushcfunction(L, model_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
