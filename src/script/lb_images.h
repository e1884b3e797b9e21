/* lb_images.h -- how tensors become images: which axes are channels, rows and columns,
 * and the f32 planes that figures take. Colours are three channels, red, green and
 * blue; where both the first and the last axis of an image could be them, the first
 * is. u8 counts to 255. */
#ifndef CLEAVE_SCRIPT_LB_IMAGES_H
#define CLEAVE_SCRIPT_LB_IMAGES_H
#include "figure/figure.h"
#include "script/lb.h"

enum { IMAGES_MOST = 1 << 26 /* numbers of a figure, as viewers read it */ };

typedef enum Channels { CHANNELS_AUTO, CHANNELS_FIRST, CHANNELS_LAST } Channels;
/* "auto", "first" or "last"; anything else is a sentence. */
Channels lb_channels(lua_State *L, const char *where, const char *name);

typedef struct ImageDims {
    int64_t n;
    int64_t h, w;
    bool rgb, last; /* last: channels behind rows and columns */
} ImageDims;
/* The last axes of t as colour images: [...,3,h,w], or [...,h,w,3], with CHANNELS_AUTO
 * the first of both that fits; `flat`: rows of planes or of pixels, h x w or (0)
 * square. false: they are not. */
bool lb_colour_dims(const Tensor *t, Channels channels, bool flat, int64_t h, int64_t w,
                    ImageDims *d);
/* Pushes the numbers as f32, contiguous, channels in planes. Figures hold floats: where
 * the largest of f64 values is far from their range, they are in units of 10^*power
 * (NULL: they are not). */
LTensor *lb_push_planes(lua_State *L, const Tensor *t, const ImageDims *d, int *power);
/* A figure of them in its slot; raises errors. */
Figure *lb_image_figure(lua_State *L, Figure **slot, const LTensor *planes,
                        const ImageDims *d, bool is_signed);
/* Colours are signed where nothing else is said and a value is below 0. */
bool lb_any_negative(const LTensor *planes);

int lb_cl_images(lua_State *L);
extern const OptRow lb_images_options[];
extern const size_t lb_n_images_options;
#endif
