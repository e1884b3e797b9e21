/* toy.h -- a small data set that can be learned, models for it, and files to compare.
 */
#ifndef CLEAVE_TESTS_TOY_H
#define CLEAVE_TESTS_TOY_H
#include "support.h"

#include <math.h>

#include "base/file.h"
#include "base/intr.h"
#include "lab/evaluate.h"
#include "lab/train.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { TOY_SIDE = 6, TOY_CLASSES = 4 };

#define assert_near(got, want, tol)                                                    \
    do {                                                                               \
        double got_ = (got), want_ = (want);                                           \
        if (!(fabs(got_ - want_) <= (tol)))                                            \
            fail_msg("%s is %.9g, not %.9g", #got, got_, want_);                       \
    } while (0)

/* Images of grey noise; the label says which quarter is brighter. */
static inline Dataset toy_data(const char *name, int64_t n, uint64_t seed)
{
    Err err = {0};
    Tensor images, labels;
    Dataset d;
    RngKey key = {.seed = seed, .stream = rng_stream("toy")};
    assert_ok(tensor_new(U8, 3, (int64_t[]){n, TOY_SIDE, TOY_SIDE}, &images, &err),
              err);
    assert_ok(tensor_new(I32, 1, &n, &labels, &err), err);
    for (int64_t i = 0; i < n; i++) {
        int label = (int)rng_below(key, i, TOY_CLASSES);
        ((int32_t *)labels.data)[i] = label;
        for (int k = 0; k < TOY_SIDE * TOY_SIDE; k++) {
            int y = k / TOY_SIDE / (TOY_SIDE / 2), x = k % TOY_SIDE / (TOY_SIDE / 2);
            int64_t grey = rng_below(key, n + i * 1000 + k, 120);
            ((uint8_t *)images.data)[i * TOY_SIDE * TOY_SIDE + k] =
                (uint8_t)(grey + (2 * y + x == label ? 110 : 0));
        }
    }
    assert_ok(dataset_make(name, &images, &labels, TOY_CLASSES, &d, &err), err);
    tensor_release(&images);
    tensor_release(&labels);
    return d;
}

/* "name value" pairs over the defaults; ends in NULL. */
static inline Model *toy_model(const char *row, const char *const *set)
{
    _Alignas(16) char config[8192] = {0};
    Err err = {0};
    const ModelRow *r = model_row(row);
    assert_ok(opt_defaults(r->options, r->n_options, config, &err), err);
    const char *const size[] = {"input", "36", "classes", "4", NULL};
    for (const char *const *s = size; *s; s += 2)
        assert_ok(opt_set_text(r->options, r->n_options, config, s[0], s[1], row, &err),
                  err);
    for (; set && *set; set += 2)
        assert_ok(
            opt_set_text(r->options, r->n_options, config, set[0], set[1], row, &err),
            err);
    Model *m = model_new(r, config, &err);
    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline Model *toy_bilinear(void)
{
    return toy_model("bilinear", SET("embed", "8", "hidden", "16"));
}

static inline TrainCfg toy_cfg(const char *const *set)
{
    Err err = {0};
    TrainCfg cfg = {0};
    assert_ok(opt_defaults(train_options, train_n_options, &cfg, &err), err);
    cfg.batch = 32;
    cfg.epochs = 3;
    for (; set && *set; set += 2)
        assert_ok(opt_set_text(train_options, train_n_options, &cfg, set[0], set[1],
                               "train", &err),
                  err);
    return cfg;
}

static inline void assert_same_files(const char *a, const char *b)
{
    Err err = {0};
    char *da, *db;
    size_t na, nb;
    assert_ok(file_read_all(a, 1 << 26, &da, &na, &err), err);
    assert_ok(file_read_all(b, 1 << 26, &db, &nb, &err), err);
    if (na != nb || memcmp(da, db, na) != 0)
        fail_msg("%s and %s differ", a, b);
    mem_free(da);
    mem_free(db);
}

static inline bool files_differ(const char *a, const char *b)
{
    Err err = {0};
    char *da, *db;
    size_t na, nb;
    assert_ok(file_read_all(a, 1 << 26, &da, &na, &err), err);
    assert_ok(file_read_all(b, 1 << 26, &db, &nb, &err), err);
    bool differ = na != nb || memcmp(da, db, na) != 0;
    mem_free(da);
    mem_free(db);
    return differ;
}
#endif
