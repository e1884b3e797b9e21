/* rows.c -- what every row must hold, read from its recipe: it is complete; its
 * gradient is the central difference of its f64 kernel; f32 agrees with f64; strided
 * inputs, replay and another number of threads give the same bits; any shape is
 * computed or refused. */
#include "row_case.h"

#define EACH_CASE(c)                                                                   \
    for (int r_ = 0; r_ < op_count(); r_++)                                            \
        for (int k_ = 0; case_get(op_at(r_), k_, &(c)); k_++)

enum { MAX_RES = OP_MAX_OUT + OP_MAX_IN, FULL_CHECK = 64, DIRECTIONS = 3 };

/* ---- complete -------------------------------------------------------------------- */

static void check_param(const OpRow *row, const OpParam *p)
{
    if (!p->name[0] || !strchr("TifbaAIsd", p->type))
        fail_msg("%s: signature '%s' has a bad parameter '%s'", row->name, row->sig,
                 p->name);
    if (p->type != 'T' && p->optional && !p->none && strchr("aifbd", p->type)) {
        static const char ok[] = "0123456789.-+e/truefalsf3264iu8";
        for (const char *s = p->def_s; *s; s++)
            if (!strchr(ok, *s))
                fail_msg("%s: default '%s' of %s", row->name, p->def_s, p->name);
    }
}

static void test_complete(void **state)
{
    (void)state;
    assert_true(op_count() > 100);
    for (int i = 0; i < op_count(); i++) {
        const OpRow *row = op_at(i);
        const OpSig *sig = op_sig(row);
        assert_ptr_equal(op_find(row->name), row); /* so names are unique, too */
        if (!row->doc || strlen(row->doc) < 10 || row->doc[strlen(row->doc) - 1] != '.')
            fail_msg("%s: the doc is not a sentence", row->name);
        if (!row->sig || !row->shape || !row->run || !row->test.shapes)
            fail_msg("%s: sig, shape, run or the recipe is missing", row->name);
        if (!row->grad != !!(row->flags & OP_NODIFF))
            fail_msg("%s: either a gradient or OP_NODIFF", row->name);
        if ((row->flags & OP_KINKS) && row->test.margin <= 0)
            fail_msg("%s: kinks need a margin", row->name);
        assert_true(sig->n_tensors <= OP_MAX_IN);
        for (int k = 0; k < sig->n; k++)
            check_param(row, &sig->p[k]);
    }
    assert_null(op_find("no such op"));
}

/* ---- gradients ------------------------------------------------------------------- */

typedef struct Check {
    const Case *c;
    DType t;
    Tensor in[OP_MAX_IN];
    const Tensor *ptr[OP_MAX_IN];
    Tensor weight[OP_MAX_OUT]; /* of the projection */
    Tensor grad[OP_MAX_IN];
} Check;

static bool is_real(DType t)
{
    return t == F32 || t == F64;
}

static bool wanted(const Check *k, int i)
{
    return k->ptr[i] && is_real(k->in[i].dtype);
}

/* sum over outputs of <weight, output> */
static double projected(const Check *k)
{
    Tensor out[MAX_RES];
    double s = 0;
    case_run(k->c, k->t, (Tensor *)k->in, (const Tensor **)k->ptr, out);
    for (int o = 0; o < k->c->n_out; o++)
        for (int64_t i = 0; is_real(out[o].dtype) && i < tensor_count(&out[o]); i++)
            s += t_at(&out[o], i) * t_at(&k->weight[o], i);
    release_all(out, k->c->n_out);
    return s;
}

static Val input_of(Graph *g, int k, const Tensor *t)
{
    char name[16];
    snprintf(name, sizeof name, "in%d", k);
    return graph_input(g, name, t->dtype, t->ndim, t->dim);
}

/* Runs a plan whose inputs are named after the op's; unread ones have been dropped. */
static void run_plan(const Check *k, Plan *p)
{
    Err err = {0};
    Tensor bound[OP_MAX_IN] = {{0}};
    for (int i = 0; i < plan_input_count(p); i++)
        bound[i] = k->in[atoi(plan_input_name(p, i) + 2)];
    if (!plan_run(p, bound, &err))
        case_fail(k->c, err.msg);
}

