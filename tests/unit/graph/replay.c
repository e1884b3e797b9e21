/* Replay against eager calls of the same ops, bit for bit, on random programs: shared
 * and dead subexpressions, views, states assigned in between, random draws, outputs of
 * everything. The same programs in every memory mode and with one and two threads. */
#include "graph_support.h"

#include "graph/families.h"

enum { MAX_INSTR = 60, MAX_REG = 80, N_STATES = 3, N_INPUTS = 2, N_STEPS_RUN = 3 };

typedef struct Instr {
    const OpRow *row;
    OpAttr attr;
    int n_in, in[OP_MAX_IN],
        out; /* registers; out -1: an effect; row NULL: an output */
} Instr;

typedef struct Program {
    Instr at[MAX_INSTR];
    int n, n_reg, n_out;
    Val val[MAX_REG];
    Spec spec[MAX_REG];
    Tensor initial[N_STATES], planned[N_STATES], eager[N_STATES], input[N_INPUTS];
    Tensor wanted[MAX_INSTR]; /* outputs of the eager run */
    uint64_t seed;
    int draws;
} Program;

static int64_t pick(Program *p, int64_t n)
{
    RngKey key = {p->seed, rng_stream("pick"), 0};
    return rng_below(key, p->draws++, n);
}

static const char *const op_names[] = {
    "add",          "sub",        "mul",          "maximum",       "neg",     "square",
    "abs",          "tanh",       "exp",          "scale",         "shift",   "sigmoid",
    "clamp",        "where",      "reshape",      "transpose",     "sum",     "mean",
    "linear_dw",    "matmul",     "linear",       "relu",          "softmax", "normal",
    "broadcast_to", "zeros_like", "grad_norm_sq", "stop_gradient", "cumsum",  "reshape",
    "reshape",      "normal",
};

static void set_attr(Program *p, const OpRow *row, const Spec *in, OpAttr *a)
{
    op_attr_defaults(row, a);
    const OpSig *sig = op_sig(row);
    for (int k = 0; k < sig->n; k++) {
        const OpParam *q = &sig->p[k];
        if (q->type == 'f' && !q->optional)
            a->f[q->slot] = (double)pick(p, 5) - 2;
        if (q->type == 'a' && !q->optional)
            a->i[q->slot] = pick(p, in->ndim > 0 ? in->ndim : 1);
    }
    if (strcmp(row->name, "reshape") == 0) {
        a->n_list = 1 + (int)pick(p, 2);
        a->list[0] = a->n_list == 1 ? -1 : in->ndim == 2 ? in->dim[1] : 1;
        a->list[1] = -1;
    }
    if (strcmp(row->name, "normal") == 0) {
        snprintf(a->text, sizeof a->text, "s%d", (int)pick(p, 2));
        a->n_list = in->ndim;
        memcpy(a->list, in->dim, sizeof a->list);
    }
    if (strcmp(row->name, "broadcast_to") == 0) {
        a->n_list = in->ndim;
        memcpy(a->list, in->dim, sizeof a->list);
    }
    if (strcmp(row->name, "clamp") == 0) {
        a->f[0] = -0.5;
        a->f[1] = 0.75;
    }
}

/* One of the list, or any row that needs no attributes and takes any numbers. */
static const OpRow *pick_row(Program *p)
{
    if (pick(p, 3))
        return op_find(op_names[pick(p, ARRAY_LEN(op_names))]);
    const OpRow *row = op_at((int)pick(p, op_count()));
    const OpSig *sig = op_sig(row);
    for (int k = 0; k < sig->n; k++)
        if (sig->p[k].rest || (sig->p[k].type != 'T' && !sig->p[k].optional))
            return NULL;
    bool may_refuse = row >= ops_lapack && row < ops_lapack + ops_lapack_count;
    return may_refuse || row->flags & (OP_EFFECT | OP_EAGER_ONLY) ? NULL : row;
}

