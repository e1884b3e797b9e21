/* lb_network.c -- what goes on inside a network (logits, sites, hooks), networks
 * defined by a script, and networks that come from other programs. C code that builds
 * graphs calls back into Lua here. It knows a function only as an Anchor: a userdata
 * that holds the function as its user value and is found again by its address in a
 * table with weak values, so that whoever needs the function keeps it alive and nothing
 * else does. The call itself goes through lb_build(), which lets no error past. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lab/heads.h"
#include "lab/sites.h"
#include "lab/train.h"
#include "model/custom.h"
#include "model/rows.h"
#include "script/lb_objects.h"

typedef struct Anchor {
    Lb *lb;
} Anchor;

/* Pushes an anchor of the function at arg. */
static Anchor *push_anchor(lua_State *L, int arg)
{
    arg = lua_absindex(L, arg);
    Anchor *a = lua_newuserdatauv(L, sizeof *a, 1);
    a->lb = lb_of(L);
    lua_pushvalue(L, arg);
    lua_setiuservalue(L, -2, 1);
    if (!luaL_getsubtable(L, LUA_REGISTRYINDEX, "cleave.anchors")) {
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, a);
    lua_pop(L, 1);
    return a;
}

static void push_anchored(lua_State *L, const Anchor *a)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "cleave.anchors");
    lua_rawgetp(L, -1, a);
    lua_getiuservalue(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* --- hooks ------------------------------------------------------------------------ */

typedef struct HookCall {
    const Anchor *anchor;
    const char *site;
    Val v;
} HookCall;

static int hook_body(lua_State *L)
{
    HookCall *c = lua_touserdata(L, 1);
    push_anchored(L, c->anchor);
    lua_pushstring(L, c->site);
    lb_push_sym(L, lb_of(L)->trace, c->v);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1))
        c->v = lb_any_val(L, lua_gettop(L), "hook: the result");
    return 0;
}

/* A SiteHook: the function's result, or the value itself when it returns nothing. */
static Val run_hook(Graph *g, const char *site, Val v, void *ctx)
{
    HookCall c = {.anchor = ctx, .site = site, .v = v};
    lb_build(c.anchor->lb, g, hook_body, &c);
    return graph_ok(g) ? c.v : VAL_NONE;
}

/* Reads { hook = function } at arg; pushes the anchor (or nil) and returns it. */
static Anchor *check_hook(lua_State *L, int arg, const char *where)
{
    lb_take_option(L, arg, "hook");
    lb_options(L, arg, where, NULL, 0, NULL);
    if (lua_isnil(L, -1))
        return NULL;
    if (!lua_isfunction(L, -1))
        lb_error(L, ERR_OPTION, "%s: hook must be a function(site, value), got a %s",
                 where, luaL_typename(L, -1));
    return push_anchor(L, -1);
}

/* --- passes ----------------------------------------------------------------------- */

/* The data set or tensor at argument 2 into p; a converted tensor stays on the stack.
 * */
static void check_input(lua_State *L, SitePass *p)
{
    Err err;
    LTensor *x = lb_test_tensor(L, 2);
    if (!x) {
        p->data = lb_check_dataset(L, 2);
        return;
    }
    lb_check_readable(L, x, "the inputs of a network");
    LTensor *in = lb_push_tensor(L);
    if (!tensor_convert(&x->t, F32, &in->t, &err))
        lb_raise(L, &err);
    p->x = &in->t;
}

