/* sae_files.c -- both layouts go through one plain form: u = x E + e (E [D,M]), code by
 * activation, y = f W + b (+ x S), all in raw units. Theirs that subtract the decoder's
 * bias from the input have it added back to e, and ours the other way round. */
#include "lab/sae_files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "lab/jval.h"

enum { PATH_CAP = 4096, MAX_JSON = 1 << 20 };

/* How an activation is called there; NULL: it has no name there. */
typedef struct Name {
    const char *ours, *saelens, *transcoder, *dl;
} Name;
static const Name names[] = {
    {"relu",             "standard", "transcoder",          "AutoEncoder"        },
    {"topk",             "topk",     NULL,                  "AutoEncoderTopK"    },
    {"batchtopk",        "jumprelu", "jumprelu_transcoder", "BatchTopKSAE"       },
    {"matryoshka",       "jumprelu", "jumprelu_transcoder", "BatchTopKSAE"       },
    {"jumprelu",         "jumprelu", "jumprelu_transcoder", "JumpReluAutoEncoder"},
    {"jumprelu_tanh",    "jumprelu", "jumprelu_transcoder", "JumpReluAutoEncoder"},
    {"jumprelu_sigmoid", "jumprelu", "jumprelu_transcoder", "JumpReluAutoEncoder"},
    {"gated",            "gated",    NULL,                  "GatedAutoEncoder"   },
};

/* Raw form; vectors of the activation are borrowed from the autoencoder. */
typedef struct Plain {
    int64_t D, O, M;
    Tensor E, e, W, b, S; /* [D,M] [M] [M,O] [O] [O,D]; S empty: none */
    bool subtract;        /* e goes with x - b */
} Plain;

