/* lb_images.c -- galleries from Lua. Colour images come as planes (as networks see
 * them) or as pixels (as files hold them); figures take planes. */
#include "script/lb_images.h"

#include <math.h>
#include <string.h>

enum { MAX_IMAGES = 10000, MAX_SIDE = 4096 };

typedef struct ImagesCfg {
    char title[OPT_STR_CAP], caption[OPT_STR_CAP], scale[OPT_STR_CAP],
        channels[OPT_STR_CAP];
    bool is_signed;
    double limit;
    int64_t per_row, group, height, width;
} ImagesCfg;
#define IN(field) offsetof(ImagesCfg, field)
const OptRow lb_images_options[] = {
    {"title", OPT_STR, IN(title), "", 0, 0, NULL, "Line above."},
    {"caption", OPT_STR, IN(caption), "", 0, 0, NULL, "Paragraph below."},
    {"scale", OPT_ENUM, IN(scale), "shared", 0, 0, "shared each p99",
     "What full colour means: the largest |value| of the page (of colours at least 1), "
     "of each image, or the 99th percentile."},
    {"signed", OPT_BOOL, IN(is_signed), "true", 0, 0, NULL,
     "Red for positive and blue for negative; false: grey from 0 up. Of colours: mid "
     "grey is 0, and each channel goes up and down from there; without a word they are "
     "signed where a value is below 0."},
    {"channels", OPT_ENUM, IN(channels), "auto", 0, 0, "auto first last",
     "Where red, green and blue are: auto takes [n,3,height,width] and "
     "[n,height,width,3] (the former where both fit), first also [3,height,width] and "
     "rows of planes, last [height,width,3] and rows of pixels."},
    {"limit", OPT_NUM, IN(limit), "0", 0, 1e300, NULL,
     "What full colour means, for a shared scale that other figures have too; 0: the "
     "images decide."},
    {"per_row", OPT_INT, IN(per_row), "0", 0, 1000, NULL,
     "Images in a row; 0: as many as fit."},
    {"group", OPT_INT, IN(group), "0", 0, 1000, NULL,
     "So many images stay together in a row, such as 2 for pairs; 0: each for itself."},
    {"height", OPT_INT, IN(height), "0", 0, MAX_SIDE, NULL,
     "Rows of an image when the tensor holds flat images; 0: square."},
    {"width", OPT_INT, IN(width), "0", 0, MAX_SIDE, NULL,
     "Columns of an image when the tensor holds flat images; 0: square."},
};
const size_t lb_n_images_options = ARRAY_LEN(lb_images_options);

/* --- shapes ----------------------------------------------------------------------- */

