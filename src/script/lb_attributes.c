/* lb_attributes.c -- what components stand for when examples have several
 * attributes, and what convolutions add to a stochastic decomposition: importances
 * pooled over positions, maps of them, components as tiles. */
#include <string.h>

#include "decomp/attributes.h"
#include "decomp/spd_pooled.h"
#include "lab/heads.h"
#include "script/lb_dict.h"
#include "script/lb_sae.h"
#include "script/lb_spd.h"

/* ---- attributes ------------------------------------------------------------------ */

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void put_integer(lua_State *L, const char *name, int64_t v)
{
    lua_pushinteger(L, v);
    lua_setfield(L, -2, name);
}

/* The data set's heads, or the list { 3, 3 } in the option grid. */
static void take_grid(lua_State *L, int arg, const Dataset *d, AttrGrid *g)
{
    *g = (AttrGrid){.n = d ? d->n_heads : 0};
    for (int h = 0; h < g->n; h++)
        g->dim[h] = d->head[h];
    lb_take_option(L, arg, "grid");
    if (lua_isnil(L, -1) && g->n == 0)
        lb_error(L, ERR_OPTION,
                 "cl.attributes: labels without heads need grid = { 3, 3, ... }, the "
                 "number of values of each attribute");
    if (!lua_isnil(L, -1)) {
        int64_t dim[MAX_DIM];
        g->n = lb_check_shape(L, lua_gettop(L), dim);
        for (int a = 0; a < g->n && a < ATTR_MAX; a++)
            g->dim[a] = dim[a] > 1 << 20 ? 1 << 20 : (int)dim[a];
    }
    lua_pop(L, 1);
    if (attr_cells(g) == 0)
        lb_error(L, ERR_OPTION,
                 "cl.attributes: the grid must be 1 to %d attributes of 1 to 64 "
                 "values, and at most %d cells",
                 ATTR_MAX, ATTR_CELLS);
}

/* A tensor [rows,n] of the table on top, filled by the caller. */
static double *put_matrix(lua_State *L, const char *name, int64_t rows, int64_t n)
{
    Err err;
    LTensor *t = lb_push_tensor(L);
    if (!tensor_new(F64, 2, (int64_t[]){rows, n}, &t->t, &err))
        lb_raise(L, &err);
    lua_setfield(L, -2, name);
    return t->t.data;
}

static void push_component(lua_State *L, const AttrGrid *g, const AttrScore *s)
{
    lua_createtable(L, 0, 8);
    lua_pushstring(L, attr_verdict_name(s->verdict));
    lua_setfield(L, -2, "verdict");
    put_integer(L, "attribute", s->attribute + 1);
    put_integer(L, "value", s->value);
    lua_pushboolean(L, s->inverted);
    lua_setfield(L, -2, "inverted");
    lua_pushboolean(L, s->single);
    lua_setfield(L, -2, "single");
    put_integer(L, "cell", s->cell);
    put_number(L, "density", s->density);
    put_number(L, "variance", s->shares.variance);
    put_number(L, "explained", s->explained);
    put_number(L, "null", s->null);
    put_number(L, "interaction", s->shares.interaction);
    lua_createtable(L, g->n, 0);
    lua_createtable(L, g->n, 0);
    for (int a = 0; a < g->n; a++) {
        lua_pushnumber(L, s->shares.main[a]);
        lua_rawseti(L, -3, a + 1);
        lua_pushnumber(L, s->selectivity[a]);
        lua_rawseti(L, -2, a + 1);
    }
    lua_setfield(L, -3, "selectivity");
    lua_setfield(L, -2, "main");
}

static void put_summary(lua_State *L, const AttrGrid *g, const AttrSummary *sum)
{
    lua_createtable(L, 0, ATTR_VERDICTS);
    for (int v = 0; v < ATTR_VERDICTS; v++)
        put_integer(L, attr_verdict_name((AttrVerdict)v), sum->count[v]);
    lua_setfield(L, -2, "counts");
    lua_createtable(L, g->n, 0);
    for (int a = 0; a < g->n; a++) {
        lua_createtable(L, g->dim[a], 0);
        for (int v = 0; v < g->dim[a]; v++) {
            lua_pushinteger(L, sum->covers[a][v]);
            lua_rawseti(L, -2, v + 1);
        }
        lua_rawseti(L, -2, a + 1);
    }
    lua_setfield(L, -2, "covers");
    put_integer(L, "values", sum->values);
    put_integer(L, "covered", sum->covered);
    put_integer(L, "covered_inverted", sum->covered_inverted);
    put_integer(L, "cells_covered", sum->cells_covered);
    put_number(L, "interaction", sum->interaction);
}