static void plain_done(Plain *p)
{
    Tensor *const own[] = {&p->E, &p->e, &p->W, &p->b, &p->S};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

static bool plain_new(Plain *p, int64_t D, int64_t O, int64_t M, bool skip, Err *err)
{
    *p = (Plain){.D = D, .O = O, .M = M};
    return tensor_zeros(F32, 2, (int64_t[]){D, M}, &p->E, err) &&
           tensor_zeros(F32, 1, &M, &p->e, err) &&
           tensor_zeros(F32, 2, (int64_t[]){M, O}, &p->W, err) &&
           tensor_zeros(F32, 1, &O, &p->b, err) &&
           (!skip || tensor_zeros(F32, 2, (int64_t[]){O, D}, &p->S, err));
}

static const float *param(Sae *s, const char *name)
{
    return tset_get(sae_params(s), name)->data;
}

/* ---- ours to plain --------------------------------------------------------------- */

/* x' = (x - shift) gain. */
static void fold_encoder(Sae *s, Plain *p)
{
    SaeScale k = sae_scale(s);
    const float *E = param(s, "encoder"), *e = param(s, "encoder_bias");
    const float *b = param(s, "decoder_bias");
    float *to = p->E.data, *bias = p->e.data;
    bool own = sae_is_transcoder(s);
    for (int64_t m = 0; m < p->M; m++) {
        double sum = (double)e[m];
        for (int64_t d = 0; d < p->D; d++) {
            double w = (double)E[m * p->D + d], g = (double)k.gain_in[d];
            to[d * p->M + m] = (float)(w * g);
            if (own)
                sum -= w * g * (double)k.shift_in[d];
        }
        bias[m] = (float)sum;
    }
    (void)b;
    p->subtract = !own;
}

static void fold_decoder(Sae *s, Plain *p)
{
    SaeScale k = sae_scale(s);
    const float *W = param(s, "decoder"), *b = param(s, "decoder_bias");
    const Tensor *skip = tset_get(sae_params(s), "skip");
    for (int64_t o = 0; o < p->O; o++) {
        double g = (double)k.gain_out[o], bias = (double)b[o] / g;
        for (int64_t m = 0; m < p->M; m++)
            ((float *)p->W.data)[m * p->O + o] = (float)((double)W[m * p->O + o] / g);
        for (int64_t d = 0; p->S.data && d < p->D; d++) {
            double w =
                (double)((float *)skip->data)[o * p->D + d] * (double)k.gain_in[d] / g;
            ((float *)p->S.data)[o * p->D + d] = (float)w;
            bias -= w * (double)k.shift_in[d];
        }
        ((float *)p->b.data)[o] = (float)(bias + (double)k.shift_out[o]);
    }
}

/* Weights for an input of length sqrt(D) in place of 1. */
static void rescale(Plain *p, double k)
{
    for (int64_t i = 0; i < tensor_count(&p->E); i++)
        ((float *)p->E.data)[i] = (float)((double)((float *)p->E.data)[i] / k);
    for (int64_t i = 0; i < tensor_count(&p->W); i++)
        ((float *)p->W.data)[i] = (float)((double)((float *)p->W.data)[i] * k);
    for (int64_t i = 0; i < p->O; i++)
        ((float *)p->b.data)[i] = (float)((double)((float *)p->b.data)[i] * k);
}

/* Moves the decoder's bias out of the input, or into it. */
static void set_subtract(Plain *p, bool subtract)
{
    float *e = p->e.data;
    const float *E = p->E.data, *b = p->b.data;
    if (p->subtract == subtract)
        return;
    for (int64_t m = 0; m < p->M; m++) {
        double sum = 0;
        for (int64_t d = 0; d < p->D; d++)
            sum += (double)E[d * p->M + m] * (double)b[d];
        e[m] = (float)((double)e[m] + (subtract ? sum : -sum));
    }
    p->subtract = subtract;
}

static bool to_plain(Sae *s, Plain *p, Err *err)
{
    if (!plain_new(p, sae_in(s), sae_out(s), sae_latents(s), sae_cfg(s)->skip, err))
        return false;
    fold_encoder(s, p);
    fold_decoder(s, p);
    return true;
}

static bool flip(const Tensor *t, Tensor *out, Err *err)
{
    Tensor v;
    if (!tensor_transpose(t, 0, 1, &v, err))
        return false;
    bool ok = tensor_copy(&v, out, err);
    tensor_release(&v);
    return ok;
}

/* ---- writing --------------------------------------------------------------------- */

static const Name *name_of(const Sae *s, const char *layout, Err *err)
{
    const char *act = sae_cfg(s)->activation;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i].ours, act))
            return &names[i];
    err_set(err, ERR_OPTION, "%s has no activation like %s", layout, act);
    return NULL;
}

static bool in_folder(char *path, const char *folder, const char *file, Err *err)
{
    if (snprintf(path, PATH_CAP, "%s/%s", folder, file) < PATH_CAP)
        return true;
    return err_set(err, ERR_IO, "the folder's path is too long");
}

static bool write_json(const char *folder, const char *file, json_t *j, Err *err)
{
    char path[PATH_CAP], *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    bool ok = text ? in_folder(path, folder, file, err) &&
                         file_write_all(path, text, strlen(text), err)
                   : err_set(err, ERR_MEMORY, "out of memory");
    free(text);
    json_decref(j);
    return ok;
}

static bool add(TensorSet *set, const char *name, const Tensor *t, Err *err)
{
    return tset_add(set, name, t, err);
}

static bool add_vector(TensorSet *set, const char *name, const float *v, int64_t n,
                       Err *err)
{
    Tensor t;
    if (!tensor_new(F32, 1, &n, &t, err))
        return false;
    memcpy(t.data, v, sizeof *v * (size_t)n);
    bool ok = tset_add(set, name, &t, err);
    tensor_release(&t);
    return ok;
}

static bool add_flipped(TensorSet *set, const char *name, const Tensor *t, Err *err)
{
    Tensor f = {0};
    bool ok = flip(t, &f, err) && tset_add(set, name, &f, err);
    tensor_release(&f);
    return ok;
}

