/* shapes.c -- drawing pixels by tests on their distance from the centre: a circle holds
 * those within the radius, a square those within the radius on both axes, a triangle
 * stands on the square's base with its tip at the top. All edges are inclusive. */
#include "data/shapes.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "tensor/rng.h"

enum { UNIT = 32, JITTER = 4, HEADS = 3, CHECK = 1024 };

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(ShapesCfg, field), dflt, lo, hi, NULL, doc              \
    }
const OptRow shapes_options[] = {
    OPT(train, OPT_INT, "10000", 1, 1000000, "training examples"),
    OPT(test, OPT_INT, "2000", 1, 1000000, "test examples"),
    OPT(side, OPT_INT, "32", 16, 256, "pixels on a side of an image"),
    OPT(sizes, OPT_INT, "3", 2, 3, "sizes: 3 small medium large, 2 small large"),
    OPT(noise, OPT_NUM, "0", 0, 10,
        "standard deviation of Gaussian noise on every value, clipped to 0..1"),
    OPT(seed, OPT_INT, "1", 0, 1e15, "seed of places, attributes and noise"),
};
const size_t shapes_n_options = ARRAY_LEN(shapes_options);

static const char *const head_names[HEADS] = {"shape", "colour", "size"};

const char *shapes_value(int head, int value, int sizes)
{
    static const char *const name[HEADS][3] = {
        {"circle", "square", "triangle"},
        {"red",    "green",  "blue"    },
        {"small",  "medium", "large"   }
    };
    return name[head][head == 2 && sizes == 2 && value == 1 ? 2 : value];
}

/* Small is 5 of 32 pixels, medium 8, large 10. */
static int64_t radius(const ShapesCfg *c, int64_t size)
{
    static const int64_t r[3] = {5, 8, 10};
    return r[c->sizes == 2 && size == 1 ? 2 : size] * c->side / UNIT;
}

/* x, y from the centre; y down. */
static bool covers(int64_t shape, int64_t r, int64_t x, int64_t y)
{
    bool in_box = x >= -r && x <= r && y >= -r && y <= r;
    if (shape == 0)
        return x * x + y * y <= r * r;
    return in_box && (shape == 1 || 2 * (x < 0 ? -x : x) <= y + r);
}

typedef struct Job {
    const ShapesCfg *cfg;
    RngKey look, noise;
    uint8_t *pixels;
    int32_t *labels;
} Job;

static void draw_one(const Job *j, int64_t i)
{
    const ShapesCfg *c = j->cfg;
    int64_t side = c->side, far = JITTER * side / UNIT, at = 5 * i;
    int64_t shape = rng_below(j->look, at, 3), colour = rng_below(j->look, at + 1, 3);
    int64_t size = rng_below(j->look, at + 2, c->sizes), r = radius(c, size);
    int64_t cx = side / 2 - far + rng_below(j->look, at + 3, 2 * far + 1);
    int64_t cy = side / 2 - far + rng_below(j->look, at + 4, 2 * far + 1);
    uint8_t *plane = j->pixels + (i * 3 + colour) * side * side;
    j->labels[i] = (int32_t)((shape * 3 + colour) * c->sizes + size);
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++)
            if (covers(shape, r, x - cx, y - cy))
                plane[y * side + x] = 255;
}

static void add_noise(const Job *j, int64_t i)
{
    enum { PIECE = 256 };
    float z[PIECE];
    int64_t n = 3 * j->cfg->side * j->cfg->side;
    uint8_t *p = j->pixels + i * n;
    for (int64_t k = 0; k < n; k += PIECE) {
        int64_t m = n - k < PIECE ? n - k : PIECE;
        rng_normal_f32(j->noise, i * n + k, m, 0, (float)j->cfg->noise, z);
        for (int64_t q = 0; q < m; q++) {
            float v = (float)p[k + q] / 255 + z[q];
            p[k + q] = (uint8_t)lroundf(255 * fminf(1, fmaxf(0, v)));
        }
    }
}

static bool make(const ShapesCfg *c, const char *part, int64_t n, Dataset *out,
                 Err *err)
{
    char name[DATASET_NAME_CAP] = "shapes ";
    const int head[HEADS] = {3, 3, (int)c->sizes};
    Tensor images = {0}, labels = {0};
    strcat(name, part);
    bool ok = tensor_zeros(U8, 3, (int64_t[]){n, 3 * c->side, c->side}, &images, err) &&
              tensor_zeros(I32, 1, &n, &labels, err);
    Job j = {.cfg = c, .pixels = images.data, .labels = labels.data};
    j.look = (RngKey){(uint64_t)c->seed, rng_stream(name), 0};
    strcat(name, ".noise");
    j.noise = (RngKey){(uint64_t)c->seed, rng_stream(name), 0};
    for (int64_t i = 0; ok && i < n; i++) {
        draw_one(&j, i);
        if (c->noise > 0)
            add_noise(&j, i);
        ok = i % CHECK != 0 || intr_check(err);
    }
    name[strlen(name) - strlen(".noise")] = '\0';
    ok = ok && dataset_make(name, &images, &labels, 9 * (int)c->sizes, out, err) &&
         dataset_layout(out, 3, HEADS, head, head_names, err);
    tensor_release(&images);
    tensor_release(&labels);
    return ok;
}

bool dataset_shapes(const ShapesCfg *cfg, Dataset *train, Dataset *test, Err *err)
{
    *train = *test = (Dataset){0};
    if (make(cfg, "train", cfg->train, train, err) &&
        make(cfg, "test", cfg->test, test, err))
        return true;
    dataset_done(train);
    dataset_done(test);
    return false;
}
