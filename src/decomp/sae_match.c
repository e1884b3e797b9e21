/* sae_match.c -- cosines of unit rows and correlations of columns are products of
 * scaled matrices; chance levels go through the same functions. */
#include "decomp/sae_match.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/match.h"
#include "decomp/sae_int.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { DRAWS = 10, AT_ONCE = 1 << 22 }; /* scores between looks at interrupts */

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(SaeMatch, field)                                         \
    }
const SaeMatchRow sae_match_rows[] = {
    ROW(alive, "Latents of the first that are active on some example."),
    ROW(other_alive, "Those of the second."),
    ROW(mmcs, "Mean of forward and back."),
    ROW(forward, "Mean over the first's latents of the largest cosine with one of the "
                 "second's, of decoder rows."),
    ROW(back, "The same from the second to the first."),
    ROW(chance, "What mmcs is for as many random directions, mean over draws."),
    ROW(chance_sd, "Its standard deviation."),
    ROW(matched, "Mean cosine of the best one-to-one matching."),
    ROW(matched_chance, "The same for random directions."),
    ROW(alike, "Mean correlation of codes over the examples, of the best one-to-one "
               "matching."),
    ROW(alike_chance, "The same with the examples of one of them shuffled."),
};
const size_t sae_n_match_rows = ARRAY_LEN(sae_match_rows);

static bool unit_rows(Tensor *t, Err *err)
{
    float *v = t->data;
    int64_t width = t->dim[1];
    for (int64_t r = 0; r < t->dim[0]; r++) {
        if (!intr_check(err))
            return false;
        double sum = 0;
        for (int64_t i = 0; i < width; i++)
            sum += (double)v[r * width + i] * (double)v[r * width + i];
        for (int64_t i = 0; i < width; i++)
            v[r * width + i] =
                sum > 0 ? (float)((double)v[r * width + i] / sqrt(sum)) : 0;
    }
    return true;
}

/* score f64 [n,m] of rows that are unit. */
static bool scores(const Tensor *a, const Tensor *b, bool size, Tensor *score, Err *err)
{
    int64_t n = a->dim[0], m = b->dim[0], width = a->dim[1];
    int64_t most = AT_ONCE / m < 1 ? 1 : AT_ONCE / m < n ? AT_ONCE / m : n;
    float *f = mem_array((size_t)(most * m), sizeof *f, err);
    bool ok = f && tensor_new(F64, 2, (int64_t[]){n, m}, score, err);
    for (int64_t i = 0; ok && i < n; i += most) {
        int64_t rows = n - i < most ? n - i : most;
        double *to = (double *)score->data + i * m;
        ok = intr_check(err) && blas_gemm_f32(false, true, rows, m, width, 1,
                                              (float *)a->data + i * width, width,
                                              b->data, width, 0, f, m, err);
        for (int64_t k = 0; ok && k < rows * m; k++)
            to[k] = size ? fabs((double)f[k]) : (double)f[k];
    }
    mem_free(f);
    return ok;
}

/* Means of the largest score of a row, and of a column. */
static bool mean_largest(const Tensor *score, double *forward, double *back, Err *err)
{
    int64_t n = score->dim[0], m = score->dim[1];
    double *top = mem_array((size_t)m, sizeof *top, err), rows = 0, columns = 0;
    bool ok = top != NULL;
    for (int64_t j = 0; ok && j < m; j++)
        top[j] = -INFINITY;
    for (int64_t i = 0; ok && i < n; i++) {
        const double *v = (double *)score->data + i * m;
        double best = -INFINITY;
        for (int64_t j = 0; j < m; j++) {
            best = fmax(best, v[j]);
            top[j] = fmax(top[j], v[j]);
        }
        rows += best;
        ok = intr_check(err);
    }
    for (int64_t j = 0; ok && j < m; j++)
        columns += top[j];
    mem_free(top);
    *forward = rows / (double)n;
    *back = columns / (double)m;
    return ok;
}

static bool matched_mean(const Tensor *score, double *out, Err *err)
{
    int32_t *column = mem_alloc(sizeof *column * (size_t)score->dim[0], err);
    bool ok = column && match_hungarian(score, column, err);
    if (ok)
        *out = match_mean(score, column);
    mem_free(column);
    return ok;
}

/* ---- what takes part ------------------------------------------------------------- */