static bool add_number(TensorSet *set, const char *name, DType t, double v, Err *err)
{
    Tensor x;
    bool ok = tensor_full(t, 0, NULL, v, &x, err) && tset_add(set, name, &x, err);
    tensor_release(&x);
    return ok;
}

static bool saelens_name(const Sae *s, const Name *n, const char **arch,
                         const char **norm, Err *err)
{
    const SaeCfg *c = sae_cfg(s);
    bool own = sae_is_transcoder(s);
    *norm = !strcmp(c->normalise, "standardise") ? "layer_norm"
            : !strcmp(c->normalise, "unit")      ? "constant_norm_rescale"
                                                 : "none";
    *arch = own ? n->transcoder : n->saelens;
    if (own && c->skip && !strcmp(n->ours, "relu"))
        *arch = "skip_transcoder";
    else if (c->skip)
        *arch = NULL;
    if (own && strcmp(*norm, "none"))
        return err_set(err, ERR_OPTION,
                       "a transcoder in SAELens has no normalisation of examples "
                       "(normalise = \"%s\")",
                       c->normalise);
    return *arch || err_set(err, ERR_OPTION, "SAELens has no %s%s of %s",
                            own ? "transcoder" : "autoencoder",
                            c->skip ? " with a skip path" : "", n->ours);
}

static bool write_saelens(Sae *s, Plain *p, const char *folder, Err *err)
{
    const char *arch, *norm;
    const Name *n = name_of(s, "SAELens", err);
    if (!n || !saelens_name(s, n, &arch, &norm, err))
        return false;
    bool gated = !strcmp(arch, "gated"), own = sae_is_transcoder(s);
    if (!strcmp(norm, "constant_norm_rescale"))
        rescale(p, sqrt((double)p->D));
    TensorSet *set = tset_new(err);
    char path[PATH_CAP];
    bool ok =
        set && add(set, "W_enc", &p->E, err) && add(set, "W_dec", &p->W, err) &&
        add(set, "b_dec", &p->b, err) &&
        add(set, gated ? "b_gate" : "b_enc", &p->e, err) &&
        (!gated || (add_vector(set, "r_mag", param(s, "log_gain"), p->M, err) &&
                    add_vector(set, "b_mag", param(s, "magnitude_bias"), p->M, err))) &&
        (strncmp(arch, "jump", 4) ||
         add_vector(set, "threshold", sae_theta_data(s), p->M, err)) &&
        (!p->S.data || add(set, "W_skip", &p->S, err)) &&
        in_folder(path, folder, "sae_weights.safetensors", err) &&
        safetensors_save(path, set, err);
    tset_free(set);
    if (!ok)
        return false;
    json_t *j = json_pack("{s:s,s:I,s:I,s:s,s:s,s:b,s:s,s:s,s:{}}", "architecture",
                          arch, "d_in", (json_int_t)p->D, "d_sae", (json_int_t)p->M,
                          "dtype", "float32", "device", "cpu", "apply_b_dec_to_input",
                          !own, "normalize_activations", norm, "reshape_activations",
                          "none", "metadata");
    if (j && own)
        json_object_set_new(j, "d_out", json_integer(p->O));
    if (j && !strcmp(arch, "topk")) {
        json_object_set_new(j, "k", json_integer(llround(sae_cfg(s)->k)));
        json_object_set_new(j, "rescale_acts_by_decoder_norm", json_false());
    }
    return write_json(folder, "cfg.json", j, err);
}

