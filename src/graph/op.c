/* op.c -- the registry of rows, their signatures, and the checks every op shares.
 *
 * Families are listed once. The first use builds, under one lock, a table of all rows,
 * an open hash of their names, and each row's parsed signature; afterwards everything
 * is read-only. An attribute's slot is its position among the attributes of the
 * signature, whatever its type, so row code may write a->i[1] for the second attribute.
 */
#include "graph/op.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "graph/families.h"

enum { MAX_ROWS = 512, HASH = 1024 };

typedef struct Family {
    const OpRow *rows;
    const int *count;
} Family;

static const Family families[] = {
    {ops_ew, &ops_ew_count},         {ops_reduce, &ops_reduce_count},
    {ops_shape, &ops_shape_count},   {ops_linalg, &ops_linalg_count},
    {ops_nn, &ops_nn_count},         {ops_index, &ops_index_count},
    {ops_random, &ops_random_count}, {ops_image, &ops_image_count},
    {ops_lapack, &ops_lapack_count}, {ops_optim, &ops_optim_count},
    {ops_einsum, &ops_einsum_count}, {ops_make, &ops_make_count},
    {ops_sae, &ops_sae_count},       {ops_spd, &ops_spd_count},
    {ops_sparse, &ops_sparse_count},       {ops_conv, &ops_conv_count},
    {ops_pool2d, &ops_pool2d_count},
};

static const OpRow *all[MAX_ROWS];
static OpSig sigs[MAX_ROWS];
static int n_all;
static int16_t hash_table[HASH]; /* 1 + index */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static unsigned hash_name(const char *s)
{
    unsigned h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* ---- signatures ------------------------------------------------------------------ */

static const char *skip_space(const char *s)
{
    while (*s == ' ')
        s++;
    return s;
}

static const char *take_word(const char *s, const char *stop, char *dst, size_t cap)
{
    size_t n = 0;
    while (*s && !strchr(stop, *s)) {
        if (n + 1 < cap)
            dst[n++] = *s;
        s++;
    }
    while (n > 0 && dst[n - 1] == ' ')
        n--;
    dst[n] = '\0';
    return s;
}

/* A number, or a quotient of two: "1/255". */
static double parse_number(const char *s)
{
    char *end;
    double v = strtod(s, &end);
    return *end == '/' ? v / strtod(end + 1, NULL) : v;
}

static void parse_default(OpParam *p)
{
    DType t;
    p->optional = true;
    p->none = !strcmp(p->def_s, "none");
    switch (p->type) {
    case 'b': p->def_i = !strcmp(p->def_s, "true"); break;
    case 'd': p->def_i = dtype_parse(p->def_s, &t) ? (int64_t)t : F32; break;
    case 'f': p->def_f = parse_number(p->def_s); break;
    case 'a':
    case 'i': p->def_i = p->none ? OP_AXIS_NONE : strtoll(p->def_s, NULL, 10); break;
    default: break;
    }
}

static void parse_sig(const char *sig, OpSig *out)
{
    int n_attr = 0;
    memset(out, 0, sizeof *out);
    const char *s = skip_space(sig);
    while (*s && out->n < OP_MAX_IN + OP_MAX_ATTR) {
        OpParam *p = &out->p[out->n++];
        s = take_word(s, ":?*,", p->name, sizeof p->name);
        p->type = 'T';
        if (*s == '?' || *s == '*') {
            p->optional = true;
            p->rest = *s == '*';
            s++;
        }
        if (*s == ':') {
            p->type = s[1];
            p->slot = n_attr++;
            s += 2;
            if (*s == '=') {
                s = take_word(s + 1, ",", p->def_s, sizeof p->def_s);
                parse_default(p);
            }
        } else {
            p->slot = out->n_tensors++;
        }
        while (*s && *s != ',')
            s++;
        s = skip_space(*s == ',' ? s + 1 : s);
    }
}

static void build(void)
{
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        for (int k = 0; k < *families[f].count && n_all < MAX_ROWS; k++) {
            const OpRow *row = &families[f].rows[k];
            unsigned h = hash_name(row->name) % HASH;
            while (hash_table[h])
                h = (h + 1) % HASH;
            parse_sig(row->sig, &sigs[n_all]);
            all[n_all++] = row;
            hash_table[h] = (int16_t)n_all;
        }
    }
}

int op_count(void)
{
    pthread_once(&once, build);
    return n_all;
}

const OpRow *op_at(int i)
{
    return i >= 0 && i < op_count() ? all[i] : NULL;
}

static int index_of(const char *name)
{
    pthread_once(&once, build);
    for (unsigned h = hash_name(name) % HASH; hash_table[h]; h = (h + 1) % HASH)
        if (!strcmp(all[hash_table[h] - 1]->name, name))
            return hash_table[h] - 1;
    return -1;
}

