/* Families: every row's loss against the same numbers computed the long way from the
 * dictionary it gives, its gradient against differences, the residual's clock, anchors
 * from data, the rest of a tensor, settings, and what is refused. */
#include "case.h"

#include "decomp/family.h"

static FamilyCfg settings(const char *family, const char *more)
{
    Err err = {0};
    FamilyCfg c;
    assert_ok(family_defaults(family, &c, &err), err);
    assert_ok(family_set(&c, "components=4 batch=7 distill=0", "test", &err), err);
    assert_ok(family_set(&c, more, "test", &err), err);
    return c;
}

/* A case with its logits and labels as a fit needs them. */
typedef struct Given {
    Case k;
    Tensor logits, labels, unlit, idx;
    DictData data;
} Given;

static void given_new(Given *v, uint64_t seed)
{
    Err err = {0};
    v->k = case_random(seed, 3, 4, 5, 12, 5);
    assert_ok(interaction_logits(&v->k.b, &v->k.x, &v->logits, &err), err);
    v->labels = t_make(I32, 1, DIMS(7));
    v->idx = t_make(I32, 1, DIMS(7));
    v->unlit = t_make(F32, 1, DIMS(12));
    for (int i = 0; i < 7; i++) {
        ((int32_t *)v->labels.data)[i] = i % 3;
        ((int32_t *)v->idx.data)[i] = i;
    }
    d32(&v->unlit)[0] = 1;
    v->data = (DictData){.S = &v->k.S,
                         .unlit = &v->unlit,
                         .x = &v->k.x,
                         .logits = &v->logits,
                         .labels = &v->labels,
                         .height = 3,
                         .width = 4};
}

static void given_done(Given *v)
{
    case_done(&v->k);
    tensor_release(&v->logits);
    tensor_release(&v->labels);
    tensor_release(&v->unlit);
    tensor_release(&v->idx);
}

static Family *make(const FamilyCfg *c, const Given *v)
{
    Err err = {0};
    Family *f = family_new(c, &v->k.b, &v->data, &err);
    if (!f)
        fail_msg("%s: %s", c->family, err.msg);
    return f;
}

typedef struct Loss {
    Plan *plan;
    int loss, d;
} Loss;

enum { MAX_PARAMS = 12 };

static Loss loss_of(Family *f, bool batch)
{
    Err err = {0};
    int64_t seven = 7;
    Graph *g = graph_new(&err);
    TensorSet *p = family_params(f);
    Val wrt[MAX_PARAMS], d[MAX_PARAMS];
    Val v = family_loss(f, g, batch ? graph_input(g, "idx", I32, 1, &seven) : VAL_NONE);
    graph_output(g, "loss", v);
    for (int k = 0; k < tset_count(p); k++)
        wrt[k] = graph_state(g, tset_name(p, k), tset_at(p, k));
    graph_grad(g, v, wrt, tset_count(p), d);
    for (int k = 0; k < tset_count(p); k++)
        graph_output(g, tset_name(p, k), d[k]);
    if (!graph_ok(g))
        fail_msg("%s", graph_err(g)->msg);
    Loss l = {.plan = plan_of(g, 0)};
    l.loss = plan_output_index(l.plan, "loss");
    l.d = l.loss + 1;
    graph_free(g);
    return l;
}

static double run_loss(Loss *l, const Given *v)
{
    Err err = {0};
    assert_ok(plan_run(l->plan, &v->idx, &err), err);
    return t_at(plan_output(l->plan, l->loss), 0);
}

static Dictionary finish(Family *f)
{
    Err err = {0};
    Dictionary d;
    assert_ok(family_finish(f, &d, &err), err);
    return d;
}

/* --- the loss, the long way ------------------------------------------------------- */

static double activation(const Dictionary *d, const Tensor *x, int64_t i, int64_t r)
{
    double a = 0, b = 0;
    for (int64_t j = 0; j < d->I; j++) {
        a += t_at(x, i * d->I + j) * t_at(&d->a, r * d->I + j);
        b += t_at(x, i * d->I + j) * t_at(&d->b, r * d->I + j);
    }
    return a * b;
}

static double long_error(const Dictionary *d, const Given *v)
{
    double s = 0, y1 = 0, y2 = 0;
    for (int64_t i = 0; i < 7; i++)
        for (int64_t c = 0; c < 3; c++) {
            double y = t_at(&v->logits, i * 3 + c), fit = 0;
            for (int64_t r = 0; r < d->R; r++)
                fit += activation(d, &v->k.x, i, r) * t_at(&d->head, r * 3 + c);
            s += (fit - y) * (fit - y) / 21;
            y1 += y / 21;
            y2 += y * y / 21;
        }
    return s / (y2 - y1 * y1);
}