static bool dl_tensors(Sae *s, Plain *p, const Name *n, TensorSet *set, Err *err)
{
    if (!strcmp(n->dl, "JumpReluAutoEncoder")) {
        set_subtract(p, false);
        return add(set, "W_enc", &p->E, err) && add(set, "b_enc", &p->e, err) &&
               add(set, "W_dec", &p->W, err) && add(set, "b_dec", &p->b, err) &&
               add_vector(set, "threshold", sae_theta_data(s), p->M, err);
    }
    if (!add_flipped(set, "encoder.weight", &p->E, err) ||
        !add_flipped(set, "decoder.weight", &p->W, err))
        return false;
    if (!strcmp(n->dl, "GatedAutoEncoder"))
        return add(set, "decoder_bias", &p->b, err) &&
               add(set, "gate_bias", &p->e, err) &&
               add_vector(set, "r_mag", param(s, "log_gain"), p->M, err) &&
               add_vector(set, "mag_bias", param(s, "magnitude_bias"), p->M, err);
    if (!add(set, "encoder.bias", &p->e, err))
        return false;
    if (!strcmp(n->dl, "AutoEncoder"))
        return add(set, "bias", &p->b, err);
    bool shared = !strcmp(n->dl, "BatchTopKSAE");
    return add(set, "b_dec", &p->b, err) &&
           add_number(set, "k", I32, round(sae_cfg(s)->k), err) &&
           add_number(set, "threshold", F32, shared ? (double)sae_theta_data(s)[0] : -1,
                      err);
}

static bool write_dl(Sae *s, Plain *p, const char *folder, Err *err)
{
    char path[PATH_CAP];
    const SaeCfg *c = sae_cfg(s);
    const Name *n = name_of(s, "dictionary_learning", err);
    if (!n)
        return false;
    if (sae_is_transcoder(s) || c->skip || !strcmp(c->normalise, "unit") ||
        !strcmp(c->normalise, "standardise"))
        return err_set(err, ERR_OPTION,
                       "dictionary_learning's %s has no target, skip path or "
                       "normalisation of examples",
                       n->dl);
    TensorSet *set = tset_new(err);
    bool ok = set && dl_tensors(s, p, n, set, err) &&
              in_folder(path, folder, "ae.pt", err) && torch_save(path, set, err);
    tset_free(set);
    if (!ok)
        return false;
    json_t *j = json_pack("{s:{s:s,s:I,s:I},s:{}}", "trainer", "dict_class", n->dl,
                          "activation_dim", (json_int_t)p->D, "dict_size",
                          (json_int_t)p->M, "buffer");
    if (j && strstr(n->dl, "TopK"))
        json_object_set_new(json_object_get(j, "trainer"), "k",
                            json_integer(llround(c->k)));
    return write_json(folder, "config.json", j, err);
}

bool sae_export(Sae *s, const char *folder, const char *layout, Err *err)
{
    Plain p = {0};
    bool dl = layout && !strcmp(layout, "dictionary_learning");
    if (layout && !dl && strcmp(layout, "saelens"))
        return err_set(err, ERR_OPTION,
                       "there is no layout '%.40s'; there are saelens and "
                       "dictionary_learning",
                       layout);
    if (!file_is_dir(folder) && mkdir(folder, 0777) && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder '%.200s': %s", folder,
                       strerror(errno));
    bool ok = to_plain(s, &p, err) &&
              (dl ? write_dl(s, &p, folder, err) : write_saelens(s, &p, folder, err));
    plain_done(&p);
    return ok;
}

/* ---- reading --------------------------------------------------------------------- */

typedef struct Found {
    SaeCfg cfg;
    Plain p;
    TensorSet *set;
    const float *theta; /* [n_theta] or NULL */
    int64_t n_theta;
    const float *log_gain, *magnitude; /* [M] or NULL */
    bool transcoder;
} Found;

static const Tensor *need(const TensorSet *set, const char *name, int ndim, Err *err)
{
    char is[96];
    const Tensor *t = tset_get(set, name);
    if (!t) {
        err_set(err, ERR_FORMAT, "the tensor '%s' is missing", name);
        return NULL;
    }
    if (t->dtype == F32 && t->ndim == ndim && tensor_finite(t))
        return t;
    err_set(err, ERR_FORMAT, "'%s' must be finite f32 of %d dimension%s, it is %s",
            name, ndim, ndim > 1 ? "s" : "", tensor_format_shape(t, is));
    return NULL;
}

