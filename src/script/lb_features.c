/* lb_features.c -- features from their activations: numbers and examples, for the
 * dashboards of dictionaries, autoencoders and parameter decompositions. */
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "decomp/features.h"
#include "figure/figure.h"
#include "script/lb_objects.h"

/* f32 contiguous [N,M], owned by the pushed tensor. */
static const Tensor *push_floats(lua_State *L, int arg)
{
    Err err;
    LTensor *t = lb_check_tensor(L, arg), *flat = lb_push_tensor(L);
    if (!tensor_convert(&t->t, F32, &flat->t, &err))
        lb_raise(L, &err);
    return &flat->t;
}

/* cl.features(dataset, activations) */
static int cl_features(lua_State *L)
{
    static const char *const names[] = {"density",     "spread", "energy", "class_mean",
                                        "selectivity", "best",   "share",  "order"};
    Err err;
    FeatureStats s = {0};
    LTensor *out[ARRAY_LEN(names)];
    const Dataset *d = lb_check_dataset(L, 1);
    lua_settop(L, 2);
    luaL_checkstack(L, 24, NULL);
    const Tensor *act = push_floats(L, 2);
    int first = lua_gettop(L) + 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        out[i] = lb_push_tensor(L);
    if (!features_measure(act, &d->labels, d->n_classes, &s, &err))
        return lb_raise(L, &err);
    const Tensor *from[] = {&s.density,     &s.spread, &s.energy, &s.class_mean,
                            &s.selectivity, &s.best,   &s.share,  &s.order};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        out[i]->t = *from[i]; /* Lua owns them from here */
    lua_createtable(L, 0, (int)ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        lua_pushvalue(L, first + (int)i);
        lua_setfield(L, -2, names[i]);
    }
    lb_pace(L);
    return 1;
}

/* --- examples --------------------------------------------------------------------- */

typedef struct TopCfg {
    int64_t k;
    bool down;
    char title[OPT_STR_CAP];
} TopCfg;
// clang-format off
static const OptRow top_options[] = {
    {"k", OPT_INT, offsetof(TopCfg, k), "6", 1, 100, NULL, "Examples of each."},
    {"down", OPT_BOOL, offsetof(TopCfg, down), "false", 0, 0, NULL,
     "true: the most negative activations."},
    {"title", OPT_STR, offsetof(TopCfg, title), "", 0, 0, NULL, "Line above."},
};
// clang-format on
static const size_t n_top_options = ARRAY_LEN(top_options);

/* Colours stay, other channels are averaged. */
static bool in_colour(const Dataset *d)
{
    return d->channels == 3;
}

/* Image `at` in 0..1; a missing one is blank. */
static void copy_image(const Dataset *d, int64_t at, float *to)
{
    int64_t planes = d->channels > 0 ? d->channels : 1;
    int64_t plane = (int64_t)d->height * d->width / planes;
    const uint8_t *from =
        at < 0 ? NULL : (const uint8_t *)d->images.data + at * plane * planes;
    if (in_colour(d)) {
        for (int64_t p = 0; p < 3 * plane; p++)
            to[p] = from ? (float)from[p] * (1.0f / 255) : 0;
        return;
    }
    for (int64_t p = 0; p < plane; p++) {
        int sum = 0;
        for (int64_t c = 0; from && c < planes; c++)
            sum += from[c * plane + p];
        to[p] = (float)sum / (255 * (float)planes);
    }
}

/* "7  0.53" for each example. */
static void push_labels(lua_State *L, const Dataset *d, const Tensor *act,
                        const Tensor *top, const int32_t *pick)
{
    int64_t n = top->dim[0], k = top->dim[1], M = act->dim[1];
    const int32_t *y = d->labels.data, *at = top->data;
    lua_createtable(L, (int)(n * k), 0);
    for (int64_t i = 0; i < n * k; i++) {
        char text[64] = "none", value[32];
        int64_t m = pick ? pick[i / k] : i / k;
        if (at[i] >= 0) {
            figure_number((double)((const float *)act->data)[at[i] * M + m], value);
            snprintf(text, sizeof text, "%d  %s", y[at[i]], value);
        }
        lua_pushstring(L, text);
        lua_rawseti(L, -2, i + 1);
    }
}

