/* sae_io.c -- autoencoders in files. A file is read into parameters made by its own
 * settings, so a tensor that is missing or of another shape shows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_int.h"

enum { N_OWN = 5 };
typedef struct Own {
    const char *name;
    Tensor *t;
} Own;

static void own_tensors(Sae *s, Own own[N_OWN])
{
    const Own all[N_OWN] = {
        {"shift_in",  &s->shift_in },
        {"gain_in",   &s->gain_in  },
        {"shift_out", &s->shift_out},
        {"gain_out",  &s->gain_out },
        {"threshold", &s->theta    }
    };
    memcpy(own, all, sizeof all);
}

bool sae_save(const Sae *s, const char *path, Err *err)
{
    TensorSet *set = tset_new(err);
    Own own[N_OWN];
    own_tensors((Sae *)s, own);
    bool ok = set && tset_add_meta(set, "sae",
                                   s->own_target ? "transcoder" : "autoencoder", err);
    for (int i = 0; ok && i < tset_count(s->params); i++)
        if (strcmp(tset_name(s->params, i), "threshold"))
            ok = tset_add(set, tset_name(s->params, i), tset_at(s->params, i), err);
    for (int i = 0; ok && i < N_OWN; i++)
        ok = tset_add(set, own[i].name, own[i].t, err);
    for (size_t i = 0; ok && i < sae_n_options; i++) {
        char value[OPT_STR_CAP], key[64];
        snprintf(key, sizeof key, "sae.%s", sae_options[i].name);
        ok = tset_add_meta(set, key, opt_text(&sae_options[i], &s->cfg, value), err);
    }
    ok = ok && safetensors_save(path, set, err);
    tset_free(set);
    return ok;
}

/* ---- reading --------------------------------------------------------------------- */

static bool read_settings(const TensorSet *set, SaeCfg *cfg, Err *err)
{
    if (!tset_meta(set, "sae"))
        return err_set(err, ERR_FORMAT, "it holds no autoencoder of ours");
    if (!opt_defaults(sae_options, sae_n_options, cfg, err))
        return false;
    for (size_t i = 0; i < sae_n_options; i++) {
        char key[64];
        snprintf(key, sizeof key, "sae.%s", sae_options[i].name);
        const char *text = tset_meta(set, key);
        if (text && !opt_set_text(sae_options, sae_n_options, cfg, sae_options[i].name,
                                  text, "its settings", err))
            return false;
    }
    return true;
}

static bool take(const TensorSet *set, const char *name, Tensor *to, Err *err)
{
    char is[96], must[96];
    const Tensor *t = tset_get(set, name);
    if (!t)
        return err_set(err, ERR_FORMAT, "the tensor '%s' is missing", name);
    if (t->dtype != F32 || !tensor_same_shape(t, to))
        return err_set(err, ERR_FORMAT, "'%s' is %s, it must be %s", name,
                       tensor_format_shape(t, is), tensor_format_shape(to, must));
    for (int64_t i = 0; i < tensor_count(t); i++)
        if (!isfinite(((const float *)t->data)[i]))
            return err_set(err, ERR_FORMAT, "'%s' holds a value that is not finite",
                           name);
    return tensor_copy_into(t, to, err);
}

static bool read_shape(Sae *s, const TensorSet *set, Err *err)
{
    const Tensor *enc = tset_get(set, "encoder"), *dec = tset_get(set, "decoder");
    if (!enc || !dec || enc->ndim != 2 || dec->ndim != 2 ||
        enc->dim[0] != s->cfg.latents || enc->dim[1] < 1 || dec->dim[1] < 1)
        return err_set(err, ERR_FORMAT,
                       "encoder and decoder must be [%lld,D] and [%lld,O]",
                       (long long)s->cfg.latents, (long long)s->cfg.latents);
    s->M = s->cfg.latents;
    s->D = enc->dim[1];
    s->O = dec->dim[1];
    s->own_target = !strcmp(tset_meta(set, "sae"), "transcoder");
    if (!s->own_target && s->O != s->D)
        return err_set(err, ERR_FORMAT,
                       "an autoencoder reads what it writes, this one "
                       "reads %lld values and writes %lld",
                       (long long)s->D, (long long)s->O);
    return true;
}

static bool make_tensors(Sae *s, Err *err)
{
    return sae_make_params(s, err) && sae_make_states(s, err) &&
           tensor_zeros(F32, 1, &s->D, &s->shift_in, err) &&
           tensor_full(F32, 1, &s->D, 1, &s->gain_in, err) &&
           tensor_zeros(F32, 1, &s->O, &s->shift_out, err) &&
           tensor_full(F32, 1, &s->O, 1, &s->gain_out, err);
}

static bool read_tensors(Sae *s, const TensorSet *set, Err *err)
{
    Own own[N_OWN];
    own_tensors(s, own);
    bool ok = make_tensors(s, err);
    for (int i = 0; ok && i < tset_count(s->params); i++) {
        Tensor to = *tset_at(s->params, i);
        ok = take(set, tset_name(s->params, i), &to, err);
    }
    for (int i = 0; ok && i < N_OWN; i++)
        ok = take(set, own[i].name, own[i].t, err);
    return ok;
}

/* cfg, D, O, M and own_target are set. */
static bool settle(Sae *s, Err *err)
{
    s->act = sae_act(s->cfg.activation);
    s->norm = sae_norm_kind(s->cfg.normalise);
    if ((s->act->flags & ACT_K) && s->cfg.k > (double)s->M)
        return err_set(err, ERR_FORMAT, "k is %g, there are %lld latents", s->cfg.k,
                       (long long)s->M);
    if (s->norm == NORM_STANDARDISE && (s->own_target || s->D < 2))
        return err_set(err, ERR_FORMAT, "its normalisation does not fit its shape");
    return true;
}

static bool read_all(Sae *s, const TensorSet *set, Err *err)
{
    return read_settings(set, &s->cfg, err) && read_shape(s, set, err) &&
           settle(s, err) && read_tensors(s, set, err);
}

Sae *sae_blank(const SaeCfg *cfg, int64_t D, int64_t O, bool own_target, Err *err)
{
    Sae *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->M = cfg->latents;
    s->D = D;
    s->O = O;
    s->own_target = own_target;
    if (settle(s, err) && make_tensors(s, err))
        return s;
    sae_free(s);
    return NULL;
}

bool sae_is_transcoder(const Sae *s)
{
    return s->own_target;
}

SaeScale sae_scale(const Sae *s)
{
    return (SaeScale){s->shift_in.data, s->gain_in.data, s->shift_out.data,
                      s->gain_out.data};
}

float *sae_theta_data(Sae *s)
{
    return s->theta.data;
}

Sae *sae_load(const char *path, Err *err)
{
    TensorSet *set = NULL;
    if (!safetensors_load(path, &set, err))
        return NULL;
    Sae *s = mem_zalloc(sizeof *s, err);
    if (s && !read_all(s, set, err)) {
        if (err)
            err_prefix(err, "%s", path);
        sae_free(s);
        s = NULL;
    }
    tset_free(set);
    return s;
}