static double long_inconsistency(const Dictionary *d, const Given *v)
{
    double mean = 0;
    for (int64_t r = 0; r < d->shown; r++) {
        double on = 0, all = 0, sum = 0;
        for (int64_t c = 0; c < 3; c++)
            sum += fabs(t_at(&d->head, r * 3 + c));
        for (int64_t i = 0; i < 7; i++) {
            double act = pow(activation(d, &v->k.x, i, r), 2);
            on += act * fabs(t_at(&d->head, r * 3 + i % 3)) / sum;
            all += act;
        }
        mean += (1 - on / all) / (double)d->shown;
    }
    return mean;
}

/* |T of components from..|^2 over |T|^2 */
static double long_share(const Dictionary *d, const Tensor *S)
{
    double rest = 0, all = 0;
    for (int64_t c = 0; c < d->C; c++) {
        double *T = dense_parts(d, c, 0, d->R), *Q = dense_parts(d, c, d->shown, d->R);
        rest += dense_inner(Q, Q, S, d->I);
        all += dense_inner(T, T, S, d->I);
        free(T);
        free(Q);
    }
    return rest / all;
}

static void the_loss_is_dense(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 1);
    for (size_t k = 0; k < family_n_rows; k++)
        for (int way = 0; way < 4; way++) {
            FamilyCfg c = settings(family_rows[k].name, way & 1 ? "metric=data" : "");
            Err err = {0};
            c.anchor = 0;
            if (way & 2)
                assert_ok(family_set(&c,
                                     "residual=3 penalty=0.3 consistency=0.2 "
                                     "distill=0.4 top=2",
                                     "test", &err),
                          err);
            Family *f = make(&c, &v);
            Loss l = loss_of(f, way & 2);
            double loss = run_loss(&l, &v);
            Dictionary d = finish(f);
            const Tensor *S = way & 1 ? &v.k.S : NULL;
            DenseGram g = dense_gram(&v.k, &d, S);
            double want = 1 - fabs(g.TB) / sqrt(g.TT * g.BB);
            /* a negative cosine: the finished dictionary has its sign turned */
            if (t_at(plan_output(l.plan, plan_output_index(l.plan, "similarity")), 0) <
                0)
                want = 2 - want;
            if (way & 2)
                want += .3 * long_share(&d, S) + .2 * long_inconsistency(&d, &v) +
                        .4 * long_error(&d, &v);
            if (fabs(loss - want) > 2e-5)
                fail_msg("%s %d: the loss is %.9g, must be %.9g", family_rows[k].name,
                         way, loss, want);
            plan_free(l.plan);
            dict_done(&d);
            family_free(f);
        }
    given_done(&v);
}

/* Adding a prior adds what its row says: here those that only families have. */
static void priors_count_displayed_components_only(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 2);
    FamilyCfg c = settings("strokes", "residual=2 anchor=0 top=0");
    Family *f = make(&c, &v);
    Loss l = loss_of(f, false);
    double base = run_loss(&l, &v), l1 = 0;
    Dictionary d = finish(f);
    for (int64_t r = 0; r < 4; r++) {
        double n = 0, s = 0;
        for (int64_t i = 0; i < 3; i++) {
            s += fabs(t_at(&d.head, r * 3 + i));
            n += pow(t_at(&d.head, r * 3 + i), 2);
        }
        l1 += s / sqrt(n) / 4;
    }
    plan_free(l.plan);
    family_free(f);
    c.prior[prior_index("head_l1")] = 0.5;
    f = make(&c, &v);
    l = loss_of(f, false);
    assert_near(run_loss(&l, &v) - base, 0.5 * l1, 1e-5);
    plan_free(l.plan);
    family_free(f);
    dict_done(&d);
    given_done(&v);
}

/* --- gradients -------------------------------------------------------------------- */

static void check_slope(Family *f, Loss *l, int k, const Given *v, const char *name)
{
    Err err = {0};
    Tensor p = tensor_retain(tset_at(family_params(f), k)), old = {0};
    double slope = 0, size = 0, at[2];
    run_loss(l, v);
    Tensor d = {0};
    assert_ok(tensor_copy(plan_output(l->plan, l->d + k), &d, &err), err);
    assert_ok(tensor_copy(&p, &old, &err), err);
    for (int64_t i = 0; i < tensor_count(&p); i++) {
        slope += t_at(&d, i) * t_at(&d, i);
        size += t_at(&p, i) * t_at(&p, i);
    }
    double step = 0.002 * sqrt((size + 1e-3) / (slope + 1e-30));
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < tensor_count(&p); i++)
            d32(&p)[i] = d32(&old)[i] + (float)((side ? -step : step) * t_at(&d, i));
        at[side] = run_loss(l, v);
    }
    assert_ok(tensor_copy_into(&old, &p, &err), err);
    double got = (at[0] - at[1]) / (2 * step);
    if (fabs(got - slope) > 0.02 * slope + 4e-7 / step)
        fail_msg("%s %s: slope %.6g, must be %.6g", name,
                 tset_name(family_params(f), k), slope, got);
    tensor_release(&p);
    tensor_release(&old);
    tensor_release(&d);
}