/* Backward through graph and plan into k->grad. */
static void analytic(Check *k)
{
    Graph *g = graph_new(NULL);
    Val in[OP_MAX_IN], out[OP_MAX_OUT], wrt[OP_MAX_IN], d[OP_MAX_IN], loss;
    OpAttr a = case_attr(k->c, k->t);
    int n = 0, at[OP_MAX_IN];
    for (int i = 0; i < k->c->n_in; i++) {
        in[i] = k->ptr[i] ? input_of(g, i, &k->in[i]) : VAL_NONE;
        if (wanted(k, i)) {
            at[n] = i;
            wrt[n++] = in[i];
        }
    }
    if (!graph_op_multi(g, k->c->row, in, k->c->n_in, &a, out))
        case_fail(k->c, graph_err(g)->msg);
    loss = graph_number(g, k->t, 0.0);
    for (int o = 0; o < k->c->n_out; o++) {
        Val y = out[o];
        DType t = graph_spec(g, y).dtype;
        if (!is_real(t))
            continue;
        if (t != k->t)
            y = g_call(g, "cast", &y, 1, &(OpAttr){.i = {k->t}});
        loss = g_add(g, loss, g_sum(g, g_mul(g, y, graph_const(g, &k->weight[o]))));
    }
    if (!graph_grad(g, loss, wrt, n, d))
        case_fail(k->c, graph_err(g)->msg);
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%d", i);
        graph_output(g, name, d[i]);
    }
    Plan *p = plan_of(g, 77);
    run_plan(k, p);
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%d", i);
        const Tensor *t = plan_output(p, plan_output_index(p, name));
        if (!tensor_same_shape(t, &k->in[at[i]]))
            case_fail(k->c, "a gradient has another shape than its input");
        assert_true(tensor_copy(t, &k->grad[at[i]], NULL));
    }
    plan_free(p);
    graph_free(g);
}

static void check_open(Check *k, const Case *c, DType t)
{
    Tensor out[MAX_RES];
    memset(k, 0, sizeof *k);
    k->c = c;
    k->t = t;
    case_inputs(c, t, k->in, k->ptr);
    case_run(c, t, k->in, k->ptr, out);
    for (int o = 0; o < c->n_out; o++) {
        k->weight[o] = t_random(31 + (uint64_t)o, F32, out[o].ndim, out[o].dim, -1, 1);
        if (t == F64) {
            Tensor wide;
            assert_true(tensor_convert(&k->weight[o], F64, &wide, NULL));
            tensor_release(&k->weight[o]);
            k->weight[o] = wide;
        }
    }
    release_all(out, c->n_out);
}

static void check_close(Check *k)
{
    release_all(k->in, k->c->n_in);
    release_all(k->weight, k->c->n_out);
    release_all(k->grad, k->c->n_in);
}

/* Slope along `dir` of input i: element e alone when dir is NULL. */
static void check_slope(Check *k, int i, const Tensor *dir, int64_t e, double tol)
{
    const double h = 6.0554544523933395e-06; /* eps^(1/3) */
    double *x = k->in[i].data, *save, slope = 0, value[2];
    int64_t n = tensor_count(&k->in[i]);
    save = malloc((size_t)n * sizeof *save);
    memcpy(save, x, (size_t)n * sizeof *save);
    for (int s = 0; s < 2; s++) {
        for (int64_t j = 0; j < n; j++) {
            double v = dir ? t_at(dir, j) : j == e ? 1.0 : 0.0;
            x[j] = save[j] + (s ? -h : h) * v;
        }
        value[s] = projected(k);
    }
    for (int64_t j = 0; j < n; j++)
        slope += t_at(&k->grad[i], j) * (dir ? t_at(dir, j) : j == e ? 1.0 : 0.0);
    memcpy(x, save, (size_t)n * sizeof *save);
    free(save);
    double numeric = (value[0] - value[1]) / (2 * h);
    double scale = fmax(1.0, fmax(fabs(numeric), fabs(slope)));
    /* rounding of the two values: a few eps of their size over 2h */
    double noise = 4 * 2.2e-16 * fmax(fabs(value[0]), fabs(value[1])) / h;
    if (!(fabs(numeric - slope) <= tol * scale + noise))
        fail_msg(
            "%s [%s]: input %d, %s %lld: backward %.12g, difference quotient %.12g",
            k->c->row->name, k->c->text, i + 1, dir ? "direction" : "element",
            (long long)e, slope, numeric);
}