/* Copies the tensor into `to`, whose shape it must have, flipped or not. */
static bool take(const TensorSet *set, const char *name, bool flipped, Tensor *to,
                 Err *err)
{
    char is[96], must[96];
    Tensor v = {0};
    const Tensor *t = need(set, name, to->ndim, err);
    if (!t || (flipped && !flip(t, &v, err)))
        return false;
    bool ok = tensor_same_shape(flipped ? &v : t, to);
    if (ok)
        memcpy(to->data, flipped ? v.data : t->data, tensor_bytes(to));
    else
        err_set(err, ERR_FORMAT, "'%s' is %s, which does not fit %s", name,
                tensor_format_shape(t, is), tensor_format_shape(to, must));
    tensor_release(&v);
    return ok;
}

static bool borrow(const TensorSet *set, const char *name, int64_t n, const float **to,
                   Err *err)
{
    const Tensor *t = need(set, name, 1, err);
    if (!t)
        return false;
    *to = t->data;
    return t->dim[0] == n ||
           err_set(err, ERR_FORMAT, "'%s' must have %lld elements", name, (long long)n);
}

static bool read_json(const char *folder, const char *file, json_t **out, Err *err)
{
    char path[PATH_CAP], *text = NULL;
    size_t n = 0;
    json_error_t at;
    if (!in_folder(path, folder, file, err) ||
        !file_read_all(path, MAX_JSON, &text, &n, err))
        return false;
    *out = json_loadb(text, n, 0, &at);
    mem_free(text);
    return *out ? true
                : err_set(err, ERR_FORMAT, "%s, line %d: %s", file, at.line, at.text);
}

static bool set_activation(Found *f, const char *ours, double k, Err *err)
{
    if (!opt_defaults(sae_options, sae_n_options, &f->cfg, err))
        return false;
    text_copy(f->cfg.activation, sizeof f->cfg.activation, ours);
    text_copy(f->cfg.normalise, sizeof f->cfg.normalise, "none");
    f->cfg.unit = false;
    f->cfg.latents = f->p.M;
    if (k > 0)
        f->cfg.k = k;
    return true;
}

static bool saelens_shape(Found *f, const char *arch, Err *err)
{
    const Tensor *E = need(f->set, "W_enc", 2, err), *W = need(f->set, "W_dec", 2, err);
    bool gated = !strcmp(arch, "gated"), skip = !strcmp(arch, "skip_transcoder");
    return E && W && plain_new(&f->p, E->dim[0], W->dim[1], E->dim[1], skip, err) &&
           take(f->set, "W_enc", false, &f->p.E, err) &&
           take(f->set, "W_dec", false, &f->p.W, err) &&
           take(f->set, "b_dec", false, &f->p.b, err) &&
           take(f->set, gated ? "b_gate" : "b_enc", false, &f->p.e, err) &&
           (!skip || take(f->set, "W_skip", false, &f->p.S, err)) &&
           (!gated || (borrow(f->set, "r_mag", f->p.M, &f->log_gain, err) &&
                       borrow(f->set, "b_mag", f->p.M, &f->magnitude, err)));
}