static int run_pass(lua_State *L, SitePass *p, Anchor *hook)
{
    Err err;
    p->hook = hook ? run_hook : NULL;
    p->ctx = hook;
    LTensor *out = lb_push_tensor(L);
    if (!site_pass(p, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int model_logits_fn(lua_State *L)
{
    SitePass p = {.model = lb_check_model(L, 1)->m};
    lua_settop(L, 3);
    Anchor *hook = check_hook(L, 3, "net:logits");
    check_input(L, &p);
    return run_pass(L, &p, hook);
}

static int model_activations_fn(lua_State *L)
{
    SitePass p = {.model = lb_check_model(L, 1)->m, .site = luaL_checkstring(L, 3)};
    lua_settop(L, 4);
    Anchor *hook = check_hook(L, 4, "net:activations");
    check_input(L, &p);
    return run_pass(L, &p, hook);
}

static int model_accuracy_fn(lua_State *L)
{
    Err err;
    HeadScore score;
    SitePass p = {.model = lb_check_model(L, 1)->m, .data = lb_check_dataset(L, 2)};
    lua_settop(L, 3);
    Anchor *hook = check_hook(L, 3, "net:accuracy");
    run_pass(L, &p, hook);
    if (!heads_score(p.data, &lb_check_tensor(L, -1)->t, &score, &err))
        return lb_raise(L, &err);
    lua_pushnumber(L, score.joint);
    lua_pushnumber(L, score.nll);
    if (p.data->n_heads == 0)
        return 2;
    lua_createtable(L, 0, p.data->n_heads);
    for (int h = 0; h < p.data->n_heads; h++) {
        lua_pushnumber(L, score.acc[h]);
        lua_setfield(L, -2, p.data->head_name[h]);
    }
    return 3;
}

/* Inside a compiled function: x [B,I] -> logits [B,C]. */
static int model_forward_fn(lua_State *L)
{
    LModel *m = lb_check_model(L, 1);
    LSym *x = lb_test_sym(L, 2);
    Lb *lb = lb_of(L);
    lua_settop(L, 3);
    if (!lb->trace || !x)
        return lb_error(L, ERR_STATE,
                        "net:forward works on a symbol inside cl.compile; outside, "
                        "net:logits takes a data set or a tensor");
    Anchor *hook = check_hook(L, 3, "net:forward");
    Graph *g = trace_graph(lb->trace);
    Val in = lb_sym_val(L, x);
    if (hook)
        graph_set_hook(g, run_hook, hook);
    Val y = model_forward(m->m, g, in);
    if (hook)
        graph_set_hook(g, NULL, NULL);
    lb_graph_check(L);
    lb_push_sym(L, lb->trace, y);
    return 1;
}

/* Names and shapes are kept in C until the list is complete: pushing may raise. */
typedef struct SiteList {
    Str names; /* each with its NUL */
    int n;
} SiteList;

static void add_site(void *ctx, const char *site, const Spec *s)
{
    SiteList *list = ctx;
    (void)s;
    str_addn(&list->names, site, strlen(site) + 1);
    list->n++;
}

static int model_sites_fn(lua_State *L)
{
    Err err;
    LModel *m = lb_check_model(L, 1);
    Str *names = lb_push_str(L);
    SiteList list = {.names = *names};
    bool ok = site_list(m->m, add_site, &list, &err);
    *names = list.names;
    if (!ok || !str_ok(names, &err))
        return lb_raise(L, &err);
    lua_createtable(L, list.n, 0);
    const char *name = names->s;
    for (int i = 1; i <= list.n; i++, name += strlen(name) + 1) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* --- networks of a script --------------------------------------------------------- */

typedef struct CustomOpt {
    int64_t input, classes, seed;
    char init[OPT_STR_CAP];
} CustomOpt;
static const OptRow custom_options[] = {
    {"input", OPT_INT, offsetof(CustomOpt, input), "784", 1, MODEL_MAX_SIZE, NULL,
     "Input values, pixels of an image."},
    {"classes", OPT_INT, offsetof(CustomOpt, classes), "10", 1, MODEL_MAX_SIZE, NULL,
     "Outputs."},
    {"seed", OPT_INT, offsetof(CustomOpt, seed), "1", 0, 1e15, NULL,
     "Of the first values of parameters that are given as shapes."},
    {"init", OPT_ENUM, offsetof(CustomOpt, init), "pytorch", 0, 0, CUSTOM_INITS,
     "Their distribution, where a parameter names none: fan_in is the product of all "
     "sizes but the first; pytorch leaves parameters of one axis 0."},
};
static const size_t n_custom_options = ARRAY_LEN(custom_options);

typedef struct ForwardCall {
    const Anchor *anchor;
    const Model *model;
    Val x, out;
} ForwardCall;

/* function(parameters, x, site) */
static int forward_body(lua_State *L)
{
    ForwardCall *c = lua_touserdata(L, 1);
    const TensorSet *params = c->model->params;
    push_anchored(L, c->anchor);
    lua_createtable(L, 0, tset_count(params));
    for (int i = 0; i < tset_count(params); i++) {
        lb_push_param(L, params, i);
        lua_setfield(L, -2, tset_name(params, i));
    }
    lb_push_sym(L, lb_of(L)->trace, c->x);
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    lua_getfield(L, -1, "site");
    lua_remove(L, -2);
    lua_call(L, 3, 1);
    c->out = lb_any_val(L, lua_gettop(L), "cl.model.custom: the result of forward");
    return 0;
}

static Val custom_forward(void *ctx, Model *m, Graph *g, Val x)
{
    ForwardCall c = {.anchor = ctx, .model = m, .x = x, .out = VAL_NONE};
    lb_build(c.anchor->lb, g, forward_body, &c);
    return graph_ok(g) ? c.out : VAL_NONE;
}

/* The parameter at the stack top: a tensor, or { sizes..., init = .., scale = .. }. */
static void add_param(lua_State *L, Model *m, const char *name, const CustomOpt *o)
{
    Err err;
    int64_t dim[MAX_DIM];
    LTensor *t = lb_test_tensor(L, -1);
    int spec = lua_gettop(L);
    if (t) {
        if (!model_custom_add(m, name, &t->t, &err))
            lb_raise(L, &err);
        return;
    }
    if (!lua_istable(L, spec))
        lb_error(L, ERR_OPTION,
                 "cl.model.custom: parameter '%s' must be a tensor or a shape such "
                 "as { 64, 784, init = \"normal\" }, got a %s",
                 name, luaL_typename(L, spec));
    lua_pushnil(L);
    while (lua_next(L, spec)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (key && strcmp(key, "init") && strcmp(key, "scale"))
            lb_error(L, ERR_OPTION,
                     "cl.model.custom: parameter '%s' has the unknown option '%s'; "
                     "there are init and scale",
                     name, key);
        lua_pop(L, 1);
    }
    int n = lb_check_shape(L, spec, dim);
    lua_getfield(L, spec, "scale");
    if (!lua_isnil(L, -1) && !lua_isnumber(L, -1))
        lb_error(L, ERR_OPTION,
                 "cl.model.custom: scale of parameter '%s' must be a number, not a %s",
                 name, luaL_typename(L, -1));
    double scale = lua_tonumber(L, -1);
    lua_getfield(L, spec, "init");
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
        lb_error(L, ERR_OPTION,
                 "cl.model.custom: init of parameter '%s' must be a text such as "
                 "\"normal\", not a %s",
                 name, luaL_typename(L, -1));
    const char *init = lua_isnil(L, -1) ? o->init : lua_tostring(L, -1);
    if (!model_custom_draw(m, name, n, dim, init, scale, (uint64_t)o->seed, &err))
        lb_raise(L, &err);
    lua_settop(L, spec);
}

/* No two sites of one name: a hook or model:activations could not tell them apart. */
static void check_sites(lua_State *L, Model *m)
{
    Err err;
    Str *names = lb_push_str(L);
    SiteList list = {.names = *names};
    bool ok = site_list(m, add_site, &list, &err);
    *names = list.names;
    if (!ok || !str_ok(names, &err))
        lb_raise(L, &err);
    const char *name = names->s;
    lua_newtable(L);
    for (int i = 0; i < list.n; i++, name += strlen(name) + 1) {
        if (lua_getfield(L, -1, name) != LUA_TNIL)
            lb_error(L, ERR_OPTION, "cl.model.custom: two sites are called '%s'", name);
        lua_pop(L, 1);
        lua_pushboolean(L, true);
        lua_setfield(L, -2, name);
    }
    lua_pop(L, 2);
}

static int new_custom(lua_State *L)
{
    enum { OPTIONS = 1, FORWARD, PARAMS };
    Err err;
    CustomOpt o;
    int n;
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    lua_settop(L, OPTIONS);
    lb_take_option(L, OPTIONS, "forward");
    lb_take_option(L, OPTIONS, "parameters");
    lb_options(L, OPTIONS, "cl.model.custom", custom_options, n_custom_options, &o);
    if (!lua_isfunction(L, FORWARD) || !lua_istable(L, PARAMS))
        return lb_error(L, ERR_OPTION,
                        "cl.model.custom: forward = function(p, x, site) and "
                        "parameters = { name = tensor or shape } are needed");
    const char **name = lb_sorted_names(L, PARAMS, "cl.model.custom: parameters", &n);
    Anchor *anchor = push_anchor(L, FORWARD);
    LModel *m = lb_push_model(L);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 2);
    CustomCfg cfg = {o.input, o.classes, custom_forward, anchor};
    if (!(m->m = model_custom_new(&cfg, &err)))
        return lb_raise(L, &err);
    int self = lua_gettop(L);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, PARAMS, name[i]);
        add_param(L, m->m, name[i], &o);
        lua_settop(L, self);
    }
    check_sites(L, m->m); /* mistakes show here, not in training */
    return 1;
}

/* --- networks of other programs --------------------------------------------------- */

/* One entry of `map` at the stack top: "name", or { "name", transpose = true }. */
static void read_source(lua_State *L, ImportName *to)
{
    int value = lua_gettop(L);
    const char *form =
        "cl.model.import: map takes [parameter] = \"name\" or { \"name\", "
        "transpose = true }";
    if (lua_type(L, -2) != LUA_TSTRING)
        lb_error(L, ERR_OPTION, "%s", form);
    to->param = lua_tostring(L, -2);
    if (lua_istable(L, value)) {
        lua_getfield(L, value, "transpose");
        to->transpose = lua_toboolean(L, -1);
        lua_rawgeti(L, value, 1);
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        lb_error(L, ERR_OPTION, "%s", form);
    to->source = lua_tostring(L, -1); /* stays alive in its table */
    lua_settop(L, value);
}

static int by_param(const void *a, const void *b)
{
    return strcmp(((const ImportName *)a)->param, ((const ImportName *)b)->param);
}

static ImportName *read_map(lua_State *L, int map, int *n)
{
    *n = 0;
    if (lua_isnil(L, map))
        return NULL;
    luaL_argcheck(L, lua_istable(L, map), 2, "map must be a table of names");
    lua_pushnil(L);
    for (; lua_next(L, map); lua_pop(L, 1))
        ++*n;
    ImportName *to = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *to, 0);
    memset(to, 0, ((size_t)*n + 1) * sizeof *to);
    int i = 0;
    lua_pushnil(L);
    for (; lua_next(L, map); lua_pop(L, 1))
        read_source(L, &to[i++]);
    qsort(to, (size_t)*n, sizeof *to, by_param);
    return to;
}

static const char **read_ignore(lua_State *L, int list, int *n)
{
    *n = 0;
    if (lua_isnil(L, list))
        return NULL;
    luaL_argcheck(L, lua_istable(L, list), 2, "ignore must be a list of names");
    *n = (int)lua_rawlen(L, list);
    const char **name = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *name, 0);
    for (int i = 0; i < *n; i++) {
        lua_rawgeti(L, list, i + 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.model.import: ignore is a list of names");
        name[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return name;
}

/* Tensors at argument `first`, options behind them; kind, map and ignore are taken out
 * to the three places that follow. */
static void take_import_options(lua_State *L, int first)
{
    int options = first + 1;
    lua_settop(L, options);
    if (lua_isnil(L, options)) {
        lua_newtable(L);
        lua_replace(L, options);
    }
    luaL_checktype(L, options, LUA_TTABLE);
    lb_take_option(L, options, "kind");
    lb_take_option(L, options, "map");
    lb_take_option(L, options, "ignore");
}

static void import_into(lua_State *L, Model *m, int first)
{
    Err err;
    ImportCfg cfg = {0};
    cfg.map = read_map(L, first + 3, &cfg.n_map);
    cfg.ignore = read_ignore(L, first + 4, &cfg.n_ignore);
    const TensorSet *from = lb_check_set(L, first, "cl.model.import");
    bool ok = model_import(m, from, &cfg, &err);
    lb_unguard(lua_touserdata(L, -1));
    if (!ok)
        lb_raise(L, &err);
}

static const ModelRow *check_kind(lua_State *L, int arg)
{
    const char *kind = lua_isnil(L, arg) ? "" : luaL_checkstring(L, arg);
    const ModelRow *row = model_row(kind);
    char list[160] = "";
    for (int i = 0; i < model_row_count() && !row; i++) {
        strncat(list, i ? " " : "", sizeof list - strlen(list) - 1);
        strncat(list, model_row_at(i)->name, sizeof list - strlen(list) - 1);
    }
    if (!row)
        lb_error(L, ERR_OPTION, "cl.model.import: kind must be one of %s, not '%s'",
                 list, kind);
    return row;
}

static int model_import_new(lua_State *L)
{
    take_import_options(L, 1);
    LModel *m = lb_make_model(L, 2, "cl.model.import", check_kind(L, 3));
    int self = lua_gettop(L);
    import_into(L, m->m, 1);
    lua_settop(L, self);
    return 1;
}

static int model_import_fn(lua_State *L)
{
    LModel *m = lb_check_model(L, 1);
    take_import_options(L, 2);
    if (!lua_isnil(L, 4))
        return lb_error(L, ERR_OPTION,
                        "net:import: kind is for cl.model.import; this network "
                        "is there already");
    lb_options(L, 3, "net:import", NULL, 0, NULL);
    import_into(L, m->m, 2);
    return 0;
}

const LbFn lb_network_fns[] = {
    {"model:forward", "(x, { hook = function(site, value) end })",
     "Inside a compiled function: logits [B,C] of x [B,I]. hook is called for every "
     "site and may return a value that takes its place.", model_forward_fn, NULL, NULL,
     NULL},
    {"model:logits", "(dataset or tensor, { hook = function(site, value) end })",
     "Logits f32 [N,C] of all examples of a data set, or of the rows of a tensor "
     "[N,I]. hook sees every site's name and symbolic value [B,...] while the pass is "
     "built, once for each block size, and may return a value that takes its place: "
     "ablation, splicing, steering.", model_logits_fn, NULL, NULL,
     "net:logits(x, { hook = function(s, v) if s == \"hidden\" then return v * 0 end "
     "end })"},
    {"model:accuracy", "(dataset, { hook = function(site, value) end })",
     "Accuracy (0 to 1) and mean negative log-likelihood (nats), with hooks as in "
     "logits.", model_accuracy_fn, NULL, NULL, NULL},
    {"model:activations",
     "(dataset or tensor, site, { hook = function(site, value) end })",
     "The value of a site for all examples, f32 [N,...], before a hook replaces it.",
     model_activations_fn, NULL, NULL, "h = net:activations(mnist.test, \"hidden\")"},
    {"model:sites", "()",
     "The names of the sites, in the order of the forward pass.", model_sites_fn, NULL,
     NULL, NULL},
    {"cl.model.custom",
     "({ parameters = { name = tensor or shape }, forward = function(p, x, site) end, "
     "... })",
     "A network of your own from ops: forward gets the parameters as states, the "
     "inputs x [B,input] and site(name, value), which names a value and returns it; "
     "it returns logits [B,classes]. A parameter is a tensor (copied) or a shape { "
     "64, 784, init = \"normal\", scale = 0.1 }. It trains, saves and takes hooks "
     "like the built-in ones; forward runs while a graph is built, so it must not "
     "depend on values. To load one, give cl.load(path) as parameters.", new_custom,
     custom_options, &n_custom_options, NULL},
    {"cl.model.import",
     "(tensors, { kind = \"mlp\", map = { [parameter] = name }, ignore = { name }, "
     "... })",
     "A network trained elsewhere: kind and its options make the network, each "
     "parameter is taken from the tensor of the same name or the one in map; { name, "
     "transpose = true } for weights kept as [in,out]. Every tensor must be used or "
     "ignored (\"optimizer.*\" ignores all that begin so), every shape must fit.",
     model_import_new, NULL, NULL,
     "net = cl.model.import(cl.load(\"net.pt\"), { kind = \"mlp\", map = { "
     "[\"fc1.weight\"] = \"0.weight\" } })"},
    {"model:import", "(tensors, { map = { [parameter] = name }, ignore = { name } })",
     "Overwrites the parameters of a network in place, as cl.model.import does.",
     model_import_fn, NULL, NULL, NULL},
};
const size_t lb_n_network_fns = ARRAY_LEN(lb_network_fns);
