/* lb_components.c -- a set of components from Lua: what dictionaries, autoencoders and
 * parameter decompositions fill to be looked at one component at a time. Only shapes
 * are checked here; what the pictures and numbers mean is the caller's. */
#include <math.h>
#include <string.h>

#include "script/lb_images.h"
#include "script/lb_plot.h"

#define WHERE "cl.components"
enum { MAX_COMPONENTS = 65536, MAX_IMAGES = 1 << 20 };

typedef struct SetCfg {
    char title[OPT_STR_CAP], caption[OPT_STR_CAP];
    int64_t n, columns;
} SetCfg;
#define IN(field) offsetof(SetCfg, field)
static const OptRow set_options[] = {
    {"title",   OPT_STR, IN(title),   "",  0, 0,              NULL, "Line above."     },
    {"caption", OPT_STR, IN(caption), "",  0, 0,              NULL, "Paragraph below."},
    {"n",       OPT_INT, IN(n),       "0", 0, MAX_COMPONENTS, NULL,
     "Components; 0: as many as the names, metrics or first part have."               },
    {"columns", OPT_INT, IN(columns), "2", 1, 8,              NULL,
     "Columns of the overview where the screen is wide enough."                       },
};
static const size_t n_set_options = ARRAY_LEN(set_options);

/* --- how many --------------------------------------------------------------------- */

static int64_t first_dim(lua_State *L, int idx, const char *key)
{
    int64_t n = 0;
    lua_getfield(L, idx, key);
    LTensor *t = lb_peek_tensor(L, -1);
    if (t)
        n = t->t.ndim > 0 ? t->t.dim[0] : 1;
    else if (lua_istable(L, -1))
        n = (int64_t)lua_rawlen(L, -1);
    lua_pop(L, 1);
    return n;
}

/* Components that the list item at the top of the stack speaks of; 0: a figure. */
static int64_t item_count(lua_State *L)
{
    int at = lua_gettop(L);
    if (!lua_istable(L, at))
        return 0;
    int64_t n = first_dim(L, at, "bars");
    n = n > 0 ? n : first_dim(L, at, "curves");
    if (n > 0)
        return n;
    int64_t per = (int64_t)lb_number_field(L, at, "per", 1);
    return first_dim(L, at, "images") / (per > 0 ? per : 1);
}

static int count_components(lua_State *L, const SetCfg *c)
{
    int64_t n = c->n > 0 ? c->n : first_dim(L, 1, "names");
    if (n == 0 && lua_getfield(L, 1, "metrics") == LUA_TTABLE) {
        if (lua_rawgeti(L, -1, 1) == LUA_TTABLE)
            n = first_dim(L, lua_gettop(L), "values");
    }
    lua_settop(L, 1);
    for (int i = 1; n == 0 && i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        n = item_count(L);
        lua_settop(L, 1);
    }
    if (n < 1 || n > MAX_COMPONENTS)
        lb_error(L, ERR_OPTION,
                 WHERE ": 1 to %d components are needed, got %lld; give names, metrics "
                       "or a part such as { images = tensor }",
                 MAX_COMPONENTS, (long long)n);
    return (int)n;
}

/* --- metrics ---------------------------------------------------------------------- */

/* One number for all or a list of n under `key`, as n numbers that are pushed; NULL
 * (and nil) when there is none. */
static const double *push_known(lua_State *L, int idx, const char *key, int n)
{
    int64_t have;
    lua_getfield(L, idx, key);
    if (lua_isnil(L, -1))
        return NULL;
    if (lua_type(L, -1) != LUA_TNUMBER) {
        double *v = lb_push_numbers(L, -1, key, &have);
        lua_remove(L, -2);
        if (have != n)
            lb_error(L, ERR_SHAPE, WHERE ": %s has %lld numbers for %d components", key,
                     (long long)have, n);
        return v;
    }
    double one = lua_tonumber(L, -1);
    double *v = lua_newuserdatauv(L, sizeof *v * (size_t)n, 0);
    lua_remove(L, -2);
    for (int i = 0; i < n; i++)
        v[i] = one;
    return v;
}