/* Means of each value of each attribute, [values, C]: the importance matrix by
 * groups. */
static void put_groups(lua_State *L, const AttrGrid *g, const Tensor *cells)
{
    int64_t C = cells->dim[0], n = attr_cells(g), values = 0, row = 0;
    for (int a = 0; a < g->n; a++)
        values += g->dim[a];
    double *to = put_matrix(L, "groups", values, C);
    for (int a = 0; a < g->n; row += g->dim[a++])
        for (int64_t c = 0; c < C; c++) {
            for (int v = 0; v < g->dim[a]; v++)
                to[(row + v) * C + c] = 0;
            for (int k = 0; k < n; k++)
                to[(row + attr_digit(g, k, a)) * C + c] +=
                    ((const double *)cells->data)[c * n + k] * g->dim[a] / (double)n;
        }
}

static int cl_attributes(lua_State *L)
{
    Err err;
    AttrCfg cfg;
    AttrGrid grid;
    lua_settop(L, 3);
    const Dataset *d = luaL_testudata(L, 2, LB_DATA) ? lb_check_dataset(L, 2) : NULL;
    const Tensor *labels = d ? &d->labels : &lb_check_tensor(L, 2)->t;
    const Tensor *q = lb_push_f32(L, 1, "the components");
    take_grid(L, 3, d, &grid);
    const Tensor *other = lb_take_f32(L, 3, "activations");
    lb_options(L, 3, "cl.attributes", attr_options, attr_n_options, &cfg);
    int64_t C = q->ndim == 2 ? q->dim[1] : 0;
    AttrScore *score = lua_newuserdatauv(L, sizeof *score * (size_t)(C + 1), 0);
    LTensor *cells = lb_push_tensor(L);
    if (!attr_scores(&grid, &cfg, q, other, labels, &cells->t, score, &err))
        return lb_raise(L, &err);
    AttrSummary sum;
    attr_summary(&grid, score, C, &sum);
    lua_createtable(L, (int)C, 8);
    for (int64_t c = 0; c < C; c++) {
        push_component(L, &grid, &score[c]);
        lua_rawseti(L, -2, c + 1);
    }
    put_summary(L, &grid, &sum);
    put_groups(L, &grid, &cells->t);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "cells");
    lb_pace(L);
    return 1;
}

/* ---- heads ----------------------------------------------------------------------- */

static int push_score(lua_State *L, const Dataset *d, const HeadScore *s)
{
    Heads h = dataset_heads(d);
    lua_pushnumber(L, s->joint);
    lua_createtable(L, 0, h.n);
    for (int k = 0; k < h.n; k++)
        put_number(L, d->n_heads ? d->head_name[k] : "label", s->acc[k]);
    return 2;
}

/* What answers are read from; the largest of NaN is none. */
static const Tensor *push_outputs(lua_State *L, int arg)
{
    const Tensor *t = lb_push_f32(L, arg, "outputs");
    if (!tensor_finite(t))
        lb_error(L, ERR_NUMERIC, "the outputs are not finite");
    return t;
}

static int dataset_agreement_fn(lua_State *L)
{
    Err err;
    HeadScore s;
    const Dataset *d = lb_check_dataset(L, 1);
    const Tensor *a = push_outputs(L, 2), *b = push_outputs(L, 3);
    return heads_agreement(d, a, b, &s, &err) ? push_score(L, d, &s)
                                              : lb_raise(L, &err);
}

static int dataset_score_fn(lua_State *L)
{
    Err err;
    HeadScore s;
    const Dataset *d = lb_check_dataset(L, 1);
    if (!heads_score(d, push_outputs(L, 2), &s, &err))
        return lb_raise(L, &err);
    push_score(L, d, &s);
    lua_pushnumber(L, s.nll);
    return 3;
}