/* Decoder rows [n,O] and standardised codes as rows [n,N] of latents in use. */
static bool take(Sae *s, const Tensor *codes, Tensor *rows, Tensor *columns, Err *err)
{
    int64_t N = codes->dim[0], M = codes->dim[1], n = 0, O = s->O;
    const float *f = codes->data, *dec = tset_get(s->params, "decoder")->data;
    bool *used = mem_zalloc((size_t)M, err);
    for (int64_t i = 0; used && i < N && !intr_pending(); i++)
        for (int64_t m = 0; m < M; m++)
            used[m] |= f[i * M + m] != 0;
    for (int64_t m = 0; used && m < M; m++)
        n += used[m];
    bool ok =
        used && intr_check(err) &&
        (n > 0 || err_set(err, ERR_NUMERIC, "no latent is active on any example")) &&
        tensor_new(F32, 2, (int64_t[]){n, O}, rows, err) &&
        tensor_new(F32, 2, (int64_t[]){n, N}, columns, err);
    for (int64_t m = 0, at = 0; ok && m < M; m++) {
        double mean = 0;
        ok = intr_check(err);
        if (!used[m] || !ok)
            continue;
        memcpy((float *)rows->data + at * O, dec + m * O, sizeof *dec * (size_t)O);
        for (int64_t i = 0; i < N; i++)
            mean += (double)f[i * M + m] / (double)N;
        for (int64_t i = 0; i < N; i++)
            ((float *)columns->data)[at * N + i] = (float)((double)f[i * M + m] - mean);
        at++;
    }
    mem_free(used);
    return ok && unit_rows(rows, err) && unit_rows(columns, err);
}

static bool open_side(Sae *s, const Tensor *x, Tensor *rows, Tensor *columns, Err *err)
{
    Tensor codes = {0};
    bool ok = sae_codes(s, x, &codes, err) && take(s, &codes, rows, columns, err);
    tensor_release(&codes);
    return ok;
}

/* ---- chance ---------------------------------------------------------------------- */

static bool random_rows(int64_t n, int64_t width, int64_t seed, int64_t draw,
                        const char *stream, Tensor *out, Err *err)
{
    if (!tensor_new(F32, 2, (int64_t[]){n, width}, out, err))
        return false;
    RngKey key = {(uint64_t)seed, rng_stream(stream), (uint64_t)draw};
    rng_normal_f32(key, 0, n * width, 0, 1, out->data);
    return unit_rows(out, err);
}

static bool chance(const Tensor *a, const Tensor *b, bool size, int64_t seed,
                   SaeMatch *out, Err *err)
{
    double sum = 0, square = 0, forward, back;
    bool ok = true;
    for (int64_t d = 0; ok && d < DRAWS; d++) {
        Tensor p = {0}, q = {0}, score = {0};
        ok = random_rows(a->dim[0], a->dim[1], seed, d, "match.a", &p, err) &&
             random_rows(b->dim[0], b->dim[1], seed, d, "match.b", &q, err) &&
             scores(&p, &q, size, &score, err) &&
             mean_largest(&score, &forward, &back, err);
        if (ok) {
            double v = (forward + back) / 2;
            sum += v;
            square += v * v;
        }
        ok = ok && (d > 0 || matched_mean(&score, &out->matched_chance, err));
        tensor_release(&p);
        tensor_release(&q);
        tensor_release(&score);
    }
    out->chance = sum / DRAWS;
    out->chance_sd = sqrt(fmax(0, square / DRAWS - out->chance * out->chance));
    return ok;
}

/* Rows with their elements moved round by half: every example meets another. */
static void shuffle(Tensor *t)
{
    int64_t width = t->dim[1], half = width / 2;
    float *v = t->data;
    for (int64_t r = 0; r < t->dim[0]; r++)
        for (int64_t i = 0; i < half; i++) {
            float keep = v[r * width + i];
            v[r * width + i] = v[r * width + i + half];
            v[r * width + i + half] = keep;
        }
}

bool sae_match(Sae *a, Sae *b, const Tensor *x, int64_t seed, SaeMatch *out, Err *err)
{
    Tensor ra = {0}, rb = {0}, ca = {0}, cb = {0}, cosine = {0}, corr = {0}, none = {0};
    bool size = (a->act->flags | b->act->flags) & ACT_SIGNED;
    *out = (SaeMatch){0};
    if (a->O != b->O)
        return err_set(err, ERR_SHAPE, "one writes %lld values, the other %lld",
                       (long long)a->O, (long long)b->O);
    bool ok =
        open_side(a, x, &ra, &ca, err) && open_side(b, x, &rb, &cb, err) &&
        scores(&ra, &rb, size, &cosine, err) && scores(&ca, &cb, size, &corr, err) &&
        matched_mean(&cosine, &out->matched, err) &&
        matched_mean(&corr, &out->alike, err) &&
        mean_largest(&cosine, &out->forward, &out->back, err) &&
        chance(&ra, &rb, size, seed, out, err);
    if (ok) {
        shuffle(&cb);
        ok = scores(&ca, &cb, size, &none, err) &&
             matched_mean(&none, &out->alike_chance, err);
    }
    if (ok) {
        out->alive = (double)ra.dim[0];
        out->other_alive = (double)rb.dim[0];
        out->mmcs = (out->forward + out->back) / 2;
        out->by_chance = out->mmcs < out->chance + 3 * fmax(out->chance_sd, 0.005);
    }
    Tensor *const own[] = {&ra, &rb, &ca, &cb, &cosine, &corr, &none};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    return ok;
}
