/* ops_einsum.c -- Einstein summation of one or two operands.
 *
 * 1. Letters that only one operand has and the result lacks are summed away first.
 * 2. The rest fall into batch (both operands and the result), rows M (first and
 * result), columns N (second and result) and contracted K (both, not the result).
 * 3. Each operand is used in place if its letters read batch M K or batch K M (a GEMM
 * flag says which), else copied into that order; the same holds for the result, where
 * batch N M is had by exchanging the operands.
 * 4. Many small products go to a kernel of ours, few large ones to GEMM.
 * Everything is decided by the letters and the shapes. */
#include <ctype.h>
#include <string.h>

#include "graph/build.h"
#include "graph/einsum_kern.h"
#include "graph/ew_kern.h"
#include "graph/families.h"
#include "tensor/blas.h"

enum { MAX_LETTERS = 2 * MAX_DIM + 1, SMALL_PRODUCT = 8192 };

typedef struct Term {
    int n;
    char l[MAX_LETTERS + 1];
    int64_t d[MAX_LETTERS];
} Term;

typedef struct Ein {
    int n_in;
    Term in[2], sum[2],
        use[2];     /* as given; letters summed away; as the product wants */
    Term out, made; /* as asked; as the product makes it */
    bool swap, trans[2];
    int64_t B, M, N, K;
    size_t at_copy[2], at_sum[2], at_use[2], at_made, at_own,
        total; /* scratch, bytes */
} Ein;

/* ---- letters --------------------------------------------------------------------- */

static bool has(const Term *t, char c)
{
    return memchr(t->l, c, (size_t)t->n) != NULL;
}

static void push(Term *t, char c, int64_t d)
{
    t->l[t->n] = c;
    t->d[t->n++] = d;
    t->l[t->n] = '\0';
}

static void push_all(Term *t, const Term *more)
{
    for (int k = 0; k < more->n; k++)
        push(t, more->l[k], more->d[k]);
}

static bool same_letters(const Term *a, const Term *b)
{
    return a->n == b->n && !memcmp(a->l, b->l, (size_t)a->n);
}

static int64_t count_of(const Term *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->n; k++)
        n *= t->d[k];
    return n;
}

static const char *read_term(const char *s, const char *text, Term *t, Err *err,
                             bool *ok)
{
    t->n = 0;
    t->l[0] = '\0';
    for (; *s && *s != ',' && strncmp(s, "->", 2); s++) {
        if (*s == ' ')
            continue;
        if (!isalpha((unsigned char)*s))
            *ok = err_set(err, ERR_SHAPE, "'%s' has '%c' where a letter is needed",
                          text, *s);
        else if (has(t, *s))
            *ok = err_set(
                err, ERR_SHAPE,
                "'%s' names '%c' twice in one operand; take its diagonal with diag "
                "first",
                text, *s);
        else if (t->n == MAX_DIM)
            *ok =
                err_set(err, ERR_SHAPE, "'%s' has more than %d letters in one operand",
                        text, MAX_DIM);
        else
            push(t, *s, 0);
        if (!*ok)
            break;
    }
    return s;
}

static bool bind_dims(Term *t, const Spec *s, int k, const char *text, Err *err)
{
    char shape[96];
    if (t->n != s->ndim)
        return err_set(err, ERR_SHAPE, "'%s' has %d letters for input %d, which is %s",
                       text, t->n, k + 1, spec_format(s, shape));
    memcpy(t->d, s->dim, sizeof *t->d * (size_t)t->n);
    return true;
}

static bool find_dim(const Ein *e, char c, int64_t *d)
{
    for (int k = 0; k < e->n_in; k++) {
        const char *p = memchr(e->in[k].l, c, (size_t)e->in[k].n);
        if (p) {
            *d = e->in[k].d[p - e->in[k].l];
            return true;
        }
    }
    return false;
}

/* Without "->": the letters that occur once, in alphabetical order. */
static void implied_output(Ein *e)
{
    e->out.n = 0;
    for (int c = 'A'; c <= 'z'; c++) {
        int seen = has(&e->in[0], (char)c) + (e->n_in > 1 && has(&e->in[1], (char)c));
        if (seen == 1 && e->out.n < MAX_DIM)
            push(&e->out, (char)c, 0);
    }
}

