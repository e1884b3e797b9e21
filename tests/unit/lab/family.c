/* Families through the trainer: fits better the loss, boosts add components that take
 * up what is left over, the same seed gives the same bits, and an annealed residual
 * trains. */
#include "graph_support.h"

#include "lab/fit.h"

typedef struct Given {
    Interaction b;
    Tensor x, logits, labels;
    DictData data;
} Given;

static void given_new(Given *v)
{
    Err err = {0};
    Tensor e = t_random(1, F32, 2, DIMS(6, 36), -1, 1);
    Tensor l = t_random(2, F32, 2, DIMS(8, 6), -1, 1);
    Tensor r = t_random(3, F32, 2, DIMS(8, 6), -1, 1);
    Tensor h = t_random(4, F32, 2, DIMS(3, 8), -1, 1);
    assert_ok(interaction_new(&e, &l, &r, &h, NULL, &v->b, &err), err);
    v->x = t_random(5, F32, 2, DIMS(64, 36), 0, 1);
    v->labels = t_make(I32, 1, DIMS(64));
    for (int i = 0; i < 64; i++)
        ((int32_t *)v->labels.data)[i] = i % 3;
    assert_ok(interaction_logits(&v->b, &v->x, &v->logits, &err), err);
    v->data = (DictData){.x = &v->x,
                         .logits = &v->logits,
                         .labels = &v->labels,
                         .height = 6,
                         .width = 6};
    tensor_release(&e);
    tensor_release(&l);
    tensor_release(&r);
    tensor_release(&h);
}

static void given_done(Given *v)
{
    interaction_done(&v->b);
    tensor_release(&v->x);
    tensor_release(&v->logits);
    tensor_release(&v->labels);
}

static Dictionary fit(const Given *v, const char *family, const char *settings,
                      TrainReport *report)
{
    Err err = {0};
    FamilyCfg c;
    Dictionary d;
    TrainHooks none = {0};
    assert_ok(family_defaults(family, &c, &err), err);
    assert_ok(family_set(&c, "components=6 batch=16 steps=120 lr=0.02", "test", &err),
              err);
    assert_ok(family_set(&c, settings, "test", &err), err);
    assert_ok(fit_family(&c, &v->b, &v->data, &none, &d, report, &err), err);
    return d;
}

static double similarity(const Given *v, const Dictionary *d)
{
    Err err = {0};
    DictGram g;
    assert_ok(dict_gram(d, &v->b, NULL, &g, NULL, &err), err);
    return gram_cosine(&g);
}

static void fits_raise_the_similarity(void **state)
{
    (void)state;
    Given v;
    given_new(&v);
    for (size_t k = 0; k < family_n_rows; k++) {
        TrainReport r;
        Dictionary start = fit(&v, family_rows[k].name, "steps=0", &r);
        Dictionary d = fit(&v, family_rows[k].name, "top=0", &r);
        assert_int_equal(r.steps, 120);
        if (!(similarity(&v, &d) > similarity(&v, &start) + 0.02) &&
            !(similarity(&v, &d) > 0.9))
            fail_msg("%s: %.4f before, %.4f after", family_rows[k].name,
                     similarity(&v, &start), similarity(&v, &d));
        dict_done(&start);
        dict_done(&d);
    }
    given_done(&v);
}

static void boosts_take_up_the_rest(void **state)
{
    (void)state;
    Given v;
    TrainReport r;
    given_new(&v);
    Dictionary one = fit(&v, "strokes", "residual=2 penalty=0.1", &r);
    Dictionary two = fit(&v, "strokes", "residual=2 penalty=0.1 boost=2", &r);
    assert_int_equal(r.steps, 240);
    assert_true(two.R == 16 && two.shown == 12);
    assert_memory_equal(one.a.data, two.a.data, sizeof(float) * 6 * 36);
    assert_true(similarity(&v, &two) > similarity(&v, &one) + 0.01);
    dict_done(&one);
    dict_done(&two);
    given_done(&v);
}

static void the_same_seed_the_same_bits(void **state)
{
    (void)state;
    Given v;
    TrainReport r;
    static const char *const settings =
        "residual=2 penalty=0.01 penalty_end=0.5 distill=0.1 consistency=0.1 top=2";
    given_new(&v);
    Dictionary x = fit(&v, "masked_strokes", settings, &r);
    Dictionary y = fit(&v, "masked_strokes", settings, &r);
    assert_memory_equal(x.a.data, y.a.data, tensor_bytes(&x.a));
    assert_memory_equal(x.head.data, y.head.data, tensor_bytes(&x.head));
    Dictionary z = fit(&v, "masked_strokes",
                       "residual=2 penalty=0.01 distill=0.1 consistency=0.1 top=2", &r);
    assert_memory_not_equal(x.a.data, z.a.data, tensor_bytes(&x.a));
    dict_done(&x);
    dict_done(&y);
    dict_done(&z);
    given_done(&v);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_raise_the_similarity),
        cmocka_unit_test(boosts_take_up_the_rest),
        cmocka_unit_test(the_same_seed_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