Channels lb_channels(lua_State *L, const char *where, const char *name)
{
    static const char *const names[] = {"auto", "first", "last"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return (Channels)i;
    lb_error(L, ERR_OPTION, "%s: channels is auto, first or last, got '%.40s'", where,
             name);
    return CHANNELS_AUTO;
}

/* Sides of flat images of `size` numbers a channel. */
static bool flat_sides(int64_t size, int64_t h, int64_t w, ImageDims *d)
{
    int64_t side = (int64_t)llround(sqrt((double)size));
    d->h = h > 0 ? h : w > 0 ? size / w : side;
    d->w = w > 0 ? w : h > 0 ? size / h : side;
    return size > 0 && d->h <= MAX_SIDE && d->w <= MAX_SIDE && d->h * d->w == size;
}

bool lb_colour_dims(const Tensor *t, Channels channels, bool flat, int64_t h, int64_t w,
                    ImageDims *d)
{
    int k = t->ndim;
    int64_t total = tensor_count(t), last = k > 0 ? t->dim[k - 1] : 0;
    *d = (ImageDims){.rgb = true, .last = channels == CHANNELS_LAST};
    if (flat) {
        if (last % 3 != 0 || !flat_sides(last / 3, h, w, d))
            return false;
        d->n = total / last;
        return true;
    }
    if (k < 3)
        return false;
    bool first = channels != CHANNELS_LAST && t->dim[k - 3] == 3;
    d->last = !first;
    if (!first && (channels == CHANNELS_FIRST || last != 3))
        return false;
    d->h = t->dim[k - (first ? 2 : 3)];
    d->w = t->dim[k - (first ? 1 : 2)];
    if (d->h < 1 || d->w < 1)
        return false;
    d->n = total / (3 * d->h * d->w);
    return true;
}

/* [n,h,w], [n,1,h,w], [n,h,w,1], one [h,w], or flat [n,h*w] and [h*w]. */
static bool grey_dims(const Tensor *t, const ImagesCfg *c, ImageDims *d)
{
    int64_t last = t->ndim ? t->dim[t->ndim - 1] : 0;
    *d = (ImageDims){.n = t->ndim > 1 ? t->dim[0] : 1};
    if (t->ndim == 3 || (t->ndim == 4 && t->dim[1] == 1)) {
        d->h = t->dim[t->ndim - 2];
        d->w = last;
        return true;
    }
    if (t->ndim == 4 && last == 1) {
        d->h = t->dim[1];
        d->w = t->dim[2];
        return true;
    }
    if (t->ndim < 1 || t->ndim > 2)
        return false;
    if (c->height && c->width && flat_sides(last, c->height, c->width, d))
        return true;
    if (flat_sides(last, 0, 0, d))
        return true;
    *d = (ImageDims){.n = 1, .h = t->dim[0], .w = last};
    return t->ndim == 2 && d->h <= MAX_SIDE && d->w <= MAX_SIDE;
}

static void image_dims(lua_State *L, const Tensor *t, const ImagesCfg *c, ImageDims *d)
{
    char shape[96];
    Channels channels = lb_channels(L, "cl.images", c->channels);
    bool flat = channels != CHANNELS_AUTO && t->ndim <= 2;
    bool colours = (channels != CHANNELS_AUTO && t->ndim <= 4) || t->ndim == 4;
    bool fits = colours && lb_colour_dims(t, channels, flat, c->height, c->width, d);
    if (!fits && channels != CHANNELS_AUTO)
        lb_error(L, ERR_SHAPE,
                 "cl.images: %s has not three channels %s: colours are [n,%s] or one "
                 "[%s], or rows of them (square, or give height and width)",
                 tensor_format_shape(t, shape), c->channels,
                 channels == CHANNELS_FIRST ? "3,height,width" : "height,width,3",
                 channels == CHANNELS_FIRST ? "3,height,width" : "height,width,3");
    if (!fits && !grey_dims(t, c, d))
        lb_error(L, ERR_SHAPE,
                 "cl.images: %s is not [n,height,width], nor rows of square images "
                 "(give height and width), nor colours [n,3,height,width] or "
                 "[n,height,width,3]",
                 tensor_format_shape(t, shape));
    if (d->n < 1 || d->n > MAX_IMAGES || d->h < 1 || d->h > MAX_SIDE || d->w < 1 ||
        d->w > MAX_SIDE || tensor_count(t) > IMAGES_MOST)
        lb_error(L, ERR_SHAPE,
                 "cl.images: 1 to %d images of at most %d x %d, and %d numbers in all, "
                 "got %s",
                 MAX_IMAGES, MAX_SIDE, MAX_SIDE, IMAGES_MOST,
                 tensor_format_shape(t, shape));
}

/* --- numbers ---------------------------------------------------------------------- */

/* Pixels of three numbers into planes. */
static LTensor *push_apart(lua_State *L, const LTensor *pixels, const ImageDims *d)
{
    Err err;
    LTensor *out = lb_push_tensor(L);
    int64_t plane = d->h * d->w;
    if (!tensor_new(F32, 4, (int64_t[]){d->n, 3, d->h, d->w}, &out->t, &err))
        lb_raise(L, &err);
    const float *from = pixels->t.data;
    float *to = out->t.data;
    for (int64_t i = 0; i < d->n; i++, from += 3 * plane, to += 3 * plane)
        for (int64_t p = 0; p < plane; p++)
            for (int c = 0; c < 3; c++)
                to[c * plane + p] = from[3 * p + c];
    return out;
}

LTensor *lb_push_planes(lua_State *L, const Tensor *t, const ImageDims *d, int *power)
{
    Err err;
    double most = 0, unit;
    LTensor *flat = lb_push_tensor(L), *wide = lb_push_tensor(L);
    if (!tensor_convert(t, F32, &flat->t, &err) ||
        (t->dtype == F64 && !tensor_convert(t, F64, &wide->t, &err)))
        lb_raise(L, &err);
    const double *v = wide->t.data;
    float *f = flat->t.data;
    int64_t count = tensor_count(t), n = v ? count : 0;
    for (int64_t i = 0; i < n; i++)
        most = isfinite(v[i]) ? fmax(most, fabs(v[i])) : most;
    if (power)
        *power = 0;
    if (power && most > 0 && (most < 1e-30 || most > 1e30)) {
        *power = (int)fmax(floor(log10(most)), -300);
        unit = pow(10, *power);
        for (int64_t i = 0; i < n; i++)
            f[i] = (float)(v[i] / unit);
    }
    for (int64_t i = 0; d->rgb && t->dtype == U8 && i < count; i++)
        f[i] *= 1.0f / 255;
    lua_pop(L, 1);
    return d->last ? push_apart(L, flat, d) : flat;
}

bool lb_any_negative(const LTensor *planes)
{
    const float *v = planes->t.data;
    bool any = false;
    for (int64_t i = 0; i < tensor_count(&planes->t); i++)
        any = any || v[i] < 0;
    return any;
}

Figure *lb_image_figure(lua_State *L, Figure **slot, const LTensor *planes,
                        const ImageDims *d, bool is_signed)
{
    Err err;
    int n = (int)d->n, h = (int)d->h, w = (int)d->w;
    *slot = d->rgb ? figure_colours(n, h, w, planes->t.data, is_signed, &err)
                   : figure_images(n, h, w, planes->t.data, is_signed, &err);
    if (!*slot)
        lb_raise(L, &err);
    return *slot;
}

/* --- cl.images -------------------------------------------------------------------- */

/* The list of labels is on stack index `labels`, or nil. */
static void set_labels(lua_State *L, int labels, Figure *f)
{
    Err err;
    if (lua_isnil(L, labels))
        return;
    if (!lua_istable(L, labels))
        lb_error(L, ERR_OPTION, "cl.images: labels must be a list of texts, got a %s",
                 luaL_typename(L, labels));
    for (int i = 0; i < f->n; i++) {
        if (lua_rawgeti(L, labels, i + 1) != LUA_TNIL) {
            const char *text = luaL_tolstring(L, -1, NULL);
            if (!figure_set_label(f, i, text, &err))
                lb_raise(L, &err);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

static bool set_image_texts(lua_State *L, Figure *f, const ImagesCfg *c, int power,
                            Err *err)
{
    if (c->title[0] && !figure_set_title(f, c->title, err))
        return false;
    const char *text = c->caption;
    if (power)
        text = lua_pushfstring(L, "%s%svalues in units of 1e%d", text,
                               text[0] ? "; " : "", power);
    return !text[0] || figure_set_caption(f, text, err);
}

static bool says_signed(lua_State *L, int arg)
{
    if (!lua_istable(L, arg))
        return false;
    bool said = lua_getfield(L, arg, "signed") != LUA_TNIL;
    lua_pop(L, 1);
    return said;
}

int lb_cl_images(lua_State *L)
{
    Err err;
    ImagesCfg c;
    ImageDims d;
    int power;
    LTensor *src = lb_check_tensor(L, 1);
    lua_settop(L, 2);
    lb_take_option(L, 2, "labels");
    int labels = lua_gettop(L);
    bool said = says_signed(L, 2);
    lb_options(L, 2, "cl.images", lb_images_options, lb_n_images_options, &c);
    image_dims(L, &src->t, &c, &d);
    LTensor *planes = lb_push_planes(L, &src->t, &d, &power);
    Figure **slot = lb_push_figure(L);
    int figure = lua_gettop(L);
    bool is_signed = d.rgb && !said ? lb_any_negative(planes) : c.is_signed;
    Figure *f = lb_image_figure(L, slot, planes, &d, is_signed);
    f->scale = !strcmp(c.scale, "each")  ? SCALE_EACH
               : !strcmp(c.scale, "p99") ? SCALE_P99
                                         : SCALE_SHARED;
    f->per_row = (int)c.per_row;
    f->group = (int)c.group;
    f->limit = c.limit / pow(10, power);
    if (!set_image_texts(L, f, &c, power, &err))
        return lb_raise(L, &err);
    set_labels(L, labels, f);
    lua_settop(L, figure);
    return 1;
}
