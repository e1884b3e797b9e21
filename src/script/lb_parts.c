/* lb_parts.c -- one component at a time in Lua: labels, examples, halves, denoised
 * copies. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/label.h"
#include "decomp/parts.h"
#include "decomp/strokes.h"
#include "script/lb_dict.h"

/* --- labels ----------------------------------------------------------------------- */

static void number(lua_State *L, const char *name, double v)
{
    if (isnan(v))
        return;
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void text(lua_State *L, const char *name, const char *v)
{
    lua_pushstring(L, v);
    lua_setfield(L, -2, name);
}

static void push_label(lua_State *L, const Dictionary *d, int64_t k, const PartLabel *p)
{
    static const char *const kind[] = {"stroke", "hook", "loop", "dot"};
    lua_createtable(L, 0, 12);
    number(L, "component", (double)(k / 2 + 1));
    number(L, "digit", ((int32_t *)d->owner.data)[k / 2]);
    text(L, "side", k % 2 ? "-" : "+");
    text(L, "label", label_names[p->label]);
    text(L, "shape", kind[stroke_kind(p->match.which)]);
    lua_pushboolean(L, p->shaped);
    lua_setfield(L, -2, "shaped");
    lua_pushboolean(L, p->lined);
    lua_setfield(L, -2, "lined");
    number(L, "match", p->match.score);
    number(L, "null", p->null_mean);
    number(L, "null_top", p->null_top);
    number(L, "template", p->match.which + 1);
    number(L, "own_ink", p->own);
    number(L, "other_ink", p->other);
}

static void push_summary(lua_State *L, const LabelSummary *s)
{
    lua_createtable(L, 0, 16);
    number(L, "shaped", s->shaped);
    number(L, "lined", s->lined);
    number(L, "shaped_null", s->shaped_null);
    number(L, "shaped_shuffled", s->shaped_shuffled);
    number(L, "in_gap", s->gap);
    number(L, "in_gap_null", s->gap_null);
    number(L, "match", s->match);
    number(L, "match_null", s->match_null);
    for (int k = 0; k < N_LABELS; k++)
        number(L, label_names[k], (double)s->count[k]);
}

/* dict:labels(dataset, { shifts, draws, seed, least, gap }) */
static int dict_labels_fn(lua_State *L)
{
    Err err;
    LabelCfg cfg;
    LabelSummary sum;
    LDict *d = lb_check_dict(L, 1);
    Dataset *set = lua_isnoneornil(L, 2) ? NULL : lb_check_dataset(L, 2);
    lua_settop(L, 3);
    lb_options(L, 3, "dictionary:labels", label_options, label_n_options, &cfg);
    LInter *b = lb_inter_of(L, 1);
    LTensor *x = set ? lb_push_pixels(L, set) : NULL, *ink = lb_push_tensor(L);
    int64_t n = 2 * d->d.shown;
    PartLabel *part = lua_newuserdatauv(L, sizeof *part * (size_t)n, 0);
    if (x && !class_means(&x->t, &set->labels, d->d.C, &ink->t, &err))
        return lb_raise(L, &err);
    if (!dict_labels(&d->d, &cfg, b->S.data ? &b->S : NULL, x ? &ink->t : NULL,
                     b->unlit.data ? &b->unlit : NULL, b->height, b->width, part, &sum,
                     &err))
        return lb_raise(L, &err);
    lua_createtable(L, (int)n, 0);
    for (int64_t k = 0; k < n; k++) {
        push_label(L, &d->d, k, &part[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    push_summary(L, &sum);
    lb_pace(L);
    return 2;
}

/* --- halves and examples ---------------------------------------------------------- */

static int dict_sides_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    LTensor *x = lb_push_pixels(L, lb_check_dataset(L, 2)), *out = lb_push_tensor(L);
    if (!dict_sides(&d->d, &x->t, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

/* Images of a list of examples; what is missing stays empty. */
static bool examples_as_images(const Tensor *x, const Tensor *which, int64_t height,
                               int64_t width, Tensor *out, Err *err)
{
    int64_t P = which->dim[0], n = which->dim[1], I = x->dim[1];
    const int32_t *k = which->data;
    if (!tensor_zeros(F32, 4, (int64_t[]){P / 2, 2 * n, height, width}, out, err))
        return false;
    for (int64_t i = 0; i < P * n; i++)
        if (k[i] >= 0)
            memcpy((float *)out->data + i * I, (float *)x->data + k[i] * I,
                   sizeof(float) * (size_t)I);
    return true;
}

/* dict:examples(dataset, n): images [R,2n,h,w] and their indices [2R,n] */
static int dict_examples_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    Dataset *set = lb_check_dataset(L, 2);
    lua_Integer n = luaL_optinteger(L, 3, 6);
    luaL_argcheck(L, n >= 1 && n <= set->n, 3, "a number of examples");
    LTensor *x = lb_push_pixels(L, set), *out = lb_push_tensor(L),
            *which = lb_push_tensor(L);
    if (!dict_examples(&d->d, &x->t, n, &which->t, &err) ||
        !examples_as_images(&x->t, &which->t, set->height, set->width, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 2;
}

static int dict_denoised(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    lua_Integer pixels = luaL_checkinteger(L, 2);
    lua_settop(L, 2);
    lb_inter_of(L, 1);
    LDict *out = lb_push_dict(L, 3);
    if (!dict_denoise(&d->d, pixels, &out->d, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

// clang-format off
const LbFn lb_parts_fns[] = {
    {"dictionary:labels", "(dataset, { shifts = 2, draws = 19, ... })",
     "What every displayed pattern looks like: a list in the order of the pictures of { "
     "component, digit, side, label, shape, shaped, lined, match, null, null_top, template, "
     "own_ink, other_ink }, and a summary. A pattern is shaped when its best |cosine| "
     "with the stroke bank (moved by up to `shifts`) beats all draws of its own null, a "
     "random field of its place, spread and smoothness; lined if it beats fields of its "
     "own outline too. Patterns for the digit are stroke, "
     "hook, loop or dot; those against it gap where the digit's images have less than "
     "half the others' ink, else counter-evidence when shaped; the rest is mixed. The "
     "summary has counts, the shares shaped, lined and in_gap, and what the same rule gives on "
     "a further draw (shaped_null), shuffled pixels and wrong digits (in_gap_null).",
     dict_labels_fn, label_options, &label_n_options,
     "labels, summary = dict:labels(mnist.test, { shifts = 1 })"},
    {"dictionary:sides", "(dataset)",
     "What the two halves of every displayed component respond apart: f32 [N,2R], plus "
     "(u.x)^2 and minus (w.x)^2; their difference is the activation.",
     dict_sides_fn, NULL, NULL, NULL},
    {"dictionary:examples", "(dataset, n = 6)",
     "The n images that drive each displayed pattern most: f32 [R,2n,height,width], first "
     "those of the plus, then those of the minus pattern, and their indices from 0, i32 "
     "[2R,n], -1 where fewer respond.",
     dict_examples_fn, NULL, NULL, "images, which = dict:examples(mnist.test, 4)"},
    {"dictionary:denoised", "(pixels)",
     "A dictionary of the displayed patterns with their largest pixels alone, so that "
     "its metrics tell what a denoised picture leaves out.",
     dict_denoised, NULL, NULL, "dict:denoised(60):metrics(mnist.test).agreement"},
};
// clang-format on
const size_t lb_n_parts_fns = ARRAY_LEN(lb_parts_fns);