static void test_gradients(void **state)
{
    (void)state;
    Case c;
    int checked = 0;
    EACH_CASE(c)
    {
        Check k;
        if (c.row->flags & (OP_NODIFF | OP_OWN_RULE))
            continue;
        double tol = c.row->test.tol_grad > 0 ? c.row->test.tol_grad : 1e-6;
        check_open(&k, &c, F64);
        analytic(&k);
        for (int i = 0; i < c.n_in; i++) {
            if (!wanted(&k, i))
                continue;
            int64_t n = tensor_count(&k.in[i]);
            for (int64_t e = 0; n < FULL_CHECK && e < n; e++)
                check_slope(&k, i, NULL, e, tol);
            for (int d = 0; n > 0 && d < DIRECTIONS; d++) {
                Tensor dir =
                    t_random(91 + (uint64_t)d, F64, k.in[i].ndim, k.in[i].dim, -1, 1);
                check_slope(&k, i, &dir, d, tol);
                tensor_release(&dir);
            }
            checked += n > 0;
        }
        check_close(&k);
    }
    assert_true(checked > 200);
}

/* No gradient flows through rows that say so. */
static void test_nodiff(void **state)
{
    (void)state;
    Case c;
    EACH_CASE(c)
    {
        Check k;
        if (!(c.row->flags & OP_NODIFF) || (c.row->flags & OP_EFFECT))
            continue;
        check_open(&k, &c, F32);
        analytic(&k);
        for (int i = 0; i < c.n_in; i++)
            for (int64_t j = 0; wanted(&k, i) && j < tensor_count(&k.in[i]); j++)
                assert_true(t_at(&k.grad[i], j) == 0.0);
        check_close(&k);
    }
}

/* ---- f32 against f64 ------------------------------------------------------------- */

static void close_enough(const Case *c, const char *what, const Tensor *a,
                         const Tensor *b, double tol)
{
    double top = 0, worst = 0;
    if (!tensor_same_shape(a, b))
        case_fail(c, "f32 and f64 have different shapes");
    for (int64_t i = 0; i < tensor_count(a); i++) {
        double x = t_at(a, i), y = t_at(b, i);
        if (isnan(x) && isnan(y))
            continue;
        top = fmax(top, fabs(y));
        worst = fmax(worst, fabs(x - y));
        if (isnan(x) != isnan(y))
            case_fail(c, "NaN in one of f32 and f64");
    }
    if (worst > tol * fmax(top, 1e-30))
        fail_msg("%s [%s]: %s differs by %g of %g between f32 and f64", c->row->name,
                 c->text, what, worst, top);
}

static void test_f32(void **state)
{
    (void)state;
    Case c;
    EACH_CASE(c)
    {
        Tensor a[MAX_RES], b[MAX_RES];
        double tol = c.row->test.tol_f32 > 0 ? c.row->test.tol_f32 : 2e-5;
        if (c.row->flags & OP_RANDOM)
            continue;
        case_eager(&c, F32, a);
        case_eager(&c, F64, b);
        for (int o = 0; o < case_results(&c); o++) {
            if (a[o].dtype == U8)
                assert_true(t_same_bits(&a[o], &b[o]));
            else
                close_enough(&c, "a result", &a[o], &b[o], tol);
        }
        release_all(a, case_results(&c));
        release_all(b, case_results(&c));
        if (c.row->flags & OP_NODIFF)
            continue;
        Check k32, k64;
        check_open(&k32, &c, F32);
        check_open(&k64, &c, F64);
        analytic(&k32);
        analytic(&k64);
        for (int i = 0; i < c.n_in; i++)
            if (wanted(&k32, i))
                close_enough(&c, "a gradient", &k32.grad[i], &k64.grad[i], 2 * tol);
        check_close(&k32);
        check_close(&k64);
    }
}

/* ---- the same bits --------------------------------------------------------------- */

