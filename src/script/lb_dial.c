/* lb_dial.c -- the gauge dial in Lua: one digit of a dictionary, turned by hand while
 * pictures and scores follow. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/gauge_dial.h"
#include "figure/figure.h"
#include "script/lb_dict.h"

#define LB_DIAL "cleave.dial"

typedef struct LDial {
    GaugeDial *dial;
    int64_t digit, height, width;
    /* user value 1: the dictionary's interaction */
} LDial;

static LDial *check_dial(lua_State *L, int arg)
{
    LDial *d = luaL_checkudata(L, arg, LB_DIAL);
    luaL_argcheck(L, d->dial, arg, "this dial was closed");
    return d;
}

static int dial_gc(lua_State *L)
{
    LDial *d = luaL_checkudata(L, 1, LB_DIAL);
    dial_free(d->dial);
    d->dial = NULL;
    return 0;
}

static int dial_tostring(lua_State *L)
{
    LDial *d = luaL_checkudata(L, 1, LB_DIAL);
    if (!d->dial)
        return (lua_pushliteral(L, "dial (closed)"), 1);
    lua_pushfstring(L, "dial of digit %d: %d components, %d directions", (int)d->digit,
                    (int)dial_components(d->dial), (int)dial_n_directions(d->dial));
    return 1;
}

/* --- making ----------------------------------------------------------------------- */

typedef struct DialCfg {
    int64_t images;
} DialCfg;
// clang-format off
static const OptRow dial_options[] = {
    {"images", OPT_INT, offsetof(DialCfg, images), "2000", 1, 1000000, NULL,
     "Images of the data set that scores are taken on, the first ones."},
};
// clang-format on
static const size_t n_dial_options = ARRAY_LEN(dial_options);

/* f32 [n,I] of the first n images, pushed. */
static LTensor *push_first(lua_State *L, const Dataset *set, int64_t n)
{
    Err err;
    int64_t I = (int64_t)set->height * set->width;
    LTensor *x = lb_push_tensor(L);
    if (!tensor_new(F32, 2, (int64_t[]){n, I}, &x->t, &err))
        lb_raise(L, &err);
    for (int64_t i = 0; i < n * I; i++)
        ((float *)x->t.data)[i] =
            (float)((uint8_t *)set->images.data)[i] * (1.0f / 255);
    return x;
}

/* dict:dial(digit, dataset, { images }) */
static int dict_dial(lua_State *L)
{
    Err err;
    DialCfg cfg;
    LDict *d = lb_check_dict(L, 1);
    lua_Integer digit = luaL_checkinteger(L, 2);
    Dataset *set = lua_isnoneornil(L, 3) ? NULL : lb_check_dataset(L, 3);
    lua_settop(L, 4);
    lb_options(L, 4, "dictionary:dial", dial_options, n_dial_options, &cfg);
    LInter *b = lb_inter_of(L, 1); /* 5 */
    DictEval e = {.dict = &d->d, .b = &b->b, .height = b->height, .width = b->width};
    if (b->S.data) {
        e.S = &b->S;
        e.unlit = &b->unlit;
    }
    if (set) {
        e.x = &push_first(L, set, cfg.images < set->n ? cfg.images : set->n)->t;
        e.labels = &set->labels;
    }
    LDial *out = lua_newuserdatauv(L, sizeof *out, 1);
    *out = (LDial){.digit = digit, .height = b->height, .width = b->width};
    luaL_setmetatable(L, LB_DIAL);
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, -2, 1);
    out->dial = dial_new(&e, digit, &err);
    if (!out->dial)
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

/* --- moving ----------------------------------------------------------------------- */