/* ---- positions ------------------------------------------------------------------- */

static const Tensor *push_inputs(lua_State *L, int arg)
{
    if (luaL_testudata(L, arg, LB_DATA))
        return &lb_push_pixels(L, lb_check_dataset(L, arg))->t;
    return lb_push_f32(L, arg, "the inputs");
}

static SpdView view_at(lua_State *L, int arg)
{
    static const char *const names[] = {"activations", "lower", "upper", "raw", NULL};
    static const SpdView views[] = {SPD_ACTS, SPD_CI, SPD_CI_UP, SPD_PRE};
    return views[luaL_checkoption(L, arg, "lower", names)];
}

static int spd_pooled_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int layer = lb_spd_layer(L, 3, u);
    SpdView v = view_at(L, 4);
    const Tensor *x = push_inputs(L, 2);
    LTensor *max = lb_push_tensor(L), *mean = lb_push_tensor(L);
    if (!spd_pooled(u->s, x, layer, v, &max->t, &mean->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 2;
}

static int spd_maps_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int layer = lb_spd_layer(L, 3, u);
    SpdView v = view_at(L, 4);
    const Tensor *x = push_inputs(L, 2);
    LTensor *out = lb_push_tensor(L);
    if (!spd_maps(u->s, x, layer, v, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int spd_tiles_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int layer = lb_spd_layer(L, 2, u);
    LTensor *V = lb_push_tensor(L), *U = lb_push_tensor(L);
    return spd_tiles(u->s, layer, &V->t, &U->t, &err) ? 2 : lb_raise(L, &err);
}

const LbFn lb_attributes_fns[] = {
    {"cl.attributes",
     "(q, dataset or labels, { atomic = 0.8, combination = 0.4, ... })",
     "What components q [N,C] (one number for each example: the largest importance "
     "over positions) stand for when the data set has several heads, or labels are "
     "digits of grid = { 3, 3, 3 }. Cell means are split by a balanced analysis of "
     "variance. A list by component of verdict (silent: on for too few examples; "
     "constant; unrelated: the cells explain too little, or no more than shuffled "
     "labels; atomic; combination; neither), main (shares of the main effects), "
     "interaction, explained, null, attribute (from 1), value (from 0), inverted (on"
     " for all other values), cell (with the largest mean, from 0), single (on there"
     " alone), selectivity (variance of value means of activations = tensor [N,C], "
     "or of q, normalised); and counts by verdict, covers (atoms of each value), "
     "values, covered, covered_inverted, cells_covered (by combinations on in one "
     "cell alone), interaction (their part of all variance between cells), groups "
     "[values,C] and cells [C,cells] (means).",
     cl_attributes, attr_options, &attr_n_options,
     "cl.attributes(cl.eye(4), cl.tensor({ 0, 1, 2, 3 }, { dtype = \"i32\" }), "
     "{ grid = { 2, 2 } })[1].main[1]"},
    {"dataset:agreement", "(outputs, outputs)",
     "Share of rows on which two outputs [N,O] answer the same in all heads, and a "
     "table with the share of each head.",
     dataset_agreement_fn, NULL, NULL, NULL},
    {"dataset:score", "(outputs)",
     "Share of examples that outputs [N,O] answer right in all heads, a table with the "
     "share of each head, and the mean negative log likelihood (sum over heads, nats).",
     dataset_score_fn, NULL, NULL, NULL},
    {"spd:pooled", "(inputs, layer, \"lower\")",
     "The largest and the mean over positions of the importances (\"lower\", "
     "\"upper\", \"raw\") or of the \"activations\" of each input: two tensors [N,C].",
     spd_pooled_fn, NULL, NULL, NULL},
    {"spd:maps", "(inputs, layer, \"lower\")",
     "Importances or activations as maps [N,C,rows,columns]; dense layers have 1 by 1.",
     spd_maps_fn, NULL, NULL, NULL},
    {"spd:tiles", "(layer)",
     "V of a layer as tiles [C,channels,kh,kw] (dense: [C,1,1,inputs]) of length 1, and "
     "U [C,outputs] with their lengths.",
     spd_tiles_fn, NULL, NULL, NULL},
};
const size_t lb_n_attributes_fns = ARRAY_LEN(lb_attributes_fns);
