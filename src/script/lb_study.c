/* lb_study.c -- families of dictionaries, the runs of the published study, and what is
 * asked of dictionaries afterwards. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/classic.h"
#include "decomp/family.h"
#include "decomp/gauge.h"
#include "decomp/match.h"
#include "decomp/metrics.h"
#include "decomp/rank.h"
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
            v.s = lua_tostring(L, -1);
        }
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.decomp.fit: settings have names");
        if (v.type == OPT_STR && !v.s)
            lb_error(L, ERR_OPTION,
                     "cl.decomp.fit: '%s' must be a number, a text or true or false, "
                     "not a %s",
                     lua_tostring(L, -2), luaL_typename(L, -1));
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
        lb_push_named(L, family_rows[k].name, family_rows[k].doc);
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
        } number[] = {
            {"similarity",        p->similarity },
            {"main_similarity",   p->main       },
            {"test_acc",          p->accuracy   },
            {"pattern_gini_raw",  p->gini       },
            {"locality_7x7_raw",  p->locality   },
            {"class_selectivity", p->selectivity},
            {"limit",             p->limit      }
        };
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

/* --- the gauge -------------------------------------------------------------------- */

static int dict_move(lua_State *L)
{
    Err err;
    GaugeCfg cfg;
    GaugeReport r;
    lb_check_dict(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dictionary:move", gauge_options, gauge_n_options, &cfg);
    LInter *b = lb_inter_of(L, 1);
    int64_t h = b->height, w = b->width;
    LDict *out = lb_copy_dict(L, 1);
    if (!gauge_move(&out->d, &cfg, h, w, &r, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 3);
    lua_pushnumber(L, r.before);
    lua_setfield(L, -2, "before");
    lua_pushnumber(L, r.after);
    lua_setfield(L, -2, "after");
    lua_pushinteger(L, r.start);
    lua_setfield(L, -2, "start");
    lb_pace(L);
    return 2;
}

static int dict_canonical_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    lua_settop(L, 2);
    LInter *b = lb_inter_of(L, 1); /* 3 */
    bool data = lb_metric_arg(L, 2, b);
    LDict *out = lb_push_dict(L, 3);
    if (!dict_canonical(&d->d, data ? &b->S : NULL, &out->d, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int dict_turn(lua_State *L)
{
    Err err;
    static const char *const kinds[] = {"plus", "minus", "boost", NULL};
    lb_check_dict(L, 1);
    lua_Integer digit = luaL_checkinteger(L, 2);
    int kind = luaL_checkoption(L, 3, NULL, kinds);
    lua_Integer i = luaL_checkinteger(L, 4), j = luaL_checkinteger(L, 5);
    double angle = luaL_checknumber(L, 6);
    LDict *out = lb_copy_dict(L, 1);
    return gauge_turn(&out->d, digit, (GaugeTurn)kind, i - 1, j - 1, angle, &err)
               ? 1
               : lb_raise(L, &err);
}

/* --- ranks, parts, refits --------------------------------------------------------- */

static int dict_rank(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    const char *by = luaL_checkstring(L, 2);
    Dataset *set = lua_isnoneornil(L, 3) ? NULL : lb_check_dataset(L, 3);
    lua_settop(L, 3);
    LInter *b = lb_inter_of(L, 1);
    LTensor *x = set ? lb_push_pixels(L, set) : NULL;
    LTensor *score = lb_push_tensor(L);
    if (!tensor_new(F64, 1, &d->d.R, &score->t, &err) ||
        !dict_scores(&d->d, by, x ? &x->t : NULL, set ? &set->labels : NULL, b->height,
                     b->width, score->t.data, &err) ||
        !dict_sort(&d->d, score->t.data, &err))
        return lb_raise(L, &err);
    lua_settop(L, 1);
    lb_pace(L);
    return 1;
}

static int dict_top_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    lua_Integer k = luaL_checkinteger(L, 2);
    lua_settop(L, 2);
    lb_inter_of(L, 1);
    LDict *out = lb_push_dict(L, 3);
    return dict_top(&d->d, k, &out->d, &err) ? 1 : lb_raise(L, &err);
}

static int dict_first(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    lua_settop(L, 2);
    lb_inter_of(L, 1);
    LDict *out = lb_push_dict(L, 3);
    bool *keep = mem_zalloc(sizeof *keep * (size_t)d->d.R, &err);
    if (!keep)
        return lb_raise(L, &err);
    for (int64_t r = 0; r < n && r < d->d.shown; r++)
        keep[r] = true;
    bool ok = dict_take(&d->d, keep, &out->d, &err);
    mem_free(keep);
    return ok ? 1 : lb_raise(L, &err);
}

/* The options of cl.decomp.dictionary but for start and components. */
static int dict_refit(lua_State *L)
{
    Err err;
    DictCfg cfg;
    LDict *d = lb_check_dict(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dictionary:refit", dict_options, dict_n_options, &cfg);
    snprintf(cfg.start, sizeof cfg.start, "given");
    cfg.components = d->d.shown;
    LInter *b = lb_inter_of(L, 1); /* 3 */
    lua_pushvalue(L, 1);           /* 4 */
    lua_copy(L, 3, 1);             /* the examples are those of index 1 */
    DictData data = lb_data_of(b);
    data.given = &d->d;
    if (cfg.distill > 0)
        lb_distill_examples(L, b, 8192, &data);
    LDict *out = lb_push_dict(L, 1);
    TrainHooks hooks = lb_fit_hooks(L);
    DictFit *fit = dictfit_new(&cfg, &b->b, &data, &err);
    bool ok = fit &&
              fit_dictionary(fit, &cfg, data.x ? data.x->dim[0] : 0, &hooks,
                             &out->report, &err) &&
              dictfit_finish(fit, &out->d, &err);
    dictfit_free(fit);
    if (!ok)
        return lb_raise(L, &err);
    lb_pace(L);
    return lb_interrupted_after(L, &out->report);
}

/* --- matching --------------------------------------------------------------------- */

typedef struct MatchCfg {
    char by[OPT_STR_CAP], method[OPT_STR_CAP], view[OPT_STR_CAP];
    bool classes;
} MatchCfg;
// clang-format off
static const OptRow match_options[] = {
    {"by", OPT_ENUM, offsetof(MatchCfg, by), "activations", 0, 0,
     "activations patterns",
     "What is compared: correlation of activations on images, or |cosine| of the "
     "displayed patterns."},
    {"method", OPT_ENUM, offsetof(MatchCfg, method), "hungarian", 0, 0,
     "hungarian greedy", "How pairs are chosen."},
    {"view", OPT_ENUM, offsetof(MatchCfg, view), "filters", 0, 0, "filters patterns",
     "Patterns as weights, or as what they respond to."},
    {"classes", OPT_BOOL, offsetof(MatchCfg, classes), "true", 0, 0, NULL,
     "Only components of one digit are matched."},
};
// clang-format on
static const size_t n_match_options = ARRAY_LEN(match_options);

/* Mean of the matched scores among pairs whose classes are `shift` apart; -1: any. */
static double matched(lua_State *L, const Tensor *score, const MatchCfg *cfg,
                      const Dictionary *x, const Dictionary *y, int64_t shift)
{
    Err err;
    double mean = (double)NAN;
    Tensor some = {0};
    int32_t *column = mem_array((size_t)score->dim[0], sizeof *column, &err);
    bool ok = column && tensor_copy(score, &some, &err);
    if (ok && shift >= 0)
        score_restrict(&some, x, y, shift, score->dim[0] / x->R);
    ok = ok && (cfg->method[0] == 'g' ? match_greedy(&some, column, &err)
                                      : match_hungarian(&some, column, &err));
    if (ok)
        mean = match_mean(&some, column);
    mem_free(column);
    tensor_release(&some);
    if (!ok)
        lb_raise(L, &err);
    return mean;
}

static int dict_match(lua_State *L)
{
    Err err;
    MatchCfg cfg;
    LDict *x = lb_check_dict(L, 1), *y = lb_check_dict(L, 2);
    Dataset *set = lua_isnoneornil(L, 3) ? NULL : lb_check_dataset(L, 3);
    lua_settop(L, 4);
    lb_options(L, 4, "dictionary:match", match_options, n_match_options, &cfg);
    LInter *b = lb_inter_of(L, 1);
    LTensor *score = lb_push_tensor(L);
    bool ok;
    if (!strcmp(cfg.by, "activations")) {
        if (!set)
            return lb_error(L, ERR_OPTION,
                            "dictionary:match by activations needs a data set");
        ok = score_activations(&x->d, &y->d, &lb_push_pixels(L, set)->t, &score->t,
                               &err);
    } else {
        const Tensor *S = !strcmp(cfg.view, "patterns") && b->S.data ? &b->S : NULL;
        ok = score_patterns_of(&x->d, &y->d, S, &score->t, &err);
    }
    if (!ok)
        return lb_raise(L, &err);
    double null = 0;
    lua_pushnumber(L, matched(L, &score->t, &cfg, &x->d, &y->d, cfg.classes ? 0 : -1));
    int64_t used = 0;
    for (int64_t shift = 1; shift < x->d.C; shift++) {
        double v = matched(L, &score->t, &cfg, &x->d, &y->d, shift);
        null += isfinite(v) ? v : 0;
        used += isfinite(v);
    }
    lua_pushnumber(L, used ? null / (double)used : (double)NAN);
    lb_pace(L);
    return 2;
}

static int dict_recovery(lua_State *L)
{
    Err err;
    double mean;
    LDict *d = lb_check_dict(L, 1);
    LTensor *rows = lb_check_tensor(L, 2), *flat = lb_push_tensor(L);
    return tensor_contiguous_of(&rows->t, &flat->t, &err) &&
                   match_recovery(&d->d, &flat->t, &mean, &err)
               ? (lua_pushnumber(L, mean), 1)
               : lb_raise(L, &err);
}

/* --- curves ----------------------------------------------------------------------- */

enum { MAX_CURVE = 256 };

/* { x, y, lo, hi }: a series for cl.plot */
static int dict_curve_fn(lua_State *L)
{
    Err err;
    static const char *const kinds[] = {"keep", "ablate", NULL};
    static const char *const keys[] = {"x", "y", "lo", "hi"};
    LDict *d = lb_check_dict(L, 1);
    Dataset *set = lb_check_dataset(L, 2);
    int kind = luaL_checkoption(L, 3, NULL, kinds), n = 0;
    int64_t k[MAX_CURVE];
    double y[MAX_CURVE], half[MAX_CURVE];
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_settop(L, 4);
    luaL_argcheck(L, luaL_len(L, 4) <= MAX_CURVE, 4, "at most 256 numbers");
    for (; n < (int)luaL_len(L, 4); n++, lua_pop(L, 1)) {
        lua_geti(L, 4, n + 1);
        int whole = 0;
        k[n] = lua_tointegerx(L, -1, &whole);
        if (!whole)
            lb_error(L, ERR_OPTION,
                     "dict:curve: item %d of the list must be a whole number", n + 1);
    }
    LInter *b = lb_inter_of(L, 1);
    DictEval e = {.dict = &d->d, .b = &b->b, .x = &lb_push_pixels(L, set)->t};
    if (!dict_curve(&e, kind == 0, k, n, y, half, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 4);
    for (int t = 0; t < 4; t++) {
        lua_createtable(L, n, 0);
        for (int i = 0; i < n; i++) {
            const double v[4] = {(double)k[i], y[i], y[i] - half[i], y[i] + half[i]};
            lua_pushnumber(L, v[t]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, keys[t]);
    }
    lb_pace(L);
    return 1;
}

/* --- consensus -------------------------------------------------------------------- */

typedef struct ConsensusCfg {
    char by[OPT_STR_CAP];
    double threshold;
    int64_t n;
    bool rotate;
} ConsensusCfg;
// clang-format off
static const OptRow consensus_options[] = {
    {"by", OPT_ENUM, offsetof(ConsensusCfg, by), "patterns", 0, 0,
     "patterns responses activations",
     "What components are compared by: the stronger displayed pattern, the same "
     "through "
     "the data metric, or activations on images."},
    {"threshold", OPT_NUM, offsetof(ConsensusCfg, threshold), "0.23", 0, 1, NULL,
     "Least |cosine| with the centroid of a group to join it."},
    {"n", OPT_INT, offsetof(ConsensusCfg, n), "28", 1, 100000, NULL,
     "Components of each dictionary, the first ones."},
    {"rotate", OPT_BOOL, offsetof(ConsensusCfg, rotate), "false", 0, 0, NULL,
     "The null: digits of the k-th dictionary are moved on by k - 1, so that only "
     "components of different digits can meet."},
};
// clang-format on
static const size_t n_consensus_options = ARRAY_LEN(consensus_options);

/* The pattern of the larger eigenvalue of component r: the plus one is (a+b)/|a+b| of
 * balanced factors, and its eigenvalue is the larger one when a.b >= 0. */
static int64_t stronger(const Dictionary *d, int64_t r)
{
    double dot = 0;
    for (int64_t i = 0; i < d->I; i++)
        dot += (double)((float *)d->a.data)[r * d->I + i] *
               (double)((float *)d->b.data)[r * d->I + i];
    return 2 * r + (dot < 0);
}

/* Rows [n,D] of a dictionary's first components from t: patterns [2R,I] or [N,R]. */
static void put_rows(const Dictionary *d, int64_t n, const Tensor *t, bool columns,
                     float *out)
{
    int64_t D = columns ? t->dim[0] : d->I;
    const float *x = t->data;
    for (int64_t r = 0; r < n; r++) {
        double mean = 0, norm = 0;
        float *row = out + r * D;
        for (int64_t i = 0; i < D; i++)
            row[i] = columns ? x[i * d->R + r] : x[stronger(d, r) * D + i];
        for (int64_t i = 0; columns && i < D; i++)
            mean += (double)row[i] / (double)D;
        for (int64_t i = 0; i < D; i++)
            norm += pow((double)row[i] - mean, 2);
        for (int64_t i = 0; i < D; i++)
            row[i] = norm > 0 ? (float)(((double)row[i] - mean) / sqrt(norm)) : 0;
    }
}

typedef struct Members {
    LTensor *rows;         /* f32 [all,D] */
    LTensor *owner, *from; /* i32 [all] */
} Members;

static int64_t shown_of(const LDict *d, int64_t n)
{
    return n < d->d.shown ? n : d->d.shown;
}

/* Pushes the rows of all dictionaries of the list at index 1. */
static Members gather_members(lua_State *L, const ConsensusCfg *cfg, const Tensor *x)
{
    Err err;
    int64_t all = 0, at = 0, n_dicts = (int64_t)luaL_len(L, 1), D = 0;
    for (int64_t k = 1; k <= n_dicts; k++, lua_pop(L, 1)) {
        lua_geti(L, 1, k);
        LDict *d = lb_check_dict(L, lua_gettop(L));
        if (k > 1 && !x && D != d->d.I)
            lb_error(L, ERR_SHAPE,
                     "cl.decomp.consensus: dictionaries of %d and %d pixels", (int)D,
                     (int)d->d.I);
        all += shown_of(d, cfg->n);
        D = x ? x->dim[0] : d->d.I;
    }
    Members m = {lb_push_tensor(L), lb_push_tensor(L), lb_push_tensor(L)};
    if (!tensor_new(F32, 2, (int64_t[]){all, D}, &m.rows->t, &err) ||
        !tensor_new(I32, 1, &all, &m.owner->t, &err) ||
        !tensor_new(I32, 1, &all, &m.from->t, &err))
        lb_raise(L, &err);
    for (int64_t k = 1; k <= n_dicts; k++) {
        lua_geti(L, 1, k);
        int dict = lua_gettop(L);
        LDict *d = lb_check_dict(L, dict);
        int64_t n = shown_of(d, cfg->n);
        LInter *b = lb_inter_of(L, dict);
        bool through = cfg->by[0] == 'r' && b->S.data;
        LTensor *t = lb_push_tensor(L);
        if (!(x ? dict_activations(&d->d, x, &t->t, NULL, &err)
                : dict_patterns(&d->d, through ? &b->S : NULL, false, &t->t, &err)))
            lb_raise(L, &err);
        put_rows(&d->d, n, &t->t, x != NULL, (float *)m.rows->t.data + at * D);
        for (int64_t r = 0; r < n; r++, at++) {
            int64_t digit = ((int32_t *)d->d.owner.data)[r] + (cfg->rotate ? k - 1 : 0);
            ((int32_t *)m.owner->t.data)[at] = (int32_t)(digit % d->d.C);
            ((int32_t *)m.from->t.data)[at] = (int32_t)k;
        }
        lua_settop(L, dict - 1);
    }
    return m;
}

/* Into every group of the list on the stack: members = { { dictionary, component } }. */
static void push_members(lua_State *L, const Consensus *c, const int32_t *from,
                         int64_t n)
{
    for (int64_t g = 0; g < c->n_groups; g++) {
        int64_t used = 0;
        lua_geti(L, -1, g + 1);
        lua_createtable(L, (int)c->support[g], 0);
        for (int64_t i = 0, first = 0; i < n; i++) {
            first = i > 0 && from[i] == from[i - 1] ? first : i;
            if (c->group[i] != g)
                continue;
            lua_createtable(L, 0, 2);
            lua_pushinteger(L, from[i]);
            lua_setfield(L, -2, "dictionary");
            lua_pushinteger(L, i - first + 1);
            lua_setfield(L, -2, "component");
            lua_rawseti(L, -2, ++used);
        }
        lua_setfield(L, -2, "members");
        lua_pop(L, 1);
    }
}

/* { { digit, support, likeness, members }, ... } */
static int decomp_consensus(lua_State *L)
{
    Err err;
    ConsensusCfg cfg;
    Consensus c;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    lb_options(L, 2, "cl.decomp.consensus", consensus_options, n_consensus_options,
               &cfg);
    bool images = !strcmp(cfg.by, "activations");
    if (images && lua_isnil(L, 3))
        return lb_error(L, ERR_OPTION,
                        "cl.decomp.consensus by activations needs a data set");
    luaL_argcheck(L, luaL_len(L, 1) > 0, 1, "a list of dictionaries");
    const Tensor *x = images ? &lb_push_pixels(L, lb_check_dataset(L, 3))->t : NULL;
    Members m = gather_members(L, &cfg, x);
    if (!consensus_new(&m.rows->t, m.owner->t.data, m.from->t.data, cfg.threshold, &c,
                       &err))
        return lb_raise(L, &err);
    lua_createtable(L, (int)c.n_groups, 0);
    for (int64_t k = 0; k < c.n_groups; k++) {
        lua_createtable(L, 0, 4);
        lua_pushinteger(L, c.owner[k]);
        lua_setfield(L, -2, "digit");
        lua_pushinteger(L, c.support[k]);
        lua_setfield(L, -2, "support");
        if (!isnan(c.likeness[k])) {
            lua_pushnumber(L, c.likeness[k]);
            lua_setfield(L, -2, "likeness");
        }
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    push_members(L, &c, m.from->t.data, m.from->t.dim[0]);
    consensus_done(&c);
    lb_pace(L);
    return 1;
}

/* --- classics --------------------------------------------------------------------- */

static int inter_als(lua_State *L)
{
    Err err;
    AlsCfg cfg;
    Als a;
    LInter *b = lb_check_inter(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "interaction:als", als_options, als_n_options, &cfg);
    LDict *out = lb_push_dict(L, 1);
    if (!interaction_als(&b->b, &cfg, &out->d, &a, &err))
        return lb_raise(L, &err);
    out->report.steps = a.sweeps;
    lua_pushnumber(L, a.error);
    als_done(&a);
    lb_pace(L);
    return 2;
}

static int inter_hosvd(lua_State *L)
{
    Err err;
    Hosvd h;
    Tensor X = {0}, Q = {0};
    LInter *b = lb_check_inter(L, 1);
    int64_t rank[3];
    for (int k = 0; k < 3; k++)
        rank[k] = luaL_optinteger(L, 2 + k, k == 2 ? rank[1] : 0);
    lua_settop(L, 1);
    LTensor *sigma[2] = {lb_push_tensor(L), lb_push_tensor(L)};
    bool ok =
        interaction_compress(&b->b, &X, &Q, &err) && hosvd_fit(&X, rank, &h, &err);
    tensor_release(&X);
    tensor_release(&Q);
    if (!ok)
        return lb_raise(L, &err);
    sigma[0]->t = tensor_retain(&h.sigma[0]);
    sigma[1]->t = tensor_retain(&h.sigma[1]);
    lua_pushnumber(L, h.error);
    lua_insert(L, 2);
    hosvd_done(&h);
    lb_pace(L);
    return 3;
}

static int inter_minus(lua_State *L)
{
    Err err;
    LInter *b = lb_check_inter(L, 1);
    LDict *d = lb_check_dict(L, 2);
    LInter *out = lb_push_inter(L);
    if (!interaction_minus(&b->b, &d->d, &out->b, &err))
        return lb_raise(L, &err);
    out->noise = b->noise;
    out->share = b->share;
    out->height = b->height;
    out->width = b->width;
    if (b->S.data)
        out->S = tensor_retain(&b->S);
    if (b->unlit.data)
        out->unlit = tensor_retain(&b->unlit);
    lua_getiuservalue(L, 1, 1);
    lua_setiuservalue(L, -2, 1);
    lb_pace(L);
    return 1;
}

// clang-format off
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
    {"dictionary:move", "({ criterion = \"sparsity\", ... })",
     "The same tensor in the gauge that is best by a criterion: inside a class "
     "components "
     "move along O(n,n), so similarity does not change. Also returns { before, after, "
     "start } of the criterion.",
     dict_move, gauge_options, &gauge_n_options, "sparse = dict:move { steps = 300 }"},
    {"dictionary:canonical", "(metric = \"data\")",
     "The displayed tensor in the gauge of its own eigenvectors: dictionaries that "
     "differ "
     "by a gauge become the same one.",
     dict_canonical_fn, NULL, NULL, NULL},
    {"dictionary:turn", "(digit, \"plus\" | \"minus\" | \"boost\", i, j, angle)",
     "One parameter of the gauge of a digit: turns the plus (minus) patterns of its "
     "i-th "
     "and j-th components into each other, or boosts the plus of i with the minus of "
     "j; "
     "the tensor stays. Components count from 1.",
     dict_turn, NULL, NULL, NULL},
    {"dictionary:rank", "(by, dataset)",
     "Sorts the displayed components, best first, by effect or selectivity (which "
     "need a "
     "data set), sigma, locality or gini; returns the dictionary.",
     dict_rank, NULL, NULL, "dict:rank(\"locality\")"},
    {"dictionary:top", "(k)", "A dictionary of the first k components of every class.",
     dict_top_fn, NULL, NULL, NULL},
    {"dictionary:first", "(n)", "A dictionary of the first n displayed components.",
     dict_first, NULL, NULL, "dict:rank(\"sigma\"):first(64):refit()"},
    {"dictionary:refit", "({ steps = 400, ... })",
     "Fits again from this dictionary, as after pruning; options of "
     "cl.decomp.dictionary, of which start and components are given.",
     dict_refit, dict_options, &dict_n_options, NULL},
    {"dictionary:match", "(other, dataset, { by = \"activations\", ... })",
     "Mean score of the best one-to-one matching of components of two dictionaries, "
     "and "
     "its null: the same matching between components of different digits.",
     dict_match, match_options, &n_match_options,
     "mean, null = dict:match(dict, mnist.test)"},
    {"dictionary:curve", "(dataset, \"keep\" | \"ablate\", numbers)",
     "Agreement with the network when of every image only the k strongest components are "
     "kept, or the k strongest are taken away, for rising k: a series { x, y, lo, hi } "
     "for cl.plot with a 95 % Wilson interval over images.",
     dict_curve_fn, NULL, NULL, "cl.plot { dict:curve(mnist.test, \"keep\", { 1, 4, 16 }) }"},
    {"dictionary:recovery", "(parts)",
     "How well known parts f32 [n,I] are among the displayed patterns: mean |cosine| "
     "of "
     "the best one-to-one matching.",
     dict_recovery, NULL, NULL, NULL},
    {"cl.decomp.consensus", "({ dict, ... }, { threshold = 0.23, n = 28 }, dataset)",
     "Groups of components that recur over dictionaries: a list of { digit, support, "
     "likeness, members = { { dictionary, component }, ... } } by falling support; a "
     "dictionary is in a group at most once. The data set is needed by activations only.",
     decomp_consensus, consensus_options, &n_consensus_options, NULL},
    {"interaction:als", "({ components = 64, ... })",
     "CP by alternating least squares with a line search, in the plain metric: the "
     "textbook reference. Returns a dictionary with free heads and the relative error "
     "before symmetrising.",
     inter_als, als_options, &als_n_options, NULL},
    {"interaction:hosvd", "(classes = 0, pixels = 0)",
     "Higher-order SVD cut to so many directions of classes and pixels (0: all): "
     "relative "
     "error, and the singular values of both unfoldings.",
     inter_hosvd, NULL, NULL, NULL},
    {"interaction:minus", "(dictionary)",
     "What a dictionary leaves of the tensor, as an interaction tensor.", inter_minus,
     NULL, NULL, NULL},
};
// clang-format on
const size_t lb_n_study_fns = ARRAY_LEN(lb_study_fns);