const OpRow *op_find(const char *name)
{
    int i = index_of(name);
    return i < 0 ? NULL : all[i];
}

const OpSig *op_sig(const OpRow *row)
{
    int i = index_of(row->name);
    return i < 0 ? NULL : &sigs[i];
}

void op_attr_defaults(const OpRow *row, OpAttr *a)
{
    const OpSig *sig = op_sig(row);
    memset(a, 0, sizeof *a);
    for (int k = 0; sig && k < sig->n; k++) {
        const OpParam *p = &sig->p[k];
        if (p->type == 'T' || !p->optional)
            continue;
        a->i[p->slot] = p->def_i;
        a->f[p->slot] = p->def_f;
        if (p->type == 's')
            text_copy(a->text, sizeof a->text, p->none ? "" : p->def_s);
    }
}

/* ---- checks ---------------------------------------------------------------------- */

bool op_axis(const OpRow *row, int64_t axis, int ndim, int *out, Err *err)
{
    if (axis == OP_AXIS_NONE)
        return err_set(err, ERR_SHAPE, "%s: an axis is needed", row->name);
    if (axis < -ndim || axis >= ndim)
        return err_set(err, ERR_SHAPE,
                       "%s: axis %lld is outside a tensor of %d dimensions", row->name,
                       (long long)(axis >= 0 ? axis + 1 : axis), ndim);
    *out = (int)(axis < 0 ? axis + ndim : axis);
    return true;
}

static bool input_count_ok(const OpRow *row, const OpSig *sig, int n_in, Err *err)
{
    int least = 0;
    bool rest = false;
    for (int k = 0; k < sig->n; k++) {
        least += sig->p[k].type == 'T' && !sig->p[k].optional;
        rest |= sig->p[k].rest;
    }
    int most = rest ? OP_MAX_IN : sig->n_tensors;
    if (n_in >= least && n_in <= most)
        return true;
    char range[48];
    if (least == most)
        snprintf(range, sizeof range, "%d", least);
    else
        snprintf(range, sizeof range, "%d to %d", least, most);
    return err_set(err, ERR_SHAPE, "%s: takes %s tensors, got %d", row->name, range,
                   n_in);
}

/* Shape rules do not know their row: its name is put in front of their sentence. */
static bool name_error(const OpRow *row, Err *err)
{
    size_t n = strlen(row->name);
    if (err && (strncmp(err->msg, row->name, n) || err->msg[n] != ':'))
        err_prefix(err, "%s", row->name);
    return false;
}

bool op_shape(const OpRow *row, const Spec *in, int n_in, const OpAttr *a, Spec *out,
              Err *err)
{
    const OpSig *sig = op_sig(row);
    OpAttr defaults;
    int first = -1;
    if (!sig)
        return err_set(err, ERR_STATE, "op '%s' is not registered", row->name);
    if (!input_count_ok(row, sig, n_in, err))
        return false;
    for (int k = 0; k < n_in; k++) {
        char sa[96], sb[96];
        bool optional = k >= sig->n_tensors || sig->p[k].optional;
        if (in[k].ndim < 0 && !optional)
            return err_set(err, ERR_SHAPE, "%s: input %d (%s) is missing", row->name,
                           k + 1, sig->p[k].name);
        if (in[k].ndim < 0 || !is_float(in[k].dtype))
            continue;
        if (first < 0)
            first = k;
        if (in[k].dtype != in[first].dtype)
            return err_set(err, ERR_SHAPE,
                           "%s: inputs %d and %d are %s and %s; cast one to the other",
                           row->name, first + 1, k + 1, spec_format(&in[first], sa),
                           spec_format(&in[k], sb));
    }
    if (!a) {
        op_attr_defaults(row, &defaults);
        a = &defaults;
    }
    memset(out, 0, sizeof *out * (size_t)op_n_out(row));
    return row->shape(in, n_in, a, out, err) || name_error(row, err);
}

int op_n_out(const OpRow *row)
{
    return row->n_out ? row->n_out : !(row->flags & OP_EFFECT);
}

/* ---- specs ----------------------------------------------------------------------- */

Spec spec_make(DType t, int ndim, const int64_t *dim)
{
    Spec s = {.dtype = t, .ndim = ndim};
    for (int k = 0; k < ndim; k++)
        s.dim[k] = dim[k];
    return s;
}

Spec spec_absent(void)
{
    return (Spec){.ndim = -1};
}

Spec spec_of(const Tensor *t)
{
    return spec_make(t->dtype, t->ndim, t->dim);
}

int64_t spec_count(const Spec *s)
{
    int64_t n = 1;
    for (int k = 0; k < s->ndim; k++)
        n *= s->dim[k];
    return n;
}