static const double *push_missing(lua_State *L, int n)
{
    double *v = lua_newuserdatauv(L, sizeof *v * (size_t)n, 0);
    for (int i = 0; i < n; i++)
        v[i] = (double)NAN;
    return v;
}

static void add_metrics(lua_State *L, Figure *f)
{
    Err err;
    int n = f->n_left, top = lua_gettop(L);
    if (lua_getfield(L, 1, "metrics") == LUA_TNIL) {
        lua_settop(L, top);
        return;
    }
    if (!lua_istable(L, -1))
        lb_error(L, ERR_OPTION, WHERE ": metrics must be a list, not a %s",
                 luaL_typename(L, -1));
    int list = lua_gettop(L), count = (int)lua_rawlen(L, list);
    for (int i = 1; i <= count; i++) {
        if (lua_rawgeti(L, list, i) != LUA_TTABLE)
            lb_error(L, ERR_OPTION,
                     WHERE ": metric %d is a %s, not { name =, values = }", i,
                     luaL_typename(L, -1));
        int at = lua_gettop(L);
        const char *name = lb_text_field(L, at, "name");
        const double *y = push_known(L, at, "values", n);
        const double *lo = push_known(L, at, "null", n);
        const double *hi = push_known(L, at, "limit", n);
        if (!y || !name)
            lb_error(L, ERR_OPTION, WHERE ": metric %d needs a name and values", i);
        if (lo || hi) {
            lo = lo ? lo : push_missing(L, n);
            hi = hi ? hi : push_missing(L, n);
        }
        if (!figure_add_series(f, name, MARK_LINE, n, NULL, y, lo, hi, &err))
            lb_raise(L, &err);
        lua_settop(L, list);
    }
    lua_settop(L, top);
}

/* Metrics of the whole, read by cl.between. */
static void add_summary(lua_State *L, Figure *f)
{
    Err err;
    int top = lua_gettop(L);
    if (lua_getfield(L, 1, "summary") != LUA_TNIL) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "cleave");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "between");
        lua_pushvalue(L, -3);
        lua_call(L, 1, 1);
        Figure **from = luaL_checkudata(L, -1, LB_FIGURE);
        for (int i = 0; i < (*from)->n_between; i++)
            if (!figure_add_between(f, &(*from)->between[i], &err))
                lb_raise(L, &err);
    }
    lua_settop(L, top);
}

/* --- parts ------------------------------------------------------------------------ */

static FigScale scale_field(lua_State *L, int at, FigScale dflt)
{
    static const char *const names[] = {"shared", "each", "p99"};
    const char *s = lb_text_field(L, at, "scale");
    for (int i = 0; s && i < 3; i++)
        if (strcmp(s, names[i]) == 0)
            return (FigScale)i;
    if (s)
        lb_error(L, ERR_OPTION, WHERE ": scale is shared, each or p99, got '%s'", s);
    return dflt;
}