static bool saelens_settings(Found *f, const json_t *j, const char *arch, Err *err)
{
    const char *norm = jval_get(j, "normalize_activations", "none");
    const json_t *a = json_object_get(j, "apply_b_dec_to_input");
    bool jump = strstr(arch, "jumprelu") != NULL, topk = !strcmp(arch, "topk");
    int64_t D = jval_get_int(j, "d_in", f->p.D), M = jval_get_int(j, "d_sae", f->p.M);
    if (D != f->p.D || M != f->p.M)
        return err_set(err, ERR_FORMAT,
                       "cfg.json says %lld inputs and %lld latents, the weights have "
                       "%lld and %lld",
                       (long long)D, (long long)M, (long long)f->p.D,
                       (long long)f->p.M);
    f->transcoder = strstr(arch, "transcoder") != NULL;
    f->p.subtract = !f->transcoder && (!a || json_is_true(a));
    if (topk && json_is_true(json_object_get(j, "rescale_acts_by_decoder_norm")))
        return err_set(err, ERR_OPTION,
                       "it selects by activations times the length of decoder rows; "
                       "fold it there first");
    if (topk && jval_get_int(j, "k", 0) < 1)
        return err_set(err, ERR_FORMAT, "cfg.json: k is missing");
    if (!set_activation(f,
                        jump                     ? "jumprelu"
                        : topk                   ? "topk"
                        : !strcmp(arch, "gated") ? "gated"
                                                 : "relu",
                        topk ? (double)jval_get_int(j, "k", 0) : 0, err))
        return false;
    f->cfg.skip = !strcmp(arch, "skip_transcoder");
    if (!strcmp(norm, "layer_norm"))
        text_copy(f->cfg.normalise, sizeof f->cfg.normalise, "standardise");
    else if (!strcmp(norm, "constant_norm_rescale"))
        text_copy(f->cfg.normalise, sizeof f->cfg.normalise, "unit");
    else if (strcmp(norm, "none"))
        return err_set(err, ERR_OPTION,
                       "normalize_activations is '%.40s', whose factor is not in the "
                       "files: fold it there first",
                       norm);
    f->n_theta = jump ? f->p.M : 0;
    return !jump || borrow(f->set, "threshold", f->p.M, &f->theta, err);
}

static bool read_saelens(const char *folder, Found *f, Err *err)
{
    static const char *const known[] = {"standard",           "topk",
                                        "jumprelu",           "gated",
                                        "transcoder",         "skip_transcoder",
                                        "jumprelu_transcoder"};
    char path[PATH_CAP], arch[64] = "";
    json_t *j = NULL;
    bool ok = read_json(folder, "cfg.json", &j, err), is_known = false;
    const json_t *named = json_object_get(j, "architecture");
    if (ok && (!json_is_object(j) || (named && !json_is_string(named))))
        ok = err_set(err, ERR_FORMAT,
                     "cfg.json: the settings of an autoencoder are an "
                     "object whose architecture is a text");
    if (ok)
        text_copy(arch, sizeof arch, jval_get(j, "architecture", "standard"));
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        is_known |= !strcmp(arch, known[i]);
    if (ok && !is_known)
        ok = err_set(err, ERR_OPTION, "its architecture '%.40s' is none of ours", arch);
    ok = ok && in_folder(path, folder, "sae_weights.safetensors", err) &&
         safetensors_load(path, &f->set, err) && saelens_shape(f, arch, err) &&
         saelens_settings(f, j, arch, err);
    json_decref(j);
    if (ok && !strcmp(f->cfg.normalise, "unit"))
        rescale(&f->p, 1 / sqrt((double)f->p.D));
    return ok;
}

/* The tensors of the four classes whose encoder and decoder are linear layers. */
static bool dl_linear(Found *f, const char *class, Err *err)
{
    const Tensor *E = need(f->set, "encoder.weight", 2, err);
    bool gated = !strcmp(class, "GatedAutoEncoder"),
         topk = strstr(class, "TopK") != NULL;
    if (!E || !plain_new(&f->p, E->dim[1], E->dim[1], E->dim[0], false, err) ||
        !take(f->set, "encoder.weight", true, &f->p.E, err) ||
        !take(f->set, "decoder.weight", true, &f->p.W, err) ||
        !take(f->set, gated ? "gate_bias" : "encoder.bias", false, &f->p.e, err) ||
        !take(f->set,
              gated  ? "decoder_bias"
              : topk ? "b_dec"
                     : "bias",
              false, &f->p.b, err))
        return false;
    f->p.subtract = true;
    return !gated || (borrow(f->set, "r_mag", f->p.M, &f->log_gain, err) &&
                      borrow(f->set, "mag_bias", f->p.M, &f->magnitude, err));
}

