/* corrupt.c -- one image at a time; draws are numbered by the example, so the first n
 * corrupted images do not depend on how many follow. */
#include "data/corrupt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/rng.h"

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(CorruptCfg, field), dflt, lo, hi, NULL, doc             \
    }
const OptRow corrupt_options[] = {
    OPT(shift, OPT_INT, "0", 0, 1000,
        "Each image is moved by up to so many pixels down, up, right and left."),
    OPT(blank, OPT_INT, "0", 0, 100000, "Side of a square somewhere that is set to 0."),
    OPT(noise, OPT_NUM, "0", 0, 1e6,
        "Standard deviation of Gaussian noise (pixels are 0 to 1)."),
    OPT(seed, OPT_INT, "1", 0, 1e15, "Seed of moves, places and noise."),
};
const size_t corrupt_n_options = ARRAY_LEN(corrupt_options);

static void move(const uint8_t *from, int h, int w, int64_t down, int64_t right,
                 uint8_t *to)
{
    memset(to, 0, (size_t)(h * w));
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            int64_t y = i - down, x = j - right;
            if (y >= 0 && y < h && x >= 0 && x < w)
                to[i * w + j] = from[y * w + x];
        }
}

static void blank_square(uint8_t *image, int w, int64_t top, int64_t left, int64_t side)
{
    for (int64_t i = top; i < top + side; i++)
        memset(image + i * w + left, 0, (size_t)side);
}

static void add_noise(uint8_t *image, int64_t pixels, int64_t example, double std,
                      uint64_t seed, float *scratch)
{
    RngKey key = {.seed = seed, .stream = rng_stream("corrupt.noise")};
    rng_normal_f32(key, example * pixels, pixels, 0, (float)(255 * std), scratch);
    for (int64_t p = 0; p < pixels; p++) {
        double v = (double)image[p] + (double)scratch[p];
        image[p] = (uint8_t)lround(fmin(fmax(v, 0), 255));
    }
}

static void corrupt_one(const Dataset *d, const CorruptCfg *c, int64_t n, uint8_t *to,
                        float *scratch)
{
    uint64_t seed = (uint64_t)c->seed;
    int64_t pixels = (int64_t)d->height * d->width, range = 2 * c->shift + 1;
    RngKey at = {.seed = seed, .stream = rng_stream("corrupt.shift")};
    int64_t down = rng_below(at, 2 * n, range) - c->shift;
    int64_t right = rng_below(at, 2 * n + 1, range) - c->shift;
    move((const uint8_t *)d->images.data + n * pixels, d->height, d->width, down, right,
         to);
    at.stream = rng_stream("corrupt.blank");
    if (c->blank > 0)
        blank_square(to, d->width, rng_below(at, 2 * n, d->height - c->blank + 1),
                     rng_below(at, 2 * n + 1, d->width - c->blank + 1), c->blank);
    if (c->noise > 0)
        add_noise(to, pixels, n, c->noise, seed, scratch);
}

static void name_it(const Dataset *d, const CorruptCfg *c, char *name)
{
    int n = snprintf(name, DATASET_NAME_CAP, "%.24s", d->name);
    if (c->shift > 0)
        n += snprintf(name + n, DATASET_NAME_CAP - (size_t)n, ", shift %d",
                      (int)c->shift);
    if (c->blank > 0)
        n += snprintf(name + n, DATASET_NAME_CAP - (size_t)n, ", blank %d",
                      (int)c->blank);
    if (c->noise > 0)
        snprintf(name + n, DATASET_NAME_CAP - (size_t)n, ", noise %.3g", c->noise);
}

bool dataset_corrupt(const Dataset *d, const CorruptCfg *cfg, Dataset *out, Err *err)
{
    Tensor images = {0};
    char name[DATASET_NAME_CAP];
    int64_t pixels = (int64_t)d->height * d->width;
    memset(out, 0, sizeof *out);
    if (cfg->blank > d->height || cfg->blank > d->width)
        return err_set(err, ERR_OPTION,
                       "a square of %lld pixels does not fit into images of %d x %d",
                       (long long)cfg->blank, d->height, d->width);
    name_it(d, cfg, name);
    float *scratch =
        mem_alloc(sizeof *scratch * (size_t)(pixels > 0 ? pixels : 1), err);
    bool ok = scratch && tensor_new(U8, 3, d->images.dim, &images, err);
    for (int64_t n = 0; ok && n < d->n; n++) {
        corrupt_one(d, cfg, n, (uint8_t *)images.data + n * pixels, scratch);
        ok = n % 256 || intr_check(err);
    }
    ok = ok && dataset_make(name, &images, &d->labels, d->n_classes, out, err);
    tensor_release(&images);
    mem_free(scratch);
    return ok;
}