/* Tries one random op; false when its shapes do not fit. */
static bool try_op(Program *p, Graph *g)
{
    const OpRow *row = pick_row(p);
    if (!row)
        return false;
    Instr *x = &p->at[p->n];
    Spec in[OP_MAX_IN], out[OP_MAX_OUT];
    Val vals[OP_MAX_IN];
    Err err;
    x->row = row;
    x->n_in = op_sig(row)->n_tensors;
    /* recent registers more often, so that chains grow and in-place has its chances */
    for (int k = 0; k < x->n_in; k++) {
        int64_t back = pick(p, pick(p, 2) ? 4 : p->n_reg);
        x->in[k] = p->n_reg - 1 - (int)(back < p->n_reg ? back : 0);
        in[k] = p->spec[x->in[k]];
        vals[k] = p->val[x->in[k]];
    }
    Spec any = x->n_in ? in[0] : p->spec[pick(p, p->n_reg)];
    set_attr(p, row, &any, &x->attr);
    if (!op_shape(row, in, x->n_in, &x->attr, out, &err))
        return false;
    x->out = p->n_reg++;
    p->spec[x->out] = out[0];
    p->val[x->out] = graph_op(g, row, vals, x->n_in, &x->attr);
    if (!graph_ok(g))
        fail_msg("seed %d: %s", (int)p->seed, graph_err(g)->msg);
    p->n++;
    return true;
}

/* A state takes a value of its shape. */
static bool try_assign(Program *p, Graph *g)
{
    int s = (int)pick(p, N_STATES), v = (int)pick(p, p->n_reg);
    if (p->spec[s].ndim != p->spec[v].ndim ||
        memcmp(p->spec[s].dim, p->spec[v].dim, sizeof p->spec[s].dim) != 0)
        return false;
    Instr *x = &p->at[p->n++];
    *x = (Instr){.row = op_find("assign"), .n_in = 2, .in = {s, v}, .out = -1};
    graph_assign(g, p->val[s], p->val[v]);
    return true;
}

static void ask_output(Program *p, Graph *g)
{
    char name[16];
    int r = (int)pick(p, p->n_reg);
    snprintf(name, sizeof name, "o%d", p->n_out++);
    p->at[p->n++] = (Instr){.in = {r}, .n_in = 1};
    graph_output(g, name, p->val[r]);
}

static void make_program(Program *p, Graph *g, int64_t rows, int64_t cols)
{
    const int64_t shape[N_STATES][2] = {{rows, cols}, {rows, cols}, {cols, rows}};
    for (int i = 0; i < N_STATES; i++) {
        p->initial[i] = t_random(p->seed + (uint64_t)i, F32, 2, shape[i], -1, 1);
        p->planned[i] = t_make(F32, 2, shape[i]);
        p->eager[i] = t_make(F32, 2, shape[i]);
        p->spec[p->n_reg] = spec_of(&p->planned[i]);
        char name[8] = {'s', (char)('0' + i), 0};
        p->val[p->n_reg++] = graph_state(g, name, &p->planned[i]);
    }
    for (int i = 0; i < N_INPUTS; i++) {
        p->input[i] = t_random(p->seed + 7 + (uint64_t)i, F32, 2, shape[i * 2], -1, 1);
        p->spec[p->n_reg] = spec_of(&p->input[i]);
        char name[8] = {'x', (char)('0' + i), 0};
        p->val[p->n_reg++] = graph_input(g, name, F32, 2, shape[i * 2]);
    }
    int want = 10 + (int)pick(p, 40);
    for (int tries = 0; p->n < want && tries < 2000; tries++) {
        int64_t kind = pick(p, 9);
        if (kind == 0)
            ask_output(p, g);
        else if (kind == 1)
            try_assign(p, g);
        else
            try_op(p, g);
    }
    ask_output(p, g);
    assert_true(graph_ok(g));
}

static void free_wanted(Program *p)
{
    for (int i = 0; i < p->n_out; i++)
        tensor_release(&p->wanted[i]);
}

/* One run, op by op, with values that never change once they are there. */
static void run_eager(Program *p, uint64_t step)
{
    Tensor reg[MAX_REG] = {0};
    RunCtx ctx = {p->seed, step};
    Err err = {0};
    int outs = 0;
    for (int i = 0; i < N_STATES; i++)
        reg[i] = tensor_retain(&p->eager[i]);
    for (int i = 0; i < N_INPUTS; i++)
        reg[N_STATES + i] = tensor_retain(&p->input[i]);
    for (int i = 0; i < p->n; i++) {
        const Instr *x = &p->at[i];
        const Tensor *in[OP_MAX_IN];
        Tensor out[OP_MAX_OUT] = {0};
        for (int k = 0; k < x->n_in; k++)
            in[k] = &reg[x->in[k]];
        if (!x->row) {
            assert_ok(tensor_copy(in[0], &p->wanted[outs++], &err), err);
            continue;
        }
        assert_ok(op_eager(x->row, in, x->n_in,
                           x->row->flags & OP_EFFECT ? NULL : &x->attr, &ctx, out,
                           &err),
                  err);
        if (x->out < 0)
            continue;
        /* an eager view would follow later assignments */
        assert_ok(tensor_copy(&out[0], &reg[x->out], &err), err);
        for (int k = 0; k < op_n_out(x->row); k++)
            tensor_release(&out[k]);
    }
    for (int i = 0; i < MAX_REG; i++)
        tensor_release(&reg[i]);
}