static bool signed_field(lua_State *L, int at, bool dflt)
{
    bool yes = lua_getfield(L, at, "signed") == LUA_TNIL ? dflt : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

static bool image_count(const Tensor *t, int64_t numbers, int n, ImageDims *d)
{
    int64_t total = tensor_count(t);
    d->n = numbers > 0 ? total / numbers : 0;
    return d->h >= 1 && d->w >= 1 && d->h <= 4096 && d->w <= 4096 && d->n >= n &&
           d->n % n == 0 && d->n <= MAX_IMAGES && total <= IMAGES_MOST;
}

/* A number of the item that counts something; -1: it does not. */
static int64_t count_field(lua_State *L, int at, const char *key, int64_t dflt)
{
    double v = lb_number_field(L, at, key, (double)dflt);
    return v >= 0 && v <= MAX_IMAGES ? (int64_t)v : -1;
}

/* [R,k,h,w], [R k,h,w], or flat images of the last of either; square unless height and
 * width are given. */
static bool grey_sizes(lua_State *L, int at, const Tensor *t, int n, ImageDims *d)
{
    int64_t last = t->ndim > 0 ? t->dim[t->ndim - 1] : 0;
    int64_t high = count_field(L, at, "height", 0), wide = count_field(L, at, "width", 0),
            per = count_field(L, at, "per", 1);
    bool planes =
        t->ndim == 4 || (t->ndim == 3 && high == 0 && t->dim[0] == (int64_t)n * per);
    if (planes) {
        high = t->dim[t->ndim - 2];
        wide = last;
    } else if (high == 0 && wide == 0) {
        high = wide = (int64_t)llround(sqrt((double)last));
    }
    *d = (ImageDims){.h = high, .w = wide};
    return image_count(t, high * wide, n, d) && (planes || high * wide == last);
}

/* Colours are [R,k,3,h,w] or [R,k,h,w,3]; with channels also [R k,3,h,w] and flat rows.
 */
static void image_sizes(lua_State *L, int at, const Tensor *t, int n, ImageDims *d)
{
    char shape[96];
    const char *name = lb_text_field(L, at, "channels");
    Channels channels = lb_channels(L, WHERE, name ? name : "auto");
    bool colours = channels != CHANNELS_AUTO || t->ndim == 5;
    int64_t high = count_field(L, at, "height", 0), wide = count_field(L, at, "width", 0);
    bool ok = high < 0 || wide < 0 ? false
              : colours            ? lb_colour_dims(t, channels, t->ndim <= 3, high, wide, d) &&
                            image_count(t, 3 * d->h * d->w, n, d)
                      : grey_sizes(L, at, t, n, d);
    if (!ok)
        lb_error(L, ERR_SHAPE,
                 WHERE ": images %s for %d components: [%d, k, height, width], colours "
                       "[%d, k, 3, height, width] or [%d, k, height, width, 3], or rows "
                       "of flat images, `per` of them for each component",
                 tensor_format_shape(t, shape), n, n, n, n);
}

/* One text for each image of a component, or one for every image. */
static void label_images(lua_State *L, int at, Figure *f, int n)
{
    Err err;
    int per = f->n / n, have = (int)first_dim(L, at, "labels");
    if (have == 0)
        return;
    if (have != per && have != f->n)
        lb_error(L, ERR_SHAPE,
                 WHERE ": %d labels for %d images of each of %d components", have, per,
                 n);
    lua_getfield(L, at, "labels");
    for (int i = 0; i < f->n; i++) {
        lua_rawgeti(L, -1, i % have + 1);
        const char *s = lua_tostring(L, -1);
        if (!s)
            lb_error(L, ERR_OPTION, WHERE ": labels must be texts, item %d is a %s",
                     i % have + 1, luaL_typename(L, -1));
        if (!figure_set_label(f, i, s, &err))
            lb_raise(L, &err);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static LTensor *push_floats(lua_State *L, int at, const char *key)
{
    Err err;
    lua_getfield(L, at, key);
    LTensor *t = lb_check_tensor(L, -1), *flat = lb_push_tensor(L);
    if (!tensor_convert(&t->t, F32, &flat->t, &err))
        lb_raise(L, &err);
    return flat;
}

static Figure *images_item(lua_State *L, int at, int n, Figure **slot)
{
    ImageDims d;
    lua_getfield(L, at, "images");
    const Tensor *t = &lb_check_tensor(L, -1)->t;
    image_sizes(L, at, t, n, &d);
    LTensor *planes = lb_push_planes(L, t, &d, NULL);
    bool is_signed = signed_field(L, at, d.rgb ? lb_any_negative(planes) : true);
    Figure *f = lb_image_figure(L, slot, planes, &d, is_signed);
    f->scale = scale_field(L, at, is_signed ? SCALE_EACH : SCALE_SHARED);
    label_images(L, at, f, n);
    return f;
}

static Figure *bars_item(lua_State *L, int at, int n, Figure **slot)
{
    Err err;
    char shape[96];
    LTensor *t = push_floats(L, at, "bars");
    if (t->t.ndim != 2 || t->t.dim[0] != n || t->t.dim[1] < 1 || t->t.dim[1] > 4096)
        lb_error(L, ERR_SHAPE, WHERE ": bars must be [%d, bars of each], got %s", n,
                 tensor_format_shape(&t->t, shape));
    int k = (int)t->t.dim[1];
    *slot = figure_heat(n, k, t->t.data, signed_field(L, at, true), &err);
    if (!*slot)
        lb_raise(L, &err);
    lb_set_names(L, at, "names", *slot, k, figure_set_right);
    return *slot;
}

/* A curve for each component over x; with one number more than values x holds the edges
 * of bins. */
static Figure *curves_item(lua_State *L, int at, int n, Figure **slot)
{
    Err err;
    char shape[96];
    int64_t have = 0;
    LTensor *t = push_floats(L, at, "curves");
    if (t->t.ndim != 2 || t->t.dim[0] != n || t->t.dim[1] < 1 ||
        tensor_count(&t->t) > PLOT_MOST)
        lb_error(L, ERR_SHAPE, WHERE ": curves must be [%d, points of each], got %s", n,
                 tensor_format_shape(&t->t, shape));
    int k = (int)t->t.dim[1];
    const double *x = lb_push_field(L, at, "x", &have);
    if (!x || (have != k && have != k + 1))
        lb_error(L, ERR_SHAPE,
                 WHERE ": curves of %d values need %d numbers x, or %d edges of bins",
                 k, k, k + 1);
    double *y = lua_newuserdatauv(L, sizeof *y * (size_t)k, 0);
    lua_getfield(L, at, "logy");
    bool log = lua_toboolean(L, -1);
    *slot = figure_plot(&err);
    if (!*slot ||
        !figure_set_axis(*slot, false, lb_text_field(L, at, "xlabel"), false, &err) ||
        !figure_set_axis(*slot, true, lb_text_field(L, at, "ylabel"), log, &err))
        lb_raise(L, &err);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < k; j++)
            y[j] = (double)((const float *)t->t.data)[(int64_t)i * k + j];
        if (!figure_add_series(*slot, NULL, have > k ? MARK_BINS : MARK_LINE, k, x, y,
                               NULL, NULL, &err))
            lb_raise(L, &err);
    }
    return *slot;
}

static const struct {
    const char *key;
    Figure *(*make)(lua_State *L, int at, int n, Figure **slot);
    const char *fields; /* that an item may have, between blanks */
} items[] = {
    {"images", images_item, " images title signed scale labels per height width channels "},
    {"bars",   bars_item,   " bars title signed names "                          },
    {"curves", curves_item, " curves title x xlabel ylabel logy "                },
};

static void check_fields(lua_State *L, int at, size_t kind)
{
    lua_pushnil(L);
    while (lua_next(L, at)) {
        char word[64];
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        lua_pushfstring(L, " %s ", key);
        text_copy(word, sizeof word, lua_tostring(L, -1));
        if (!strstr(items[kind].fields, word))
            lb_error(L, ERR_OPTION,
                     WHERE ": unknown field '%.40s' of a part with %s; it "
                           "may have%.80s",
                     key, items[kind].key, items[kind].fields);
        lua_pop(L, 2);
    }
}

/* The item at `at` as a part of the set. */
static void add_item(lua_State *L, int at, Figure *f)
{
    Err err;
    Figure **given = luaL_testudata(L, at, LB_FIGURE), *part;
    if (given && *given) {
        part = figure_copy(*given, &err);
        if (!part || !figure_add_part(f, part, &err))
            lb_raise(L, &err);
        return;
    }
    size_t kind = 0;
    while (kind < ARRAY_LEN(items) && !lb_has_field(L, at, items[kind].key))
        kind++;
    if (kind == ARRAY_LEN(items))
        lb_error(L, ERR_OPTION,
                 WHERE
                 ": a part is a figure or a table with images, bars or curves, got "
                 "a %s",
                 luaL_typename(L, at));
    check_fields(L, at, kind);
    luaL_checkstack(L, 16, NULL);
    Figure **slot = lb_push_figure(L);
    part = items[kind].make(L, at, f->n_left, slot);
    if (!figure_set_title(part, lb_text_field(L, at, "title"), &err))
        lb_raise(L, &err);
    part->each = true;
    *slot = NULL; /* the set owns it from here */
    if (!figure_add_part(f, part, &err))
        lb_raise(L, &err);
}

static int cl_components(lua_State *L)
{
    static const char *const data[] = {"names", "metrics", "summary"};
    Err err;
    SetCfg c;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L); /* options only */
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        bool keep = lua_type(L, -2) == LUA_TSTRING;
        for (size_t i = 0; keep && i < ARRAY_LEN(data); i++)
            keep = strcmp(lua_tostring(L, -2), data[i]) != 0;
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        if (keep)
            lua_rawset(L, 2);
        else
            lua_pop(L, 2);
    }
    lb_options(L, 2, WHERE, set_options, n_set_options, &c);
    lua_settop(L, 1);
    int n = count_components(L, &c);
    Figure **slot = lb_push_figure(L), *f;
    if (!(*slot = f = figure_components(n, &err)) ||
        !figure_set_title(f, c.title, &err) || !figure_set_caption(f, c.caption, &err))
        return lb_raise(L, &err);
    f->per_row = (int)c.columns;
    lb_set_names(L, 1, "names", f, n, figure_set_left);
    add_metrics(L, f);
    add_summary(L, f);
    for (int i = 1; i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        add_item(L, lua_gettop(L), f);
        lua_settop(L, 2);
    }
    return 1;
}

