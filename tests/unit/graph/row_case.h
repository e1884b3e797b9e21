/* row_case.h -- a row's test recipe made into tensors. A case is one alternative of the
 * recipe: inputs in f32 or f64 with the same values (f64 samples are f32 numbers),
 * attributes, and the way they are sampled. */
#ifndef CLEAVE_TEST_ROW_CASE_H
#define CLEAVE_TEST_ROW_CASE_H
#include <math.h>

#include "graph_support.h"

typedef struct Case {
    const OpRow *row;
    int index, n_in, n_out;
    bool absent[OP_MAX_IN];
    DType fixed[OP_MAX_IN]; /* N_DTYPES: a float of the case's dtype */
    int64_t limit[OP_MAX_IN];
    bool spd[OP_MAX_IN];
    Spec spec[OP_MAX_IN];
    OpAttr attr;
    int dtype_slot; /* of an attribute d left at its default, -1: none */
    char text[200];
} Case;

/* The k-th item of a list, trimmed, into dst; false when there are fewer. */
static inline bool list_item(const char *s, char sep, int k, char *dst, size_t cap)
{
    for (; k > 0 && s; k--) {
        s = strchr(s, sep);
        s = s ? s + 1 : NULL;
    }
    if (!s)
        return false;
    const char *end = strchr(s, sep);
    size_t n = end ? (size_t)(end - s) : strlen(s);
    while (n > 0 && *s == ' ')
        s++, n--;
    while (n > 0 && s[n - 1] == ' ')
        n--;
    if (n >= cap)
        fail_msg("recipe item too long: %s", s);
    memcpy(dst, s, n);
    dst[n] = '\0';
    return true;
}

static inline void case_fail(const Case *c, const char *what)
{
    fail_msg("%s [%s]: %s", c->row->name, c->text, what);
}

static inline void parse_shapes(Case *c, const char *text)
{
    char item[80], dim[24];
    if (!strcmp(text, "none"))
        return;
    for (int k = 0; list_item(text, ',', k, item, sizeof item); k++) {
        Spec *s = &c->spec[c->n_in];
        c->fixed[c->n_in] = N_DTYPES;
        if (!strcmp(item, "-"))
            c->absent[c->n_in] = true;
        for (int j = 0;
             item[0] && item[0] != '-' && list_item(item, 'x', j, dim, sizeof dim); j++)
            s->dim[s->ndim++] = strtoll(dim, NULL, 10);
        c->n_in++;
    }
}

static inline void parse_value(Case *c, const OpParam *p, const char *v)
{
    OpAttr *a = &c->attr;
    char item[24];
    DType t;
    if (p->type == 'f')
        a->f[p->slot] = strtod(v, NULL);
    else if (p->type == 'b')
        a->i[p->slot] = !strcmp(v, "true");
    else if (p->type == 's')
        snprintf(a->text, sizeof a->text, "%s", v);
    else if (p->type == 'd') {
        if (!dtype_parse(v, &t))
            case_fail(c, "unknown dtype in the recipe");
        a->i[p->slot] = t;
    } else if (p->type == 'I' || p->type == 'A') {
        a->n_list = 0;
        for (int k = 0; *v && list_item(v, ',', k, item, sizeof item); k++)
            a->list[a->n_list++] = strtoll(item, NULL, 10);
    } else
        a->i[p->slot] = !strcmp(v, "none") ? OP_AXIS_NONE : strtoll(v, NULL, 10);
}

static inline void parse_attrs(Case *c, const char *text)
{
    const OpSig *sig = op_sig(c->row);
    char item[80], name[24];
    bool given[OP_MAX_IN + OP_MAX_ATTR] = {false};
    for (int k = 0; *text && list_item(text, ' ', k, item, sizeof item); k++) {
        int j = 0;
        if (!item[0])
            continue;
        list_item(item, '=', 0, name, sizeof name);
        while (j < sig->n && strcmp(sig->p[j].name, name))
            j++;
        if (j == sig->n || sig->p[j].type == 'T' || !strchr(item, '='))
            case_fail(c, "the recipe sets an attribute that the signature lacks");
        given[j] = true;
        parse_value(c, &sig->p[j], strchr(item, '=') + 1);
    }
    for (int j = 0; j < sig->n; j++) {
        if (sig->p[j].type == 'd' && !given[j])
            c->dtype_slot = sig->p[j].slot;
        if (sig->p[j].type != 'T' && !sig->p[j].optional && !given[j])
            case_fail(c, "the recipe leaves out an attribute without default");
    }
}

/* "1:10" i32 below 10; "0:u8" bytes; "0:spd" a positive definite matrix. */
static inline void parse_kinds(Case *c)
{
    char item[32];
    for (int k = 0;
         c->row->test.ints && list_item(c->row->test.ints, ' ', k, item, sizeof item);
         k++) {
        int in = atoi(item);
        const char *kind = strchr(item, ':') + 1;
        if (!strcmp(kind, "spd")) {
            c->spd[in] = true;
            continue;
        }
        c->fixed[in] = !strcmp(kind, "u8") ? U8 : I32;
        c->limit[in] = !strcmp(kind, "u8") ? 256 : atoi(kind);
    }
}