static bool parse(const char *text, const Spec *in, int n_in, Ein *e, Err *err)
{
    bool ok = true;
    e->n_in = n_in;
    const char *s = read_term(text, text, &e->in[0], err, &ok);
    if (ok && n_in > 1 && *s == ',')
        s = read_term(s + 1, text, &e->in[1], err, &ok);
    else if (ok && (n_in > 1 || *s == ','))
        return err_set(err, ERR_SHAPE, "'%s' must describe %d operand%s", text, n_in,
                       n_in > 1 ? "s" : "");
    if (ok && *s == ',')
        return err_set(err, ERR_SHAPE, "'%s' has more than two operands", text);
    for (int k = 0; ok && k < n_in; k++)
        ok = bind_dims(&e->in[k], &in[k], k, text, err);
    if (ok && *s == '-')
        s = read_term(s + 2, text, &e->out, err, &ok);
    else
        implied_output(e);
    if (ok && *s)
        return err_set(err, ERR_SHAPE, "'%s' goes on after its result", text);
    for (int k = 0; ok && k < e->out.n; k++)
        if (!find_dim(e, e->out.l[k], &e->out.d[k]))
            return err_set(err, ERR_SHAPE, "'%s': no operand has '%c'", text,
                           e->out.l[k]);
    for (int k = 0; ok && n_in > 1 && k < e->in[1].n; k++) {
        int64_t d = 0;
        find_dim(e, e->in[1].l[k], &d);
        if (d != e->in[1].d[k])
            return err_set(err, ERR_SHAPE,
                           "'%s': '%c' is %lld in one operand and %lld in the "
                           "other",
                           text, e->in[1].l[k], (long long)d, (long long)e->in[1].d[k]);
    }
    return ok;
}

/* ---- planning -------------------------------------------------------------------- */

/* Letters of `from` that are in p (or not), and in q (or not). */
static Term pick(const Term *from, const Term *p, bool in_p, const Term *q, bool in_q)
{
    Term t = {0};
    for (int k = 0; k < from->n; k++)
        if (has(p, from->l[k]) == in_p && has(q, from->l[k]) == in_q)
            push(&t, from->l[k], from->d[k]);
    return t;
}

static size_t room(Ein *e, const Term *t, size_t size)
{
    size_t at = e->total;
    e->total += ((size_t)count_of(t) * size + 63) / 64 * 64;
    return at;
}

/* The summed letters stand together: [outer, n, inner] without a copy. */
static bool sums_in_place(const Term *t, const Term *kept, AxisView *v)
{
    int first = 0, last = t->n - 1;
    while (first < t->n && has(kept, t->l[first]))
        first++;
    while (last >= 0 && has(kept, t->l[last]))
        last--;
    *v = (AxisView){1, 1, 1};
    for (int k = 0; k < t->n; k++) {
        if (k >= first && k <= last && has(kept, t->l[k]))
            return false;
        *(k < first ? &v->outer : k <= last ? &v->n : &v->inner) *= t->d[k];
    }
    return true;
}

/* kept letters, then the summed ones. */
static Term summed_last(const Term *t, const Term *kept)
{
    Term order = *kept;
    for (int k = 0; k < t->n; k++)
        if (!has(kept, t->l[k]))
            push(&order, t->l[k], t->d[k]);
    return order;
}

static void plan_sum(Ein *e, int k, size_t size)
{
    const Term *t = &e->in[k], *kept = &e->sum[k];
    AxisView v;
    if (kept->n == t->n)
        return;
    if (!sums_in_place(t, kept, &v)) {
        Term order = summed_last(t, kept);
        e->at_copy[k] = room(e, t, size);
        sums_in_place(&order, kept, &v);
    }
    e->at_sum[k] = room(e, kept, size);
    size_t own = sum_scratch(v);
    e->at_own = own > e->at_own ? own : e->at_own;
}