/* figure:one(i): all about one component of a set, as a page. */
static int figure_one(lua_State *L)
{
    Err err;
    Figure **f = luaL_checkudata(L, 1, LB_FIGURE);
    lua_Integer r = luaL_checkinteger(L, 2);
    luaL_argcheck(L, *f, 1, "this figure was closed");
    Figure **slot = lb_push_figure(L);
    *slot =
        figure_one_component(*f, r < 1 || r > MAX_COMPONENTS ? -1 : (int)r - 1, &err);
    return *slot ? 1 : lb_raise(L, &err);
}

const LbFn lb_component_fns[] = {
    {"cl.components", "({ part, ..., names = texts, metrics = list, ... })",
     "A set of components, to be looked at one by one, sorted and paged through in the "
     "components pane (8): any dictionary, autoencoder or parameter decomposition. "
     "metrics is a list of { name =, values = numbers, null =, limit = }, one value "
     "for "
     "each component, null and limit one number or one for each; the first is what "
     "they "
     "are sorted by first. summary is a list of metrics of the whole as cl.between "
     "takes "
     "it. A part with something for each component is { images = tensor [n,k,h,w], "
     "title "
     "=, labels = k texts or one for each image, signed = true, scale = \"each\" }, "
     "also "
     "rows of flat images with per = k; colours are [n,k,3,h,w] or [n,k,h,w,3], and "
     "with channels = \"first\" or \"last\" also rows of them; { bars = tensor [n,k], names = texts, signed = "
     "true }; or { curves = tensor [n,k], x = k numbers, or k + 1 edges of bins, "
     "xlabel =, "
     "ylabel =, logy = }. The first images are the component's picture, further ones "
     "examples (give those that drive it up and down apart). A figure among the parts "
     "is "
     "about all components (a density histogram, a heat map) and comes to the "
     "overview.", cl_components, set_options, &n_set_options,
     "cl.show(cl.components { { images = cl.rng(1):normal({ 4, 2, 7, 7 }), labels = { "
     "\"+\", \"-\" } }, metrics = { { name = \"effect\", values = { 4, 3, 2, 1 } } } "
     "})"                                                         },
    {"figure:one",    "(i)",
     "All about component i (from 1) of a set made by cl.components, as a page: for "
     "reports.",  figure_one,    NULL,        NULL,           NULL},
};
const size_t lb_n_component_fns = ARRAY_LEN(lb_component_fns);