static void gradients_match_differences(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 3);
    for (size_t k = 0; k < family_n_rows; k++) {
        FamilyCfg c = settings(family_rows[k].name,
                               "residual=2 penalty=0.1 distill=0.2 top=0 anchor=0.1 "
                               "locality=0.1 roughness=0.1");
        Family *f = make(&c, &v);
        Loss l = loss_of(f, true);
        for (int i = 0; i < tset_count(family_params(f)); i++)
            check_slope(f, &l, i, &v, family_rows[k].name);
        plan_free(l.plan);
        family_free(f);
    }
    given_done(&v);
}

/* --- heads, the clock ------------------------------------------------------------- */

static void heads_keep_their_largest(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 4);
    for (int top = 0; top <= 3; top++) {
        FamilyCfg c = settings("cp", "");
        c.top = top;
        Family *f = make(&c, &v);
        Dictionary d = finish(f);
        for (int64_t r = 0; r < 4; r++) {
            int used = 0;
            for (int64_t i = 0; i < 3; i++)
                used += t_at(&d.head, r * 3 + i) != 0;
            assert_int_equal(used, top ? top : 3);
        }
        dict_done(&d);
        family_free(f);
    }
    given_done(&v);
}

static void a_penalty_rises_over_the_steps(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 5);
    FamilyCfg c = settings("cp", "residual=3 penalty=0.1 penalty_end=0.9 steps=5");
    Family *f = make(&c, &v);
    assert_non_null(family_states(f));
    Loss l = loss_of(f, false);
    Dictionary d = finish(f);
    double share = long_share(&d, NULL), first = run_loss(&l, &v);
    for (int step = 1; step < 5; step++)
        assert_near(run_loss(&l, &v) - first, 0.8 * step / 4 * share, 2e-6);
    assert_true(share > 1e-3);
    plan_free(l.plan);
    dict_done(&d);
    family_free(f);
    given_done(&v);
}

/* --- anchors and rests ------------------------------------------------------------ */

static void anchors_of_data(void **state)
{
    (void)state;
    Err err = {0};
    Given v;
    Tensor t;
    given_new(&v, 6);
    assert_ok(data_anchors(&v.k.x, &v.labels, 3, 2, &t, &err), err);
    assert_int_equal(t.dim[0], 3 + 3 + 2);
    double mean[3][12] = {{0}}, diff[12], m = 0, n = 0;
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 12; j++)
            mean[i % 3][j] += t_at(&v.k.x, i * 12 + j) / (i % 3 == 0 ? 3 : 2);
    for (int j = 0; j < 12; j++) /* row 4: class 0 minus class 2 */
        m += (diff[j] = mean[0][j] - mean[2][j]) / 12;
    for (int j = 0; j < 12; j++)
        n += pow(diff[j] - m, 2);
    for (int j = 0; j < 12; j++)
        assert_near(t_at(&t, 4 * 12 + j), (diff[j] - m) / sqrt(n), 1e-5);
    for (int k = 0; k < 8; k++) {
        double sum = 0, square = 0;
        for (int j = 0; j < 12; j++) {
            sum += t_at(&t, k * 12 + j);
            square += pow(t_at(&t, k * 12 + j), 2);
        }
        assert_near(sum, 0, 1e-5);
        assert_near(square, 1, 1e-5);
    }
    tensor_release(&t);
    given_done(&v);
}

static void the_rest_is_the_difference(void **state)
{
    (void)state;
    Err err = {0};
    Given v;
    Interaction rest;
    given_new(&v, 7);
    assert_ok(interaction_minus(&v.k.b, &v.k.d, &rest, &err), err);
    for (int64_t c = 0; c < 3; c++) {
        Tensor got;
        double *B = dense_network(&v.k, c), *T = dense_parts(&v.k.d, c, 0, 5);
        assert_ok(interaction_dense(&rest, c, &got, &err), err);
        for (int i = 0; i < 144; i++)
            assert_near(d64(&got)[i], B[i] - T[i], 1e-12);
        tensor_release(&got);
        free(B);
        free(T);
    }
    interaction_done(&rest);
    given_done(&v);
}