/* Operand k in the order batch, own, K or batch, K, own, whichever it has already. */
static void plan_use(Ein *e, int k, const Term *batch, const Term *own, const Term *con,
                     size_t size)
{
    Term plain = *batch, turned = *batch;
    push_all(&plain, own);
    push_all(&plain, con);
    push_all(&turned, con);
    push_all(&turned, own);
    e->trans[k] =
        !same_letters(&e->sum[k], &plain) && same_letters(&e->sum[k], &turned);
    e->use[k] = e->trans[k] ? turned : plain;
    if (!same_letters(&e->use[k], &e->sum[k]))
        e->at_use[k] = room(e, &e->use[k], size);
}

static void plan_product(Ein *e, size_t size)
{
    Term batch = pick(&e->out, &e->sum[0], true, &e->sum[1], true);
    Term m = pick(&e->out, &e->sum[0], true, &e->sum[1], false);
    Term n = pick(&e->out, &e->sum[0], false, &e->sum[1], true);
    Term k = pick(&e->sum[0], &e->sum[1], true, &e->out, false);
    Term turned = batch;
    e->made = batch;
    push_all(&e->made, &m);
    push_all(&e->made, &n);
    push_all(&turned, &n);
    push_all(&turned, &m);
    plan_use(e, 0, &batch, &m, &k, size);
    plan_use(e, 1, &batch, &n, &k, size);
    e->swap = !same_letters(&e->made, &e->out) && same_letters(&turned, &e->out);
    if (e->swap)
        e->made = turned;
    e->B = count_of(&batch);
    e->M = count_of(&m);
    e->N = count_of(&n);
    e->K = count_of(&k);
    if (!same_letters(&e->made, &e->out))
        e->at_made = room(e, &e->made, size);
}

static bool plan(const Spec *in, int n_in, const OpAttr *a, Ein *e, Err *err)
{
    memset(e, 0, sizeof *e);
    if (n_in > 1 && in[1].ndim < 0)
        n_in = 1;
    if (!parse(a->text, in, n_in, e, err))
        return false;
    size_t size = dtype_size(in[0].dtype);
    for (int k = 0; k < n_in; k++) {
        const Term *other = &e->in[1 - k];
        for (int j = 0; j < e->in[k].n; j++)
            if (has(&e->out, e->in[k].l[j]) || has(other, e->in[k].l[j]))
                push(&e->sum[k], e->in[k].l[j], e->in[k].d[j]);
    }
    for (int k = 0; k < n_in; k++)
        plan_sum(e, k, size);
    if (n_in > 1)
        plan_product(e, size);
    size_t own = e->at_own;
    e->at_own = e->total;
    e->total += own;
    return true;
}

static bool shape_einsum(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    Ein e;
    for (int k = 0; k < n_in; k++)
        if (in[k].ndim >= 0 && !need_float(in, k, err))
            return false;
    if (!plan(in, n_in, a, &e, err))
        return false;
    *out = spec_make(in[0].dtype, e.out.n, e.out.d);
    return true;
}

static size_t scratch_einsum(const Spec *in, int n_in, const OpAttr *a)
{
    Ein e;
    return plan(in, n_in, a, &e, NULL) ? e.total : 0;
}

static double flops_einsum(const Spec *in, int n_in, const OpAttr *a)
{
    Ein e;
    if (!plan(in, n_in, a, &e, NULL))
        return 0;
    return e.n_in < 2 ? (double)spec_count(&in[0])
                      : 2.0 * (double)e.B * (double)e.M * (double)e.N * (double)e.K;
}

/* ---- running --------------------------------------------------------------------- */

/* Copies contiguous `from` into contiguous `to`, whose letters are those of `from`. */
static void reorder(DType dt, const Term *from, const void *src, const Term *to,
                    void *dst)
{
    Tensor x = tensor_wrap(dt, from->n, from->d, (void *)(uintptr_t)src), v = x;
    Tensor y = tensor_wrap(dt, to->n, to->d, dst);
    for (int k = 0; k < to->n; k++) {
        int64_t at = (const char *)memchr(from->l, to->l[k], (size_t)from->n) - from->l;
        v.dim[k] = x.dim[at];
        v.stride[k] = x.stride[at];
    }
    copy_view(v, y);
}