/* cl.top_examples(dataset, activations, { k, down, of }) */
static int cl_top_examples(lua_State *L)
{
    Err err;
    TopCfg c;
    const Dataset *d = lb_check_dataset(L, 1);
    lua_settop(L, 3);
    lb_take_option(L, 3, "of"); /* 4 */
    lb_options(L, 3, "cl.top_examples", top_options, n_top_options, &c);
    const Tensor *act = push_floats(L, 2); /* 5 */
    LTensor *of = lua_isnil(L, 4) ? NULL : lb_check_tensor(L, 4),
            *pick = lb_push_tensor(L);
    if (of && !tensor_convert(&of->t, I32, &pick->t, &err))
        return lb_raise(L, &err);
    if (act->ndim != 2 || act->dim[0] != d->n)
        return lb_error(
            L, ERR_SHAPE,
            "cl.top_examples: the activations must be [%lld, features], one "
            "row for each image",
            (long long)d->n);
    const int32_t *chosen = of ? pick->t.data : NULL;
    int64_t n = of ? tensor_count(&pick->t) : act->dim[1];
    int64_t high = d->height / (d->channels > 0 ? d->channels : 1);
    int64_t dim[5] = {n, c.k, 3, high, d->width}, grey[4] = {n, c.k, high, d->width};
    bool rgb = in_colour(d);
    LTensor *top = lb_push_tensor(L), *images = lb_push_tensor(L);
    if (!features_top(act, chosen, n, c.k, c.down ? -1 : 1, &top->t, &err) ||
        !tensor_new(F32, rgb ? 5 : 4, rgb ? dim : grey, &images->t, &err))
        return lb_raise(L, &err);
    for (int64_t i = 0; i < n * c.k && !intr_pending(); i++)
        copy_image(d, ((int32_t *)top->t.data)[i],
                   (float *)images->t.data + i * (rgb ? 3 : 1) * high * d->width);
    if (!intr_check(&err))
        return lb_raise(L, &err);
    int at = lua_gettop(L);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, at);
    lua_setfield(L, -2, "images");
    push_labels(L, d, act, &top->t, chosen);
    lua_setfield(L, -2, "labels");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "signed");
    lua_pushstring(L, c.title[0] ? c.title : c.down ? "drive it down" : "drive it up");
    lua_setfield(L, -2, "title");
    lb_pace(L);
    return 1;
}

const LbFn lb_feature_fns[] = {
    {"cl.features",     "(dataset, activations)",
     "What activations [N,M] say of M features: density (share of examples on which "
     "each "
     "is not 0), spread ((sum |a|)^2 / (N sum a^2), the share of examples that would "
     "carry "
     "it evenly), energy (mean a^2), class_mean [M,classes], selectivity (share of the "
     "energy that the strongest class has), best (that class), share (of each class: "
     "what "
     "selectivity is by chance) and order (features by falling energy, from 0).", cl_features,     NULL,        NULL,
     "cl.features(mnist.test, net:activations(mnist.test, \"hidden\")).selectivity"},
    {"cl.top_examples", "(dataset, activations, { k = 6, down = false, of = tensor })",
     "The images that drive each feature most, with their label and activation, as a "
     "part "
     "for cl.components. `of` picks features by number from 0. Images of three "
     "channels "
     "are shown in colour, others as the mean of their channels.",                                            cl_top_examples, top_options, &n_top_options,
     "cl.components { cl.top_examples(mnist.test, net:activations(mnist.test, "
     "\"hidden\"), "
     "{ k = 4 }) }"                                                                },
    {"cl.examples",     "(dataset, { n = 10, names = texts, title = text, per_row = 0 })",
     "The first n images of a data set as a gallery, in colour where it has three "
     "channels, labelled with their class, or its name of the list.",                 NULL,            NULL,        NULL,
     "cl.show(cl.examples(shapes.train, { n = 4 }))"                               },
    {"cl.dashboard",    "(dataset, activations, { part, ..., top = 256, title = text })",
     "A set of components (cl.components) from what they do to a data set: the parts, "
     "names, metrics and summary given, one entry for each of the M features, and "
     "behind "
     "them the images that drive each up and down (examples = 6 of each), its mean "
     "activation for each class, how the densities are spread, a heat map of the "
     "strongest features against the classes, and the metrics energy, selectivity, "
     "density "
     "and spread. Of more than `top` features the strongest are shown. `picture` is a "
     "part's images [M,k,h,w] (or [M,h,w]); labels its k texts.",                 NULL,            NULL,        NULL,
     "cl.show(cl.dashboard(mnist.test, net:activations(mnist.test, \"hidden\"), { "
     "title = "
     "\"hidden units\", top = 20 }))"                                              },
};
const size_t lb_n_feature_fns = ARRAY_LEN(lb_feature_fns);