static void restart(Program *p)
{
    for (int i = 0; i < N_STATES; i++) {
        memcpy(p->planned[i].data, p->initial[i].data, tensor_bytes(&p->initial[i]));
        memcpy(p->eager[i].data, p->initial[i].data, tensor_bytes(&p->initial[i]));
    }
}

static void compare(Program *p, Plan *plan, int step)
{
    for (int i = 0; i < p->n_out; i++)
        if (!t_same_bits(plan_output(plan, i), &p->wanted[i]))
            fail_msg("seed %d step %d: output %d differs", (int)p->seed, step, i);
    for (int i = 0; i < N_STATES; i++)
        if (!t_same_bits(&p->planned[i], &p->eager[i]))
            fail_msg("seed %d step %d: state %d differs", (int)p->seed, step, i);
}

static PlanInfo check_mode(Program *p, Graph *g, unsigned flags, int threads)
{
    Err err = {0};
    assert_ok(pool_set_threads(threads, &err), err);
    plan_test_flags(flags);
    Plan *plan = plan_of(g, p->seed);
    plan_test_flags(0);
    restart(p);
    for (int step = 0; step < N_STEPS_RUN; step++) {
        assert_int_equal(plan_step(plan), step);
        assert_ok(plan_run(plan, p->input, &err), err);
        run_eager(p, (uint64_t)step);
        compare(p, plan, step);
        free_wanted(p);
    }
    PlanInfo info = plan_info(plan);
    plan_free(plan);
    return info;
}

typedef struct Totals {
    int nodes, recorded, merged, in_place, random, effects, views;
    size_t arena, apart;
} Totals;

static void check_program(uint64_t seed, int64_t rows, int64_t cols, Totals *t)
{
    Err err = {0};
    static Program p;
    memset(&p, 0, sizeof p);
    p.seed = seed;
    Graph *g = graph_new(&err);
    make_program(&p, g, rows, cols);
    PlanInfo a = check_mode(&p, g, 0, 2);
    check_mode(&p, g, PLAN_TEST_POISON, 1);
    PlanInfo c = check_mode(&p, g, PLAN_TEST_NO_REUSE, 2);
    assert_true(a.arena_bytes <= c.arena_bytes);
    assert_int_equal(a.no_reuse_bytes, c.arena_bytes);
    t->nodes += a.nodes;
    t->recorded += a.nodes_recorded;
    t->merged += a.merged;
    t->in_place += a.in_place;
    t->arena += a.arena_bytes;
    t->apart += a.no_reuse_bytes;
    for (int i = 0; i < p.n; i++) {
        unsigned flags = p.at[i].row ? p.at[i].row->flags : 0;
        t->random += (flags & OP_RANDOM) != 0;
        t->effects += (flags & OP_EFFECT) != 0;
        t->views += (flags & OP_VIEW) != 0;
    }
    graph_free(g);
    for (int i = 0; i < N_STATES; i++) {
        tensor_release(&p.initial[i]);
        tensor_release(&p.planned[i]);
        tensor_release(&p.eager[i]);
    }
    for (int i = 0; i < N_INPUTS; i++)
        tensor_release(&p.input[i]);
}

static void test_small_programs(void **state)
{
    (void)state;
    Totals t = {0};
    size_t live = mem_live();
    for (uint64_t seed = 1; seed <= 600; seed++)
        check_program(seed, 1 + (int64_t)(seed % 4), 1 + (int64_t)(seed % 3) * 8, &t);
    assert_int_equal(mem_live(), live);
    /* the generator reaches what it is meant to reach */
    assert_true(t.merged > 60 && t.in_place > 400 && t.effects > 400 && t.views > 400);
    assert_true(t.nodes < t.recorded && t.arena < t.apart);
    assert_true(t.random > 0 || !op_find("normal"));
}

static void test_empty_dims(void **state)
{
    (void)state;
    Totals t = {0};
    for (uint64_t seed = 1; seed <= 60; seed++)
        check_program(seed, seed % 2 ? 0 : 3, seed % 2 ? 3 : 0, &t);
}

static void test_large_programs(void **state)
{
    (void)state;
    Totals t = {0};
    for (uint64_t seed = 1000; seed < 1020; seed++)
        check_program(seed, 40, 700, &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_programs),
        cmocka_unit_test(test_empty_dims),
        cmocka_unit_test(test_large_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