static void same_results(const Case *c, const Tensor *a, const Tensor *b,
                         const char *what)
{
    for (int o = 0; o < case_results(c); o++) {
        bool same = a[o].dtype == U8
                        ? b[o].dtype == U8 && tensor_same_shape(&a[o], &b[o]) &&
                              (!tensor_count(&a[o]) ||
                               !memcmp(a[o].data, b[o].data, tensor_bytes(&a[o])))
                        : t_same_bits(&a[o], &b[o]);
        if (!same)
            case_fail(c, what);
    }
}

/* The same values under other strides: transposed storage, or every second element. */
static Tensor strided_copy(const Tensor *t)
{
    Tensor base, view;
    int64_t dim[MAX_DIM];
    memcpy(dim, t->dim, sizeof dim);
    if (t->ndim == 0)
        return tensor_retain(t);
    if (t->ndim >= 2) {
        dim[0] = t->dim[t->ndim - 1];
        dim[t->ndim - 1] = t->dim[0];
        base = t_make(t->dtype, t->ndim, dim);
        assert_true(tensor_transpose(&base, 0, t->ndim - 1, &view, NULL));
    } else {
        dim[0] *= 2;
        base = t_make(t->dtype, 1, dim);
        assert_true(tensor_slice(&base, 0, 0, dim[0], 2, &view, NULL));
    }
    assert_true(tensor_copy_into(t, &view, NULL));
    tensor_release(&base);
    return view;
}

static void test_strided(void **state)
{
    (void)state;
    Case c;
    EACH_CASE(c)
    {
        Tensor in[OP_MAX_IN], view[OP_MAX_IN] = {{0}}, a[MAX_RES], b[MAX_RES];
        const Tensor *ptr[OP_MAX_IN], *vptr[OP_MAX_IN] = {NULL};
        if (c.row->flags & OP_EFFECT)
            continue;
        case_inputs(&c, F32, in, ptr);
        for (int k = 0; k < c.n_in; k++) {
            if (!ptr[k])
                continue;
            view[k] = strided_copy(&in[k]);
            vptr[k] = &view[k];
        }
        case_run(&c, F32, in, ptr, a);
        case_run(&c, F32, view, vptr, b);
        for (int o = 0; o < c.n_out; o++) { /* views of views may be strided */
            Tensor whole;
            assert_true(tensor_contiguous_of(&b[o], &whole, NULL));
            tensor_release(&b[o]);
            b[o] = whole;
        }
        same_results(&c, a, b, "strided inputs give other bits");
        release_all(a, c.n_out);
        release_all(b, c.n_out);
        release_all(in, c.n_in);
        release_all(view, c.n_in);
    }
}

static void test_threads(void **state)
{
    (void)state;
    Case c;
    int before = pool_threads();
    EACH_CASE(c)
    {
        Tensor a[MAX_RES], b[MAX_RES];
        assert_true(pool_set_threads(1, NULL));
        case_eager(&c, F32, a);
        assert_true(pool_set_threads(2, NULL));
        case_eager(&c, F32, b);
        same_results(&c, a, b, "two threads give other bits than one");
        release_all(a, case_results(&c));
        release_all(b, case_results(&c));
    }
    assert_true(pool_set_threads(before, NULL));
}

/* Inputs that an effect writes are states of the graph, the others inputs. */
static void replay(const Case *c, Tensor *res)
{
    Check k = {.c = c, .t = F32};
    Val in[OP_MAX_IN], out[OP_MAX_OUT];
    Graph *g = graph_new(NULL);
    OpAttr a = case_attr(c, F32);
    char name[16];
    case_inputs(c, F32, k.in, k.ptr);
    for (int i = 0; i < c->n_in; i++) {
        bool written = (c->row->flags & OP_EFFECT) && (c->row->inplace >> i & 1);
        snprintf(name, sizeof name, "s%d", i);
        in[i] = !k.ptr[i] ? VAL_NONE
                : written ? graph_state(g, name, &k.in[i])
                          : input_of(g, i, &k.in[i]);
    }
    if (!graph_op_multi(g, c->row, in, c->n_in, &a, out))
        case_fail(c, graph_err(g)->msg);
    for (int o = 0; o < c->n_out; o++) {
        snprintf(name, sizeof name, "o%d", o);
        graph_output(g, name, out[o]);
    }
    Plan *p = plan_of(g, 77);
    run_plan(&k, p);
    for (int o = 0; o < c->n_out; o++) {
        snprintf(name, sizeof name, "o%d", o);
        assert_true(
            tensor_copy(plan_output(p, plan_output_index(p, name)), &res[o], NULL));
    }
    for (int i = 0, r = c->n_out; i < c->n_in && (c->row->flags & OP_EFFECT); i++)
        if (c->row->inplace >> i & 1)
            assert_true(tensor_copy(&k.in[i], &res[r++], NULL));
    plan_free(p);
    graph_free(g);
    release_all(k.in, c->n_in);
}

