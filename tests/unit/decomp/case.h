/* case.h -- small networks and dictionaries for the tests of decompositions, and
 * everything computed the long way: dense tensors, traces, loops. Random values are
 * multiples of 1/4 (exact in f32); the formula case was computed once in f64 by an
 * independent program. */
#ifndef CLEAVE_TEST_DECOMP_CASE_H
#define CLEAVE_TEST_DECOMP_CASE_H
#include "graph_support.h"

#include "decomp/dictionary.h"

typedef struct Case {
    int64_t C, E, H, I, R;
    Tensor embed, left, right, head, bias; /* f32 (random) or f64 (formula) */
    Tensor S;                              /* f64 [I,I] */
    Tensor x;                              /* f32 [N,I] */
    Interaction b;
    Dictionary d;
} Case;

static inline double *d64(const Tensor *t)
{
    return t->data;
}

static inline float *d32(const Tensor *t)
{
    return t->data;
}

/* Multiples of 1/4 in [-1,1]. */
static inline Tensor quarters(uint64_t seed, DType t, int64_t n, int64_t m)
{
    Tensor x = t_make(t, 2, DIMS(n, m));
    RngKey key = {seed, rng_stream("quarters"), 0};
    for (int64_t i = 0; i < n * m; i++) {
        double v = (double)(rng_below(key, i, 9) - 4) / 4;
        tensor_set(&x, DIMS(i / m, i % m), v);
    }
    return x;
}

/* x^T x / 4 + I / 2 */
static inline Tensor moment(const Tensor *x)
{
    int64_t n = x->dim[0], I = x->dim[1];
    Tensor S = t_make(F64, 2, DIMS(I, I));
    for (int64_t i = 0; i < I; i++)
        for (int64_t j = 0; j < I; j++) {
            double s = i == j ? 0.5 : 0;
            for (int64_t k = 0; k < n; k++)
                s += t_at(x, k * I + i) * t_at(x, k * I + j) / 4;
            d64(&S)[i * I + j] = s;
        }
    return S;
}

static inline void case_finish(Case *k)
{
    Err err = {0};
    assert_ok(interaction_new(&k->embed, &k->left, &k->right, &k->head, &k->bias, &k->b,
                              &err),
              err);
    for (int64_t r = 0; r < k->R; r++)
        d32(&k->d.head)[r * k->C + r % k->C] = 1;
    dict_find_owners(&k->d);
}

static inline Case case_random(uint64_t seed, int64_t C, int64_t E, int64_t H,
                               int64_t I, int64_t R)
{
    Err err = {0};
    Case k = {.C = C, .E = E, .H = H, .I = I, .R = R};
    k.embed = quarters(seed, F32, E, I);
    k.left = quarters(seed + 1, F32, H, E);
    k.right = quarters(seed + 2, F32, H, E);
    k.head = quarters(seed + 3, F32, C, H);
    Tensor bias = quarters(seed + 4, F32, 1, C);
    assert_ok(tensor_reshape(&bias, 1, &C, &k.bias, &err), err);
    tensor_release(&bias);
    k.x = quarters(seed + 5, F32, 7, I);
    k.S = moment(&k.x);
    assert_ok(dict_new(R, C, I, &k.d, &err), err);
    Tensor a = quarters(seed + 6, F32, R, I), b = quarters(seed + 7, F32, R, I);
    memcpy(k.d.a.data, a.data, tensor_bytes(&a));
    memcpy(k.d.b.data, b.data, tensor_bytes(&b));
    tensor_release(&a);
    tensor_release(&b);
    case_finish(&k);
    return k;
}

static inline void case_done(Case *k)
{
    Tensor *const all[] = {&k->embed, &k->left, &k->right, &k->head,
                           &k->bias,  &k->S,    &k->x};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    interaction_done(&k->b);
    dict_done(&k->d);
}

static inline double formula_a(int r, int j)
{
    double z = (j - 150.0 * (r + 1)) / 200;
    return cos(.013 * j * (r + 2) + r) * exp(-z * z);
}

static inline double formula_b(int r, int j)
{
    return 2 * sin(.017 * j * (r + 1) + .3 * r);
}