/* Operand k with its lone letters summed; dst NULL: into scratch. */
static const void *sum_operand(const Ein *e, int k, DType dt, const void *src,
                               char *scratch, void *dst)
{
    const Term *t = &e->in[k], *kept = &e->sum[k];
    AxisView v;
    if (kept->n == t->n)
        return src;
    if (!sums_in_place(t, kept, &v)) {
        Term order = summed_last(t, kept);
        reorder(dt, t, src, &order, scratch + e->at_copy[k]);
        src = scratch + e->at_copy[k];
        sums_in_place(&order, kept, &v);
    }
    if (!dst)
        dst = scratch + e->at_sum[k];
    sum_run(dt == F64, src, v, 1.0, dst, scratch + e->at_own);
    return dst;
}

static const void *use_operand(const Ein *e, int k, DType dt, const void *src,
                               char *scratch)
{
    src = sum_operand(e, k, dt, src, scratch, NULL);
    if (same_letters(&e->use[k], &e->sum[k]))
        return src;
    reorder(dt, &e->sum[k], src, &e->use[k], scratch + e->at_use[k]);
    return scratch + e->at_use[k];
}

typedef struct BatchJob {
    const EinsumTable *k;
    const EwTable *ew;
    SmallProduct p;
    const char *a, *b;
    char *c;
    size_t size;
} BatchJob;

static void batch_range(int64_t first, int64_t count, void *ctx)
{
    const BatchJob *j = ctx;
    size_t f = (size_t)first * j->size;
    const char *a = j->a + f * (size_t)(j->p.M * j->p.K);
    const char *b = j->b + f * (size_t)(j->p.N * j->p.K);
    char *c = j->c + f * (size_t)(j->p.M * j->p.N);
    if (j->p.M * j->p.N * j->p.K == 1)
        j->ew->binary[EB_mul][EW_VV](count, a, b, c);
    else
        j->k->products(count, j->p, a, b, c);
}

static bool products(const Ein *e, bool f64, const char *a, const char *b, char *c,
                     Err *err)
{
    int i = e->swap, j = !i;
    int64_t M = e->swap ? e->N : e->M, N = e->swap ? e->M : e->N, K = e->K;
    size_t size = f64 ? 8 : 4;
    if (K == 0) {
        memset(c, 0, (size_t)(e->B * M * N) * size);
        return true;
    }
    if (e->B > 1 && (M * N * K <= SMALL_PRODUCT || M == 1 || N == 1)) {
        BatchJob job = {KERN_PICK(einsum_table, f64),
                        KERN_PICK(ew_table, f64),
                        {M, N, K, e->trans[i], e->trans[j]},
                        a,
                        b,
                        c,
                        size};
        for_ranges(e->B, rows_grain(M * N * K), batch_range, &job);
        return true;
    }
    for (int64_t n = 0; n < e->B; n++) {
        const char *an = a + (size_t)(n * M * K) * size;
        const char *bn = b + (size_t)(n * N * K) * size;
        if (!gemm_any(f64, e->trans[i], !e->trans[j], M, N, K, an, bn, 0.0,
                      c + (size_t)(n * M * N) * size, err))
            return false;
    }
    return true;
}

static bool run_einsum(const OpArgs *x, Err *err)
{
    Ein e;
    Spec in[2] = {spec_of(x->in[0]), spec_absent()};
    int n_in = x->n_in > 1 && x->in[1] ? 2 : 1;
    DType dt = in[0].dtype;
    char *out = x->out[0]->data;
    if (n_in > 1)
        in[1] = spec_of(x->in[1]);
    if (!plan(in, n_in, x->attr, &e, err))
        return false;
    if (tensor_count(x->out[0]) == 0)
        return true;
    if (n_in == 1) {
        bool direct = same_letters(&e.sum[0], &e.out);
        const void *s =
            sum_operand(&e, 0, dt, x->in[0]->data, x->scratch, direct ? out : NULL);
        if (s != out)
            reorder(dt, &e.sum[0], s, &e.out, out);
        return true;
    }
    const void *use[2];
    for (int k = 0; k < 2; k++)
        use[k] = use_operand(&e, k, dt, x->in[k]->data, x->scratch);
    bool direct = same_letters(&e.made, &e.out);
    char *made = direct ? out : (char *)x->scratch + e.at_made;
    if (!products(&e, dt == F64, use[e.swap], use[!e.swap], made, err))
        return false;
    if (!direct)
        reorder(dt, &e.made, made, &e.out, out);
    return true;
}