/* Alternative k of the row's recipe; false when there are fewer. */
static inline bool case_get(const OpRow *row, int k, Case *c)
{
    char shapes[160], attrs[160] = "";
    memset(c, 0, sizeof *c);
    c->row = row;
    c->index = k;
    c->n_out = op_n_out(row);
    c->dtype_slot = -1;
    if (!list_item(row->test.shapes, ';', k, shapes, sizeof shapes))
        return false;
    if (row->test.attrs)
        list_item(row->test.attrs, ';', k, attrs, sizeof attrs);
    snprintf(c->text, sizeof c->text, "%.90s | %.90s", shapes, attrs);
    op_attr_defaults(row, &c->attr);
    parse_shapes(c, shapes);
    parse_attrs(c, attrs);
    parse_kinds(c);
    return true;
}

/* ---- values ---------------------------------------------------------------------- */

static inline double sample(const Case *c, int64_t at, int64_t total)
{
    const OpTest *t = &c->row->test;
    double lo = t->lo, hi = t->hi;
    if (lo == 0 && hi == 0)
        lo = -2, hi = 2;
    RngKey key = {11 + (uint64_t)c->index, rng_stream(c->row->name), 0};
    if (t->margin > 0 && (hi - lo) / (double)total > 3 * t->margin) {
        /* Distinct places of a grid in a fixed scattered order. */
        int64_t step = total / 2 + 1;
        while (step > 1) {
            int64_t a = step, b = total;
            while (b)
                a %= b, a ^= b, b ^= a, a ^= b;
            if (a == 1)
                break;
            step++;
        }
        int64_t place = at * step % total;
        return (float)(lo + ((double)place + 0.37) * (hi - lo) / (double)total);
    }
    double v = lo + (hi - lo) * rng_unit(key, at);
    if (t->margin > 0 && fabs(v) < 2 * t->margin)
        v = v < 0 ? -2 * t->margin : 2 * t->margin;
    return (float)v;
}

static inline void make_spd(Tensor *t)
{
    int64_t n = t->dim[0];
    Tensor m = t_make(F64, 2, t->dim);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double s = i == j ? 1.0 : 0.0;
            for (int64_t k = 0; k < n; k++)
                s += tensor_get(t, DIMS(i, k)) * tensor_get(t, DIMS(j, k));
            tensor_set(&m, DIMS(i, j), (float)s);
        }
    assert_true(tensor_copy_into(&m, t, NULL));
    tensor_release(&m);
}

static inline void put_flat(Tensor *t, int64_t i, double v)
{
    if (t->dtype == F64)
        ((double *)t->data)[i] = v;
    else if (t->dtype == F32)
        ((float *)t->data)[i] = (float)v;
    else if (t->dtype == I32)
        ((int32_t *)t->data)[i] = (int32_t)v;
    else
        ((uint8_t *)t->data)[i] = (uint8_t)v;
}

static inline void case_inputs(const Case *c, DType t, Tensor *in, const Tensor **ptr)
{
    int64_t total = 0, at = 0;
    for (int k = 0; k < c->n_in; k++)
        total += c->absent[k] || c->fixed[k] != N_DTYPES ? 0 : spec_count(&c->spec[k]);
    for (int k = 0; k < c->n_in; k++) {
        bool whole = c->fixed[k] != N_DTYPES;
        int64_t n = spec_count(&c->spec[k]);
        in[k] = (Tensor){0};
        ptr[k] = NULL;
        if (c->absent[k])
            continue;
        in[k] = t_make(whole ? c->fixed[k] : t, c->spec[k].ndim, c->spec[k].dim);
        for (int64_t i = 0; i < n; i++) {
            RngKey key = {5, rng_stream("ints"), (uint64_t)k};
            put_flat(&in[k], i,
                     whole ? (double)rng_below(key, i, c->limit[k])
                           : sample(c, at++, total));
        }
        if (c->spd[k])
            make_spd(&in[k]);
        ptr[k] = &in[k];
    }
}

static inline OpAttr case_attr(const Case *c, DType t)
{
    OpAttr a = c->attr;
    if (c->dtype_slot >= 0 && strcmp(c->row->name, "permutation"))
        a.i[c->dtype_slot] = t;
    return a;
}

static inline void release_all(Tensor *t, int n)
{
    for (int k = 0; k < n; k++)
        tensor_release(&t[k]);
}

/* The results of an op: its outputs, or for effects the inputs it wrote. */
static inline int case_results(const Case *c)
{
    int n = c->n_out;
    for (int k = 0; k < c->n_in && (c->row->flags & OP_EFFECT); k++)
        n += c->row->inplace >> k & 1;
    return n;
}

static inline void case_run(const Case *c, DType t, Tensor *in, const Tensor **ptr,
                            Tensor *res)
{
    Err err = {0};
    OpAttr a = case_attr(c, t);
    RunCtx ctx = {77, 0};
    if (!op_eager(c->row, ptr, c->n_in, &a, &ctx, res, &err))
        case_fail(c, err.msg);
    for (int k = 0, r = c->n_out; k < c->n_in && (c->row->flags & OP_EFFECT); k++)
        if (c->row->inplace >> k & 1)
            res[r++] = tensor_retain(&in[k]);
}

/* Inputs and results of a fresh eager run. */
static inline void case_eager(const Case *c, DType t, Tensor *res)
{
    Tensor in[OP_MAX_IN];
    const Tensor *ptr[OP_MAX_IN];
    case_inputs(c, t, in, ptr);
    case_run(c, t, in, ptr, res);
    release_all(in, c->n_in);
}
#endif
