/* lb_runs.c -- runs as Lua rows, and claims. What `cleave runs` shows as a table is
 * a list of tables here, with the same keys, filters, order and groups. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "lab/ledger.h"
#include "lab/runs.h"
#include "lab/spread.h"
#include "script/lb_plot.h"

typedef struct RunsCfg {
    char folder[OPT_STR_CAP], where[OPT_STR_CAP], sort[OPT_STR_CAP], group[OPT_STR_CAP],
        baseline[OPT_STR_CAP];
} RunsCfg;
static const OptRow runs_options[] = {
    {"folder",   OPT_STR, offsetof(RunsCfg, folder),   "", 0, 0, NULL,
     "Folder of the runs; empty: the one this run is in, else $CLEAVE_RUNS, else "
     "runs."                                                                },
    {"where",    OPT_STR, offsetof(RunsCfg, where),    "", 0, 0, NULL,
     "Filters between blanks, as \"rank>=64 state=done name~two\"."         },
    {"sort",     OPT_STR, offsetof(RunsCfg, sort),     "", 0, 0, NULL,
     "Key to sort by; \"-acc\" from the largest down; empty: by start."     },
    {"group",    OPT_STR, offsetof(RunsCfg, group),    "", 0, 0, NULL,
     "Keys as \"lr,rank\": one row a group instead of one a run."           },
    {"baseline", OPT_STR, offsetof(RunsCfg, baseline), "", 0, 0, NULL,
     "With group: \"key=value\" of the group that others are compared with."},
};
static const size_t n_runs_options = ARRAY_LEN(runs_options);

static void release_runs(void *p)
{
    runs_close(p);
    mem_free(p);
}

static void release_groups(void *p)
{
    runs_groups_done(p);
    mem_free(p);
}

static void release_json(void *p)
{
    json_decref(p);
}

/* The folder that holds this run's, if there is one. */
static const char *default_folder(const Lb *lb, char *dst, size_t cap)
{
    if (!lb->run || !text_copy(dst, cap, run_dir(lb->run)))
        return runs_root("");
    char *slash = strrchr(dst, '/');
    if (!slash)
        return ".";
    *(slash == dst ? slash + 1 : slash) = '\0';
    return dst;
}

static void push_plain(lua_State *L, const json_t *v)
{
    const char *s = json_string_value(v);
    double special = jval_to_number(v, 0);
    if (json_is_integer(v))
        lua_pushinteger(L, (lua_Integer)json_integer_value(v));
    else if (json_is_real(v) || (s && !isfinite(special)))
        lua_pushnumber(L, json_is_real(v) ? json_real_value(v) : special);
    else if (s)
        lua_pushlstring(L, s, json_string_length(v));
    else if (json_is_boolean(v))
        lua_pushboolean(L, json_is_true(v));
    else
        lua_pushnil(L);
}

/* One flat table; a field of the run hides a setting of its name, and so on
 * downwards. */
static void push_row(lua_State *L, const RunRow *row)
{
    static const char *const sections[] = {"metric", "result", "settings", "run"};
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const char *key;
        json_t *v;
        json_object_foreach(json_object_get(row->info, sections[i]), key, v)
        {
            push_plain(L, v);
            lua_setfield(L, -2, key);
        }
    }
    lua_pushstring(L, row->dir);
    lua_setfield(L, -2, "dir");
}

static void set_spread(lua_State *L, const char *key, const char *suffix,
                       const Spread *d)
{
    char name[320];
    snprintf(name, sizeof name, "%s%s", key, suffix);
    lua_pushnumber(L, d->mean);
    lua_setfield(L, -2, name);
    snprintf(name, sizeof name, "%s%s_half", key, suffix);
    lua_pushnumber(L, d->half);
    lua_setfield(L, -2, name);
}

/* Fills the table on top with a group's numbers. */
static void set_group(lua_State *L, const Runs *r, const RunGroup *g,
                      const RunGroup *base, const json_t *keys)
{
    Err err;
    size_t i;
    json_t *v;
    json_array_foreach(keys, i, v)
    {
        const char *key = json_string_value(v), *name = strchr(key, '.') + 1;
        Spread d;
        if (!runs_spread(r, g, key, &d, &err))
            lb_raise(L, &err);
        if (d.n > 0)
            set_spread(L, name, "", &d);
        if (!base || base == g)
            continue;
        if (!runs_difference(r, g, base, key, &d, &err))
            lb_raise(L, &err);
        if (d.n > 0)
            set_spread(L, name, "_diff", &d);
    }
}