static bool dl_threshold(Found *f, Err *err)
{
    const Tensor *t = need(f->set, "threshold", 0, err);
    if (!t)
        return false;
    f->theta = t->data;
    f->n_theta = 1;
    return *f->theta >= 0 ||
           err_set(err, ERR_OPTION,
                   "its threshold was never set: without one an example's code would "
                   "depend on its batch");
}

static bool dl_class(Found *f, const char *class, double k, Err *err)
{
    if (!strcmp(class, "JumpReluAutoEncoder"))
        return saelens_shape(f, "jumprelu", err) &&
               set_activation(f, "jumprelu", 0, err) &&
               (f->n_theta = f->p.M,
                borrow(f->set, "threshold", f->p.M, &f->theta, err));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i].dl, class))
            return dl_linear(f, class, err) &&
                   set_activation(f, names[i].ours, k, err) &&
                   (strcmp(class, "BatchTopKSAE") || dl_threshold(f, err));
    return err_set(err, ERR_OPTION, "its class '%.60s' is none of ours", class);
}

static bool read_dl(const char *folder, Found *f, Err *err)
{
    char path[PATH_CAP], class[64] = "";
    json_t *j = NULL;
    double k = 0;
    bool ok = read_json(folder, "config.json", &j, err);
    const json_t *t = ok ? json_object_get(j, "trainer") : NULL;
    if (t) {
        text_copy(class, sizeof class, jval_get(t, "dict_class", ""));
        k = jval_to_number(json_object_get(t, "k"), 0);
    }
    ok = ok && in_folder(path, folder, "ae.pt", err) &&
         torch_load(path, &f->set, err) && dl_class(f, class, k, err);
    json_decref(j);
    return ok;
}

/* ---- plain to ours --------------------------------------------------------------- */

static bool put(Sae *s, const char *name, const Tensor *t, Err *err)
{
    Tensor to = *tset_get(sae_params(s), name);
    return tensor_copy_into(t, &to, err);
}

static Sae *from_plain(Found *f, Err *err)
{
    Plain *p = &f->p;
    Tensor flat = {0};
    bool own = f->transcoder;
    if (!own && p->D != p->O) {
        err_set(err, ERR_FORMAT, "it reads %lld values and writes %lld",
                (long long)p->D, (long long)p->O);
        return NULL;
    }
    if (!own)
        set_subtract(p, true);
    Sae *s = sae_blank(&f->cfg, p->D, p->O, own, err);
    bool ok = s && flip(&p->E, &flat, err) && put(s, "encoder", &flat, err) &&
              put(s, "encoder_bias", &p->e, err) && put(s, "decoder", &p->W, err) &&
              put(s, "decoder_bias", &p->b, err) &&
              (!p->S.data || put(s, "skip", &p->S, err));
    for (int64_t m = 0; ok && f->theta && m < p->M; m++)
        sae_theta_data(s)[m] = f->theta[f->n_theta == 1 ? 0 : m];
    for (int64_t m = 0; ok && f->log_gain && m < p->M; m++) {
        ((float *)tset_get(sae_params(s), "log_gain")->data)[m] = f->log_gain[m];
        ((float *)tset_get(sae_params(s), "magnitude_bias")->data)[m] = f->magnitude[m];
    }
    tensor_release(&flat);
    if (ok)
        return s;
    sae_free(s);
    return NULL;
}

Sae *sae_import(const char *folder, Err *err)
{
    Found f = {0};
    char path[PATH_CAP];
    Sae *s = NULL;
    bool ok = in_folder(path, folder, "cfg.json", err), lens = ok && file_exists(path);
    ok = ok && in_folder(path, folder, "config.json", err);
    if (ok && !lens && !file_exists(path))
        ok = err_set(err, ERR_FORMAT, "it has neither cfg.json nor config.json");
    if (ok && (lens ? read_saelens(folder, &f, err) : read_dl(folder, &f, err)))
        s = from_plain(&f, err);
    plain_done(&f.p);
    tset_free(f.set);
    if (!s && err)
        err_prefix(err, "%.200s", folder);
    return s;
}