static void test_replay(void **state)
{
    (void)state;
    Case c;
    EACH_CASE(c)
    {
        Tensor a[MAX_RES], b[MAX_RES];
        if (c.row->flags & OP_EAGER_ONLY)
            continue;
        case_eager(&c, F32, a);
        replay(&c, b);
        same_results(&c, a, b, "replay gives other bits than eager");
        release_all(a, case_results(&c));
        release_all(b, case_results(&c));
    }
}

/* ---- any shape, any failure ------------------------------------------------------ */

typedef struct Attempt {
    const Case *c;
    const Tensor **ptr;
} Attempt;

static bool attempt(void *ctx, Err *err)
{
    const Attempt *t = ctx;
    Tensor out[OP_MAX_OUT];
    RunCtx run = {1, 0};
    if (!op_eager(t->c->row, t->ptr, t->c->n_in, &t->c->attr, &run, out, err))
        return false;
    release_all(out, t->c->n_out);
    return true;
}

static void test_allocations(void **state)
{
    (void)state;
    for (int r = 0; r < op_count(); r++) {
        Case c;
        Tensor in[OP_MAX_IN];
        const Tensor *ptr[OP_MAX_IN];
        case_get(op_at(r), 0, &c);
        case_inputs(&c, F32, in, ptr);
        fail_each_alloc(attempt, &(Attempt){&c, ptr});
        release_all(in, c.n_in);
    }
}

static Tensor odd_tensor(uint64_t seed, int64_t i)
{
    static const int64_t dims[] = {0, 1, 2, 3, 5};
    static const DType types[] = {F32, F32, F32, F64, I32, U8};
    RngKey key = {seed, rng_stream("odd"), (uint64_t)i};
    int64_t dim[MAX_DIM];
    int n = (int)rng_below(key, 0, MAX_DIM + 1);
    n = n > 3 && rng_below(key, 1, 3) ? n - 3 : n;
    for (int k = 0; k < n; k++)
        dim[k] = dims[rng_below(key, 2 + k, ARRAY_LEN(dims))];
    return t_make(types[rng_below(key, 20, ARRAY_LEN(types))], n, dim);
}

/* Random shapes and dtypes are computed, or refused in a sentence that names the op. */
static void test_odd_shapes(void **state)
{
    (void)state;
    int refused = 0, computed = 0;
    Case c;
    EACH_CASE(c)
    {
        if (c.n_in == 0 || (c.row->flags & OP_EFFECT))
            continue;
        for (uint64_t seed = 0; seed < 40; seed++) {
            Tensor in[OP_MAX_IN], out[OP_MAX_OUT];
            const Tensor *ptr[OP_MAX_IN];
            Err err = {0};
            for (int k = 0; k < c.n_in; k++) {
                in[k] = odd_tensor(seed * 131 + (uint64_t)c.index, k);
                ptr[k] = &in[k];
            }
            if (op_eager(c.row, ptr, c.n_in, &c.attr, NULL, out, &err)) {
                computed++;
                release_all(out, c.n_out);
            } else {
                refused++;
                if (!err.msg[0] || err.code == ERR_NONE)
                    case_fail(&c, "refused without a reason");
                if (err.code == ERR_SHAPE &&
                    strncmp(err.msg, c.row->name, strlen(c.row->name)))
                    fail_msg("%s: '%s' does not name the op", c.row->name, err.msg);
            }
            release_all(in, c.n_in);
        }
    }
    assert_true(refused > 1000 && computed > 1000);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),   cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_nodiff),     cmocka_unit_test(test_f32),
        cmocka_unit_test(test_strided),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_replay),     cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_odd_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