static int push_groups(lua_State *L, const Runs *r, const RunsCfg *c)
{
    Err err;
    LbGuard *hold = lb_push_guard(L, release_groups),
            *keep = lb_push_guard(L, release_json);
    RunGroups *g = hold->p = mem_zalloc(sizeof *g, &err);
    if (!g || !runs_group(r, c->group, g, &err))
        return lb_raise(L, &err);
    int base = c->baseline[0] ? runs_baseline(r, g, c->baseline, &err) : -1;
    if (c->baseline[0] && base < 0)
        return lb_raise(L, &err);
    json_t *all = keep->p = json_array(), *result = runs_keys(r, "metric");
    json_array_extend(all, result);
    json_decref(result);
    result = runs_keys(r, "result"); /* later ones win where names are the same */
    json_array_extend(all, result);
    json_decref(result);
    lua_createtable(L, (int)g->n, 0);
    for (size_t i = 0; i < g->n; i++) {
        const char *key;
        json_t *v;
        lua_newtable(L);
        set_group(L, r, &g->group[i], base < 0 ? NULL : &g->group[base], all);
        lua_pushinteger(L, (lua_Integer)g->group[i].n);
        lua_setfield(L, -2, "runs");
        lua_pushinteger(L, (lua_Integer)g->group[i].seeds);
        lua_setfield(L, -2, "seeds");
        json_object_foreach(g->group[i].label, key, v)
        {
            push_plain(L, v);
            lua_setfield(L, -2, key);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lb_unguard(hold);
    lb_unguard(keep);
    return 1;
}

static void filter(lua_State *L, Runs *r, char *where)
{
    enum { CAP = 32 };
    const char *terms[CAP];
    size_t n = 0;
    Err err;
    for (char *s; (s = strsep(&where, " ")) != NULL;) {
        if (s[0] && n == CAP)
            lb_error(L, ERR_OPTION, "cl.runs: at most %d filters", CAP);
        if (s[0])
            terms[n++] = s;
    }
    if (!runs_filter(r, terms, n, &err))
        lb_raise(L, &err);
}

static int cl_runs(lua_State *L)
{
    Err err;
    RunsCfg c;
    char folder[OPT_STR_CAP * 4];
    lua_settop(L, 1);
    lb_options(L, 1, "cl.runs", runs_options, n_runs_options, &c);
    LbGuard *hold = lb_push_guard(L, release_runs);
    Runs *r = hold->p = mem_zalloc(sizeof *r, &err);
    const char *root =
        c.folder[0] ? c.folder : default_folder(lb_of(L), folder, sizeof folder);
    if (!r || !runs_open(root, r, &err))
        return lb_raise(L, &err);
    filter(L, r, c.where);
    if (c.sort[0] && !runs_sort(r, c.sort, &err))
        return lb_raise(L, &err);
    if (c.baseline[0] && !c.group[0])
        return lb_error(L, ERR_OPTION, "cl.runs: baseline needs group");
    if (c.group[0]) {
        push_groups(L, r, &c);
    } else {
        lua_createtable(L, (int)r->n, 0);
        for (size_t i = 0; i < r->n; i++) {
            push_row(L, &r->row[i]);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
    }
    lb_unguard(hold);
    return 1;
}

/* --- claims ----------------------------------------------------------------------- */

/* interval = 0.01 (half its width) or { lo, hi }; false when there is none. */
static bool read_interval(lua_State *L, double value, double *lo, double *hi)
{
    if (!lua_istable(L, 3) || lua_getfield(L, 3, "interval") == LUA_TNIL)
        return false;
    if (lua_isnumber(L, -1)) {
        double half = fabs(lua_tonumber(L, -1));
        *lo = value - half;
        *hi = value + half;
        return true;
    }
    bool table = lua_istable(L, -1);
    if (table) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
    }
    if (!table || !lua_isnumber(L, -2) || !lua_isnumber(L, -1))
        lb_error(L, ERR_OPTION,
                 "interval must be a number, half its width, or two numbers { lo, hi "
                 "}");
    *lo = lua_tonumber(L, -2);
    *hi = lua_tonumber(L, -1);
    return true;
}

static int cl_claim(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    LTensor *t = lb_test_tensor(L, 2);
    bool is_flag = lua_isboolean(L, 2);
    double value = is_flag                         ? lua_toboolean(L, 2)
                   : t && tensor_count(&t->t) == 1 ? tensor_item(&t->t)
                                                   : luaL_checknumber(L, 2);
    double lo = value, hi = value;
    lua_settop(L, 3);
    if (!read_interval(L, value, &lo, &hi) && !is_flag)
        ledger_interval(value, lua_isinteger(L, 2), &lo, &hi);
    if (!(lo <= value && value <= hi))
        return lb_error(L, ERR_OPTION, "cl.claim: %g is not between %g and %g", value,
                        lo, hi);
    json_t *claim = json_pack("{s:o,s:o,s:o,s:o,s:b}", "text", jval_text(text, n),
                              "value", jval_number(value), "lo", jval_number(lo), "hi",
                              jval_number(hi), "flag", is_flag);
    if (!lb->run)
        json_decref(claim);
    else if (!run_append(lb->run, "claims", claim, &err))
        return lb_raise(L, &err);
    lua_settop(L, 2);
    return 1;
}

/* cl.spread(values, digits) */
static int cl_spread(lua_State *L)
{
    int64_t n;
    char text[96];
    lua_settop(L, 2);
    lua_Integer digits = luaL_optinteger(L, 2, 3);
    luaL_argcheck(L, digits >= 0 && digits <= 17, 2, "decimals, 0 to 17");
    if (lua_isnil(L, 1))
        return luaL_argerror(L, 1, "a list of numbers or a tensor");
    const double *v = lb_push_numbers(L, 1, "cl.spread: the values", &n);
    Spread s = spread_of(v, (size_t)n);
    bool wide = s.n > 1;
    snprintf(text, sizeof text, wide ? "%.*f ± %.*f" : "%.*f", (int)digits, s.mean,
             (int)digits, s.half);
    const struct {
        const char *name;
        double v;
        bool known;
    } field[] = {{"mean", s.mean, s.n > 0},
                 {"half", s.half, wide},
                 {"lo", s.mean - s.half, wide},
                 {"hi", s.mean + s.half, wide},
                 {"n", (double)s.n, true}};
    lua_createtable(L, 0, 6);
    for (size_t i = 0; i < ARRAY_LEN(field); i++) {
        if (!field[i].known)
            continue;
        lua_pushnumber(L, field[i].v);
        lua_setfield(L, -2, field[i].name);
    }
    lua_pushstring(L, s.n > 0 ? text : "-");
    lua_setfield(L, -2, "text");
    return 1;
}

// clang-format off: rows of unequal length
const LbFn lb_runs_fns[] = {
    {"cl.runs", "({ where = text, sort = key, ... })",
     "The runs of a folder as a list of flat rows: fields of the run (id, dir, name, "
     "state, start, seconds ...), settings, values of the result, last metrics. With "
     "group, one row a group: its keys, runs, seeds, and for every number its mean over "
     "seeds and half the width of the 95 % interval (acc, acc_half); with baseline also "
     "the paired difference (acc_diff, acc_diff_half).",
     cl_runs, runs_options, &n_runs_options,
     "cl.show(cl.table(cl.runs { where = \"state=done\" }, "
     "{ columns = { \"id\", \"seconds\" } }))"},
    {"cl.claim", "(text, value, { interval = half or { lo, hi } })",
     "States a number (or a boolean) in the claim ledger of report.md, where `cleave "
     "verify` looks whether running the command again gives a value within the interval. "
     "Without one the interval is one unit of the fourth significant digit each way, and "
     "integers and booleans have to be the same. Numbers of the result and checks are "
     "claimed without this. Returns value.",
     cl_claim, NULL, NULL,
     "cl.claim(\"test accuracy\", 0.97, { interval = 0.002 })"},
    {"cl.spread", "(values, digits = 3)",
     "Mean and 95 % interval (Student's t) of what runs over seeds gave, a list or a "
     "tensor: mean, half, lo, hi, n, and text (\"0.975 ± 0.002\", digits decimals). With "
     "one value there is no half, lo and hi. Values that are not finite are left out.",
     cl_spread, NULL, NULL, "cl.spread({ 0.97, 0.98, 0.975 }).text"},
};
// clang-format on
const size_t lb_n_runs_fns = ARRAY_LEN(lb_runs_fns);