/* 6 -> 8 -> 3 on 28 x 28 pixels, 5 components, from formulas. */
static inline Case case_formula(void)
{
    Err err = {0};
    Case k = {.C = 3, .E = 6, .H = 8, .I = 784, .R = 5};
    k.embed = t_make(F64, 2, DIMS(6, 784));
    k.left = t_make(F64, 2, DIMS(8, 6));
    k.right = t_make(F64, 2, DIMS(8, 6));
    k.head = t_make(F64, 2, DIMS(3, 8));
    k.bias = t_make(F64, 1, DIMS(3));
    k.x = t_make(F32, 2, DIMS(20, 784));
    k.S = t_make(F64, 2, DIMS(784, 784));
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 784; j++)
            d64(&k.embed)[i * 784 + j] = sin(.37 * i + .011 * j * (i + 1)) / 28;
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 6; b++) {
            d64(&k.left)[a * 6 + b] = cos(.7 * a * (b + 1) + 1.3 * b);
            d64(&k.right)[a * 6 + b] = sin(.9 * a * (b + 2) + .4 * b * b);
        }
    for (int c = 0; c < 3; c++)
        for (int a = 0; a < 8; a++)
            d64(&k.head)[c * 8 + a] = cos(1.1 * c + .5 * a * (c + 1));
    static double x[20][784];
    for (int b = 0; b < 20; b++)
        for (int j = 0; j < 784; j++) {
            x[b][j] = .5 + .5 * sin(.05 * j * (b + 1) + b);
            d32(&k.x)[b * 784 + j] = (float)x[b][j];
        }
    for (int i = 0; i < 784; i++)
        for (int j = 0; j < 784; j++) {
            double s = 0;
            for (int b = 0; b < 20; b++)
                s += x[b][i] * x[b][j] / 20;
            d64(&k.S)[i * 784 + j] = s + (i == j ? .15125 : 0);
        }
    assert_ok(dict_new(5, 3, 784, &k.d, &err), err);
    for (int r = 0; r < 5; r++)
        for (int j = 0; j < 784; j++) {
            d32(&k.d.a)[r * 784 + j] = (float)formula_a(r, j);
            d32(&k.d.b)[r * 784 + j] = (float)formula_b(r, j);
        }
    case_finish(&k);
    return k;
}

/* --- the long way ----------------------------------------------------------------- */

/* B_c from the network's own weights, new [I,I]. */
static inline double *dense_network(const Case *k, int64_t c)
{
    int64_t I = k->I, E = k->E;
    double *B = calloc((size_t)(I * I), sizeof *B), *l = calloc((size_t)I, sizeof *l);
    double *r = calloc((size_t)I, sizeof *r);
    for (int64_t h = 0; h < k->H; h++) {
        memset(l, 0, sizeof *l * (size_t)I);
        memset(r, 0, sizeof *r * (size_t)I);
        for (int64_t e = 0; e < E; e++)
            for (int64_t i = 0; i < I; i++) {
                l[i] += t_at(&k->left, h * E + e) * t_at(&k->embed, e * I + i);
                r[i] += t_at(&k->right, h * E + e) * t_at(&k->embed, e * I + i);
            }
        double w = t_at(&k->head, c * k->H + h);
        for (int64_t i = 0; i < I; i++)
            for (int64_t j = 0; j < I; j++)
                B[i * I + j] += w * 0.5 * (l[i] * r[j] + r[i] * l[j]);
    }
    free(l);
    free(r);
    return B;
}

/* T_c of components first..last-1, new [I,I]. */
static inline double *dense_parts(const Dictionary *d, int64_t c, int64_t first,
                                  int64_t last)
{
    int64_t I = d->I;
    double *T = calloc((size_t)(I * I), sizeof *T);
    for (int64_t r = first; r < last; r++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t j = 0; j < I; j++) {
                const float *a = d32(&d->a) + r * I, *b = d32(&d->b) + r * I;
                double ab = (double)a[i] * (double)b[j],
                       ba = (double)b[i] * (double)a[j];
                T[i * I + j] += (double)d32(&d->head)[r * d->C + c] * 0.5 * (ab + ba);
            }
    return T;
}

/* tr(X S Y S) of symmetric X, Y; S NULL: plain. */
static inline double dense_inner(const double *X, const double *Y, const Tensor *S,
                                 int64_t I)
{
    double *Z = calloc((size_t)(I * I), sizeof *Z),
           *W = calloc((size_t)(I * I), sizeof *W);
    double s = 0;
    for (int64_t i = 0; i < I; i++)
        for (int64_t j = 0; j < I; j++) {
            Z[i * I + j] = S ? 0 : X[i * I + j];
            W[i * I + j] = S ? 0 : Y[i * I + j];
            for (int64_t k = 0; S && k < I; k++) {
                Z[i * I + j] += X[i * I + k] * d64(S)[k * I + j];
                W[i * I + j] += Y[i * I + k] * d64(S)[k * I + j];
            }
        }
    for (int64_t i = 0; i < I; i++)
        for (int64_t j = 0; j < I; j++)
            s += Z[i * I + j] * W[j * I + i];
    free(Z);
    free(W);
    return s;
}

typedef struct DenseGram {
    double TB, TT, BB;
} DenseGram;

static inline DenseGram dense_gram(const Case *k, const Dictionary *d, const Tensor *S)
{
    DenseGram g = {0};
    for (int64_t c = 0; c < k->C; c++) {
        double *B = dense_network(k, c), *T = dense_parts(d, c, 0, d->R);
        g.TB += dense_inner(T, B, S, k->I);
        g.TT += dense_inner(T, T, S, k->I);
        g.BB += dense_inner(B, B, S, k->I);
        free(B);
        free(T);
    }
    return g;
}

static inline double similarity_of(const Dictionary *d, const Interaction *b,
                                   const Tensor *S)
{
    Err err = {0};
    DictGram g;
    assert_ok(dict_gram(d, b, S, &g, NULL, &err), err);
    return gram_cosine(&g);
}
#endif
