/* lb_study.c -- families of dictionaries, the runs of the published study, and what is
 * asked of dictionaries afterwards. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/family.h"
#include "lab/fit.h"
#include "script/lb_dict.h"

/* --- families --------------------------------------------------------------------- */

static const PublishedRow *published_row(const char *name)
{
    for (size_t k = 0; k < published_n_rows; k++)
        if (!strcmp(published_rows[k].name, name))
            return &published_rows[k];
    return NULL;
}

/* The text at `key` of the option table at arg, "" if absent; stays on the stack. */
static const char *text_option(lua_State *L, int arg, const char *key)
{
    if (!lua_istable(L, arg))
        return "";
    return lua_getfield(L, arg, key) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

/* Settings in the order of their weight: of the family, of the published run, given. */
static void family_settings(lua_State *L, FamilyCfg *cfg)
{
    Err err;
    const char *family = text_option(L, 2, "family");
    const char *preset = text_option(L, 2, "preset");
    const PublishedRow *row = preset[0] ? published_row(preset) : NULL;
    if (preset[0] && !row)
        lb_error(L, ERR_OPTION,
                 "cl.decomp.fit: there is no published run '%s'; see "
                 "cl.decomp.published()",
                 preset);
    if (!family[0])
        family = row ? row->family : "cp";
    if (!family_defaults(family, cfg, &err) ||
        (row && !family_set(cfg, row->settings, row->name, &err)))
        lb_raise(L, &err);
    lua_settop(L, 2);
    lb_take_option(L, 2, "preset");
    lua_settop(L, 2);
    if (lua_isnil(L, 2))
        return;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        OptValue v = {.type = OPT_STR};
        if (lua_isboolean(L, -1)) {
            v = (OptValue){.type = OPT_BOOL, .b = lua_toboolean(L, -1)};
        } else if (lua_isinteger(L, -1)) {
            v = (OptValue){.type = OPT_INT, .i = lua_tointeger(L, -1)};
        } else if (lua_type(L, -1) == LUA_TNUMBER) {
            v = (OptValue){.type = OPT_NUM, .f = lua_tonumber(L, -1)};
        } else {
            v.s = luaL_checkstring(L, -1);
        }
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.decomp.fit: settings have names");
        if (!opt_set(family_options, family_n_options, cfg, lua_tostring(L, -2), &v,
                     "cl.decomp.fit", &err))
            lb_raise(L, &err);
    }
}

static int decomp_fit(lua_State *L)
{
    Err err;
    FamilyCfg cfg;
    LInter *b = lb_check_inter(L, 1);
    lua_settop(L, 2);
    family_settings(L, &cfg);
    lua_settop(L, 1);
    DictData data = lb_data_of(b);
    if (family_needs_examples(&cfg) || !strcmp(cfg.family, "data_anchors"))
        lb_distill_examples(L, b, cfg.examples, &data);
    LDict *out = lb_push_dict(L, 1);
    TrainHooks hooks = lb_fit_hooks(L);
    if (!fit_family(&cfg, &b->b, &data, &hooks, &out->d, &out->report, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return lb_interrupted_after(L, &out->report);
}

static int decomp_families(lua_State *L)
{
    lua_createtable(L, (int)family_n_rows, 0);
    for (size_t k = 0; k < family_n_rows; k++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, family_rows[k].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, family_rows[k].doc);
        lua_setfield(L, -2, "doc");
        lua_pushstring(L, family_rows[k].settings);
        lua_setfield(L, -2, "settings");
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int decomp_published(lua_State *L)
{
    lua_createtable(L, (int)published_n_rows, 0);
    for (size_t k = 0; k < published_n_rows; k++) {
        const PublishedRow *p = &published_rows[k];
        const struct {
            const char *name;
            double v;
        } number[] = {{"similarity", p->similarity},
                      {"main_similarity", p->main},
                      {"test_acc", p->accuracy},
                      {"pattern_gini_raw", p->gini},
                      {"locality_7x7_raw", p->locality},
                      {"class_selectivity", p->selectivity},
                      {"limit", p->limit}};
        lua_createtable(L, 0, 10);
        lua_pushstring(L, p->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, p->family);
        lua_setfield(L, -2, "family");
        lua_pushstring(L, p->settings);
        lua_setfield(L, -2, "settings");
        for (size_t i = 0; i < ARRAY_LEN(number); i++)
            if (!isnan(number[i].v)) {
                lua_pushnumber(L, number[i].v);
                lua_setfield(L, -2, number[i].name);
            }
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

const LbFn lb_study_fns[] = {
    {"cl.decomp.fit", "(B, { family = \"cp\", ... } or { preset = NAME, ... })",
     "Fits a dictionary of a family to the interaction tensor. Defaults come from the "
     "family (cl.decomp.families()), then from the published run if there is a preset "
     "(cl.decomp.published()), then from what is given.",
     decomp_fit, family_options, &family_n_options,
     "dict = cl.decomp.fit(B, { preset = \"two banks\" })"},
    {"cl.decomp.families", "()",
     "The families of dictionaries: name, doc, and their own default settings.",
     decomp_families, NULL, NULL, NULL},
    {"cl.decomp.published", "()",
     "The runs of the published study: name, family, settings, and the numbers it "
     "reported; gini and locality are of the unbalanced display.",
     decomp_published, NULL, NULL, NULL},
};
const size_t lb_n_study_fns = ARRAY_LEN(lb_study_fns);