static int dial_directions_fn(lua_State *L)
{
    LDial *d = check_dial(L, 1);
    int64_t n = dial_n_directions(d->dial);
    DialDirection at;
    lua_createtable(L, (int)n, 0);
    for (int64_t k = 0; dial_direction(d->dial, k, &at); k++) {
        lb_push_named(L, at.name, at.doc);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int dial_step_fn(lua_State *L)
{
    Err err;
    double moved;
    LDial *d = check_dial(L, 1);
    double amount = luaL_optnumber(L, 3, 0.1);
    int64_t k = lua_isinteger(L, 2) ? lua_tointeger(L, 2) - 1 : -1;
    const char *name = luaL_checkstring(L, 2); /* turns a number into text */
    k = k < 0 ? dial_find(d->dial, name) : k;
    if (k < 0)
        return lb_error(L, ERR_OPTION,
                        "dial:step: there is no direction '%s'; there are sparsity, "
                        "locality, smoothness, varimax, random, and \"plus i j\", "
                        "\"minus i j\", \"boost i j\" of components 1 to %d",
                        name, (int)dial_components(d->dial));
    if (!dial_step(d->dial, k, amount, &moved, &err))
        return lb_raise(L, &err);
    lua_pushnumber(L, moved);
    return 1;
}

static int dial_reset_fn(lua_State *L)
{
    dial_reset(check_dial(L, 1)->dial);
    lua_settop(L, 1);
    return 1;
}

/* --- what it shows ---------------------------------------------------------------- */

/* The rows of a table of doubles as fields; NaN is left out. */
static void push_rows(lua_State *L, const DialRow *row, size_t n, const void *from)
{
    lua_createtable(L, 0, (int)n + 1);
    for (size_t k = 0; k < n; k++) {
        double v = *(const double *)((const char *)from + row[k].offset);
        if (isnan(v))
            continue;
        lua_pushnumber(L, v);
        lua_setfield(L, -2, row[k].name);
    }
}

static DialPart *push_parts(lua_State *L, const LDial *d)
{
    return lua_newuserdatauv(L, sizeof(DialPart) * (size_t)dial_components(d->dial), 0);
}

static int dial_state_fn(lua_State *L)
{
    Err err;
    DialState s;
    LDial *d = check_dial(L, 1);
    DialPart *part = push_parts(L, d);
    if (!dial_state(d->dial, &s, part, &err))
        return lb_raise(L, &err);
    push_rows(L, dial_state_rows, dial_n_state_rows, &s);
    lua_createtable(L, (int)dial_components(d->dial), 0);
    for (int64_t r = 0; r < dial_components(d->dial); r++) {
        push_rows(L, dial_part_rows, dial_n_part_rows, &part[r]);
        lua_rawseti(L, -2, (lua_Integer)r + 1);
    }
    lua_setfield(L, -2, "components");
    return 1;
}

typedef struct ShowCfg {
    char view[OPT_STR_CAP], title[OPT_STR_CAP];
    int64_t n;
} ShowCfg;
// clang-format off
static const OptRow show_options[] = {
    {"view", OPT_ENUM, offsetof(ShowCfg, view), "filters", 0, 0, "filters patterns",
     "The weights themselves, or what they respond to."},
    {"n", OPT_INT, offsetof(ShowCfg, n), "1000", 1, 1000, NULL,
     "Components, the first ones; two images each."},
    {"title", OPT_STR, offsetof(ShowCfg, title), "", 0, 0, NULL, "Line above."},
};
// clang-format on
static const size_t n_show_options = ARRAY_LEN(show_options);

static int dial_patterns_fn(lua_State *L)
{
    Err err;
    ShowCfg cfg;
    Tensor q;
    LDial *d = check_dial(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dial:patterns", show_options, 1, &cfg);
    LTensor *out = lb_push_tensor(L);
    int64_t dim[4] = {dial_components(d->dial), 2, d->height, d->width};
    if (!dial_patterns(d->dial, cfg.view[0] == 'p', &q, &err))
        return lb_raise(L, &err);
    bool ok = tensor_reshape(&q, 4, dim, &out->t, &err);
    tensor_release(&q);
    lb_pace(L);
    return ok ? 1 : lb_raise(L, &err);
}

/* "3 + 0.61": the effect */
static bool label_all(Figure *f, const DialPart *part, int64_t n, Err *err)
{
    for (int64_t i = 0; i < 2 * n; i++) {
        char label[64];
        double effect = part[i / 2].effect;
        if (isnan(effect))
            snprintf(label, sizeof label, "%lld %c", (long long)i / 2 + 1,
                     i % 2 ? '-' : '+');
        else
            snprintf(label, sizeof label, "%lld %c %.2f", (long long)i / 2 + 1,
                     i % 2 ? '-' : '+', effect);
        if (!figure_set_label(f, (int)i, label, err))
            return false;
    }
    return true;
}

static int dial_gallery_fn(lua_State *L)
{
    Err err;
    ShowCfg cfg;
    Tensor q;
    DialState s;
    LDial *d = check_dial(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dial:gallery", show_options, n_show_options, &cfg);
    DialPart *part = push_parts(L, d);
    int64_t n = dial_components(d->dial);
    n = cfg.n < n ? cfg.n : n;
    Figure **slot = lb_push_figure(L);
    if (!dial_state(d->dial, &s, part, &err) ||
        !dial_patterns(d->dial, cfg.view[0] == 'p', &q, &err))
        return lb_raise(L, &err);
    *slot =
        figure_images((int)(2 * n), (int)d->height, (int)d->width, q.data, true, &err);
    tensor_release(&q);
    if (*slot)
        (*slot)->scale = SCALE_EACH, (*slot)->group = 2;
    bool ok = *slot && label_all(*slot, part, n, &err) &&
              (!cfg.title[0] || figure_set_title(*slot, cfg.title, &err));
    return ok ? 1 : lb_raise(L, &err);
}

static int dial_dictionary_fn(lua_State *L)
{
    Err err;
    LDial *d = check_dial(L, 1);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    LDict *out = lb_push_dict(L, 2);
    return dial_dictionary(d->dial, &out->d, &err) ? 1 : lb_raise(L, &err);
}

void lb_open_dial(lua_State *L)
{
    lb_class(L, LB_DIAL, dial_gc);
    luaL_getmetatable(L, LB_DIAL);
    lua_pushcfunction(L, dial_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

// clang-format off
const LbFn lb_dial_fns[] = {
    {"dictionary:dial", "(digit, dataset, { images = 2000 })",
     "The gauge of one digit under a hand: the digit's components can be turned along "
     "O(n,n) by dial:step() while the tensor stays exactly as it is, and pictures and "
     "causal scores follow within milliseconds. Without a data set there are no scores "
     "on images. Needs one-class heads.",
     dict_dial, dial_options, &n_dial_options,
     "d = dict:dial(3, mnist.test); d:step(\"sparsity\", 0.5); cl.show(d:gallery())"},
    {"dial:directions", "()",
     "The directions of a dial as a list of { name, doc }: flows to a criterion "
     "(sparsity, locality, smoothness, varimax), a random one as control, then the "
     "generators \"plus i j\", \"minus i j\", \"boost i j\".",
     dial_directions_fn, NULL, NULL, NULL},
    {"dial:step", "(direction, amount = 0.1)",
     "Turns by an angle (boosts: a rapidity) of at most 3.2 in radians; a negative "
     "amount is the other way. The direction is a name or its number in "
     "dial:directions(). Returns how far it went: a flow stops at its optimum.",
     dial_step_fn, NULL, NULL, "dict:dial(3, mnist.test):step(\"plus 1 2\", -0.2)"},
    {"dial:state", "()",
     "Scores as they stand: similarity_data, similarity, drift (of the tensor, by "
     "rounding) and keep16_agreement of the whole dictionary; cancellation_data, "
     "cancellation, erase_corr, ablation_rank_corr, other_digit_share, pattern_gini, "
     "locality_7x7, display_tv and background_energy of the digit; and for each of its "
     "components { effect, gini, locality, erase_corr, flips }.",
     dial_state_fn, NULL, NULL, "dict:dial(3, mnist.test):state().keep16_agreement"},
    {"dial:patterns", "({ view = \"filters\" })",
     "Displayed patterns of the digit f32 [n,2,height,width], as dictionary:patterns.",
     dial_patterns_fn, NULL, NULL, NULL},
    {"dial:gallery", "({ n = 1000, view = \"filters\" })",
     "A figure of the digit's components, numbered, with their effect on the images.",
     dial_gallery_fn, show_options, &n_show_options, NULL},
    {"dial:dictionary", "()",
     "The whole dictionary with the digit as it stands: a new dictionary.",
     dial_dictionary_fn, NULL, NULL, "dict:dial(3):dictionary():metrics().similarity"},
    {"dial:reset", "()", "Back to where the dial began; returns the dial.",
     dial_reset_fn, NULL, NULL, NULL},
};
// clang-format on
const size_t lb_n_dial_fns = ARRAY_LEN(lb_dial_fns);
