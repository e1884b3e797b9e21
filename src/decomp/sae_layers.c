/* sae_layers.c -- cross-layer transcoders as one transcoder with blocks: the sites of
 * two layers side by side are its input and its target. Latents of the first layer read
 * the first block and write both; those of the second read and write the second only.
 * A row of the decoder then is all that a latent writes, so its length is what the
 * cross-layer penalty weighs it by. */
#include <math.h>
#include <string.h>

#include "decomp/sae_int.h"

static bool make_mask(int64_t rows, int64_t width, int64_t first_rows, int64_t cut,
                      bool first_writes_all, Tensor *out, Err *err)
{
    if (!tensor_new(F32, 2, (int64_t[]){rows, width}, out, err))
        return false;
    float *v = out->data;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < width; c++)
            v[r * width + c] =
                r < first_rows ? (first_writes_all || c < cut) : c >= cut;
    return true;
}

bool sae_split(Sae *s, Err *err)
{
    const SaeCfg *c = &s->cfg;
    if (!s->own_target || c->skip || !c->unit)
        return err_set(err, ERR_OPTION,
                       "layers need a target, unit = true and no skip path");
    if (c->split_latents >= s->M || c->split_in < 1 || c->split_in >= s->D ||
        c->split_out < 1 || c->split_out >= s->O)
        return err_set(err, ERR_OPTION,
                       "split_latents, split_in and split_out must leave something to "
                       "both layers of %lld latents, %lld inputs, %lld targets",
                       (long long)s->M, (long long)s->D, (long long)s->O);
    if (!make_mask(s->M, s->D, c->split_latents, c->split_in, false, &s->mask_in,
                   err) ||
        !make_mask(s->M, s->O, c->split_latents, c->split_out, true, &s->mask_out, err))
        return false;
    sae_split_apply(s);
    return true;
}

static void apply(const Tensor *mask, const Tensor *w)
{
    for (int64_t i = 0; i < tensor_count(w); i++)
        ((float *)w->data)[i] *= ((const float *)mask->data)[i];
}

void sae_split_apply(Sae *s)
{
    if (!s->mask_in.data)
        return;
    const Tensor *dec = tset_get(s->params, "decoder");
    apply(&s->mask_in, tset_get(s->params, "encoder"));
    apply(&s->mask_out, dec);
    for (int64_t m = 0; m < s->M; m++) {
        float *row = (float *)dec->data + m * s->O;
        double sum = 0;
        for (int64_t o = 0; o < s->O; o++)
            sum += (double)row[o] * (double)row[o];
        for (int64_t o = 0; o < s->O && sum > 0; o++)
            row[o] = (float)((double)row[o] / sqrt(sum));
    }
}