/* ---- backward -------------------------------------------------------------------- */

/* d of operand k: the result's gradient times the other operand, summed to the letters
 * that k shares with either; letters k had alone are spread by broadcasting. */
static Val grad_operand(Graph *g, const OpGrad *d, const Ein *e, int k)
{
    char spec[3 * MAX_LETTERS + 8];
    const Term *t = &e->in[k], *part = &e->sum[k];
    bool two = e->n_in > 1;
    size_t n = 0;
    memcpy(spec, e->out.l, (size_t)e->out.n);
    n += (size_t)e->out.n;
    if (two) {
        spec[n++] = ',';
        memcpy(spec + n, e->in[1 - k].l, (size_t)e->in[1 - k].n);
        n += (size_t)e->in[1 - k].n;
    }
    memcpy(spec + n, "->", 2);
    memcpy(spec + n + 2, part->l, (size_t)part->n);
    spec[n + 2 + (size_t)part->n] = '\0';
    Val v = g_einsum(g, spec, d->dout[0], two ? d->in[1 - k] : VAL_NONE);
    if (part->n == t->n)
        return v;
    OpAttr to = {.n_list = t->n};
    int64_t ones[MAX_DIM];
    for (int j = 0; j < t->n; j++) {
        to.list[j] = t->d[j];
        ones[j] = has(part, t->l[j]) ? t->d[j] : 1;
    }
    v = g_reshape(g, v, t->n, ones);
    return g_call(g, "broadcast_to", &v, 1, &to);
}

static bool grad_einsum(Graph *g, OpGrad *d)
{
    Ein e;
    Spec in[2] = {graph_spec(g, d->in[0]), spec_absent()};
    int n_in = d->n_in > 1 && d->in[1] != VAL_NONE ? 2 : 1;
    if (n_in > 1)
        in[1] = graph_spec(g, d->in[1]);
    if (!graph_ok(g) || !plan(in, n_in, d->attr, &e, NULL))
        return false;
    for (int k = 0; k < n_in; k++)
        if (d->need[k])
            d->din[k] = grad_operand(g, d, &e, k);
    return graph_ok(g);
}

const OpRow ops_einsum[] = {
    {.name = "einsum",
     .sig = "a, b?, spec:s",
     .doc =
         "Einstein summation of one or two tensors: every letter is an axis, letters "
         "missing from the result are summed. Without '->' the result has the letters "
         "that "
         "occur once, in alphabetical order.",
     .formula = "einsum(a, b, 'bi,ij->bj'): y_bj = sum_i a_bi b_ij",
     .shape = shape_einsum,
     .run = run_einsum,
     .grad = grad_einsum,
     .scratch = scratch_einsum,
     .flops = flops_einsum,
     .test =
         {.shapes =
              "3x4,4x5; 3x4,5x4; 4x3,4x5; 3x4,4x5; 5x3x4,5x4x2; 3x4,3x4; 3x4,3x4; "
              "3x4,3; 2x3,4x5; 3x4,-; 3x4,-; 2x3x4,-; 2x3x4,-; 3x4x2,2x4x5; "
              "3x4x2,5x6; 0x4,4x5; 3x0,0x5; 3,3; 7x2,7x3x4; 40x30,40x30x2; "
              "3x2x4,2x5x4; 2x40x30,2x30x50; 3x4,4x5; 2x4x3,4x2",
          .attrs =
              "spec=bi,ij->bj; spec=bi,ji->bj; spec=ib,ij->bj; spec=bi,ij->jb; "
              "spec=cij,cjk->cik; spec=bi,bi->b; spec=bi,bi->bi; spec=bi,b->bi; "
              "spec=ij,kl->kjil; spec=ij->ji; spec=ij->j; spec=ijk->ki; "
              "spec=ijk->ik; spec=abc,cbd->ad; spec=abc,de->eb; spec=bi,ij->bj; "
              "spec=bi,ij->bj; spec=i,i->; spec=bi,bjk->ikj; spec=bi,bir->br; "
              "spec=bhi,hji->bhj; spec=cij,cjk->cik; spec=ij,jk; spec=abc,bd->dca"}},
};
const int ops_einsum_count = ARRAY_LEN(ops_einsum);