static void parts_and_joins(void **state)
{
    (void)state;
    Err err = {0};
    Given v;
    Dictionary part, both;
    given_new(&v, 8);
    v.k.d.shown = 3;
    assert_ok(dict_part(&v.k.d, 1, 2, &part, &err), err);
    assert_true(part.R == 2 && part.shown == 2);
    assert_near(t_at(&part.a, 5), t_at(&v.k.d.a, 17), 0);
    assert_ok(dict_join(&v.k.d, &part, &both, &err), err);
    assert_true(both.R == 7 && both.shown == 5);
    assert_near(t_at(&both.b, 3 * 12 + 5), t_at(&v.k.d.b, 17), 0); /* part, first */
    assert_near(t_at(&both.b, 5 * 12 + 2), t_at(&v.k.d.b, 3 * 12 + 2), 0);
    dict_done(&part);
    assert_false(dict_part(&v.k.d, 4, 2, &part, &err));
    assert_has(err.msg, "5");
    dict_done(&both);
    given_done(&v);
}

/* --- settings --------------------------------------------------------------------- */

static void published_runs_are_settings(void **state)
{
    (void)state;
    Err err = {0};
    FamilyCfg c;
    assert_true(published_n_rows >= 14);
    for (size_t k = 0; k < published_n_rows; k++) {
        const PublishedRow *p = &published_rows[k];
        assert_ok(family_defaults(p->family, &c, &err), err);
        assert_ok(family_set(&c, p->settings, p->name, &err), err);
        assert_true(p->similarity > 0 && p->similarity < 1);
    }
    for (size_t k = 0; k < family_n_rows; k++)
        assert_ok(family_defaults(family_rows[k].name, &c, &err), err);
    assert_false(family_set(&c, "smoth=2", "test", &err));
    assert_has(err.msg, "smooth");
    assert_false(family_set(&c, "smooth", "test", &err));
    assert_false(family_defaults("banks", &c, &err));
    assert_has(err.msg, "two_banks");
}

static void refused(const char *family, const char *more, const DictData *d,
                    const Given *v, const char *why)
{
    Err err = {0};
    FamilyCfg c = settings(family, more);
    assert_null(family_new(&c, &v->k.b, d, &err));
    assert_has(err.msg, why);
}

static void settings_that_cannot_work(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 9);
    DictData d = v.data;
    Tensor wrong = t_make(F32, 2, DIMS(3, 12));
    d.height = 5;
    refused("cp", "", &d, &v, "12 inputs");
    d = v.data;
    d.S = NULL;
    refused("cp", "metric=data", &d, &v, "training images");
    d = v.data;
    d.x = NULL;
    refused("data_anchors", "", &d, &v, "training images");
    refused("cp", "distill=1", &d, &v, "examples");
    d = v.data;
    d.labels = NULL;
    refused("cp", "consistency=1", &d, &v, "labels");
    d = v.data;
    d.unlit = NULL;
    refused("cp", "background=1", &d, &v, "training images");
    d = v.data;
    d.anchors = &wrong;
    refused("strokes", "", &d, &v, "f32[8,12]");
    refused("two_banks", "", &d, &v, "f32[8,12]");
    refused("cp", "top=4", &v.data, &v, "3 entries");
    tensor_release(&wrong);
    given_done(&v);
}

typedef struct TryCtx {
    const Given *v;
    const FamilyCfg *c;
} TryCtx;

static bool try_family(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    Dictionary d = {0};
    Family *f = family_new(t->c, &t->v->k.b, &t->v->data, err);
    bool ok = f && family_finish(f, &d, err);
    if (ok) {
        int64_t batch = 7;
        Graph *g = graph_new(err);
        ok = g != NULL;
        if (g) {
            family_loss(f, g, graph_input(g, "idx", I32, 1, &batch));
            ok = graph_ok(g) ||
                 err_set(err, graph_err(g)->code, "%s", graph_err(g)->msg);
        }
        graph_free(g);
    }
    dict_done(&d);
    family_free(f);
    return ok;
}

static bool try_rest(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    Interaction rest;
    Dictionary both;
    bool ok = interaction_minus(&t->v->k.b, &t->v->k.d, &rest, err);
    interaction_done(&rest);
    ok = ok && dict_join(&t->v->k.d, &t->v->k.d, &both, err);
    if (ok)
        dict_done(&both);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Given v;
    given_new(&v, 10);
    for (size_t k = 0; k < family_n_rows; k++) {
        FamilyCfg c = settings(family_rows[k].name,
                               "residual=1 penalty=0.1 penalty_end=1 distill=0.1 "
                               "consistency=0.1 metric=data");
        assert_true(fail_each_alloc(try_family, &(TryCtx){&v, &c}) > 30);
    }
    assert_true(fail_each_alloc(try_rest, &(TryCtx){&v, NULL}) > 3);
    given_done(&v);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_is_dense),
        cmocka_unit_test(priors_count_displayed_components_only),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(heads_keep_their_largest),
        cmocka_unit_test(a_penalty_rises_over_the_steps),
        cmocka_unit_test(anchors_of_data),
        cmocka_unit_test(the_rest_is_the_difference),
        cmocka_unit_test(parts_and_joins),
        cmocka_unit_test(published_runs_are_settings),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
