#include "support.h"

#include <math.h>

#include "base/option.h"

typedef struct Config {
    int64_t epochs, threads, any;
    double lr, noise, clip;
    bool shuffle;
    char name[OPT_STR_CAP], optimiser[OPT_STR_CAP];
} Config;

#define AT(field) offsetof(Config, field)
static const OptRow rows[] = {
    {"epochs", OPT_INT, AT(epochs), "8", 1, 1000, NULL, "passes over the data"},
    {"threads", OPT_INT, AT(threads), "0", 0, INFINITY, NULL, "0 is all"},
    {"any", OPT_INT, AT(any), "-5", 0, 0, NULL, "no limit"},
    {"lr", OPT_NUM, AT(lr), "3e-3", 0, 10, NULL, "step size"},
    {"noise", OPT_NUM, AT(noise), "0.55", 0, 1e300, NULL, "standard deviation"},
    {"clip", OPT_NUM, AT(clip), "inf", 0, 0, NULL, "largest norm"},
    {"shuffle", OPT_BOOL, AT(shuffle), "true", 0, 0, NULL, "new order each epoch"},
    {"name", OPT_STR, AT(name), "", 0, 0, NULL, "label"},
    {"optimiser", OPT_ENUM, AT(optimiser), "adamw", 0, 0, "sgd adam adamw muon",
     "rule"},
};
enum { N = ARRAY_LEN(rows) };

static Config defaults(void)
{
    Config c;
    Err err = {0};
    memset(&c, 0x5A, sizeof c);
    assert_ok(opt_defaults(rows, N, &c, &err), err);
    return c;
}

static void defaults_fill_every_field(void **state)
{
    (void)state;
    Config c = defaults();
    assert_int_equal(c.epochs, 8);
    assert_int_equal(c.threads, 0);
    assert_int_equal(c.any, -5);
    assert_true(c.lr == 3e-3 && c.noise == 0.55 && isinf(c.clip));
    assert_true(c.shuffle);
    assert_string_equal(c.name, "");
    assert_string_equal(c.optimiser, "adamw");
}

static void a_bad_default_is_reported(void **state)
{
    (void)state;
    static const OptRow bad[] = {
        {"a", OPT_INT, 0, "eight", 0, 0, NULL, ""},
        {"a", OPT_INT, 0, "2.5", 0, 0, NULL, ""},
        {"a", OPT_INT, 0, NULL, 0, 0, NULL, ""},
        {"a", OPT_INT, 0, "11", 1, 10, NULL, ""},
        {"a", OPT_BOOL, 0, "yes", 0, 0, NULL, ""},
        {"a", OPT_ENUM, 0, "c", 0, 0, "a b", ""},
    };
    char space[OPT_STR_CAP];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err err = {0};
        assert_false(opt_defaults(&bad[i], 1, space, &err));
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, "'a'");
    }
}

static void an_unknown_name_gets_the_nearest(void **state)
{
    (void)state;
    Config c = defaults();
    Err err = {0};
    OptValue v = {.type = OPT_INT, .i = 1};
    assert_false(opt_set(rows, N, &c, "epoch", &v, "cl.train", &err));
    assert_int_equal(err.code, ERR_OPTION);
    assert_string_equal(err.msg,
                        "cl.train: there is no option 'epoch'; did you mean 'epochs'?");
    assert_false(opt_set_text(rows, N, &c, "optimizer", "sgd", NULL, &err));
    assert_string_equal(err.msg,
                        "there is no option 'optimizer'; did you mean 'optimiser'?");
    assert_false(opt_set(rows, N, &c, "qqqq", &v, "cl.train", &err));
    assert_has(err.msg, "there are: epochs, threads, any, lr");
    assert_false(opt_set(rows, 0, &c, "qqqq", &v, "f", &err));
    assert_has(err.msg, "none");
    assert_false(opt_set(rows, N, &c, "", &v, "f", NULL));
}

typedef struct TextRow {
    const char *name, *text, *error; /* error NULL: accepted */
} TextRow;

static const TextRow texts[] = {
    {"epochs", "12", NULL},
    {"epochs", "1e3", NULL},
    {"epochs", "1001", "'epochs' is 1001; it must be from 1 to 1000"},
    {"epochs", "0", "from 1 to 1000"},
    {"epochs", "1.5", "must be an integer, not 1.5"},
    {"epochs", "many", "must be an integer, not 'many'"},
    {"epochs", "", "must be an integer"},
    {"epochs", "12x", "not '12x'"},
    {"epochs", "nan", "must be an integer"},
    {"threads", "-1", "'threads' is -1; it must be at least 0"},
    {"any", "9223372036854775807", NULL},
    {"any", "-9223372036854775808", NULL},
    {"any", "9223372036854775808", "must be an integer"},
    {"any", "1e300", "must be an integer, not 1e+300"},
    {"lr", "0", NULL},
    {"lr", "10", NULL},
    {"lr", "10.000001", "'lr' is 10.000001; it must be from 0 to 10"},
    {"lr", "nan", "must be a number, not NaN"},
    {"lr", "inf", "from 0 to 10"},
    {"lr", "fast", "must be a number, not 'fast'"},
    {"noise", "-0.5", "at least 0"},
    {"noise", "1e200", NULL},
    {"clip", "-inf", NULL},
    {"shuffle", "false", NULL},
    {"shuffle", "1", "must be true or false, not '1'"},
    {"name", "two words \xE2\x82\xAC", NULL},
    {"optimiser", "muon", NULL},
    {"optimiser", "adma", "cannot be 'adma'; did you mean 'adam'? (choices: sgd adam"},
    {"optimiser", "newton",
     "'optimiser' cannot be 'newton'; choices: sgd adam adamw muon"},
    {"optimiser", "", "choices:"},
    {"optimiser", "adam adamw", "cannot be"},
};

static void texts_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const TextRow *r = &texts[i];
        Config c = defaults(), old = c;
        Err err = {0};
        bool ok = opt_set_text(rows, N, &c, r->name, r->text, "run", &err);
        if (ok != !r->error)
            fail_msg("%s = '%s': %d %s", r->name, r->text, (int)ok, err.msg);
        if (ok)
            continue;
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, "run: ");
        assert_has(err.msg, r->error);
        assert_memory_equal(&c, &old, sizeof c);
    }
}

static void values_land_where_they_belong(void **state)
{
    (void)state;
    Config c = defaults();
    Err err = {0};
    OptValue i = {.type = OPT_INT, .i = 7}, f = {.type = OPT_NUM, .f = 9.0};
    OptValue half = {.type = OPT_NUM, .f = 0.5}, b = {.type = OPT_BOOL, .b = false};
    OptValue s = {.type = OPT_STR, .s = "sgd"};
    assert_ok(opt_set(rows, N, &c, "epochs", &i, "f", &err), err);
    assert_int_equal(c.epochs, 7);
    assert_ok(opt_set(rows, N, &c, "epochs", &f, "f", &err), err);
    assert_int_equal(c.epochs, 9);
    assert_ok(opt_set(rows, N, &c, "lr", &i, "f", &err), err);
    assert_true(c.lr == 7.0);
    assert_ok(opt_set(rows, N, &c, "lr", &half, "f", &err), err);
    assert_true(c.lr == 0.5);
    assert_ok(opt_set(rows, N, &c, "shuffle", &b, "f", &err), err);
    assert_false(c.shuffle);
    assert_ok(opt_set(rows, N, &c, "optimiser", &s, "f", &err), err);
    assert_string_equal(c.optimiser, "sgd");
    assert_false(opt_set(rows, N, &c, "epochs", &half, "f", &err));
    assert_string_equal(err.msg, "f: 'epochs' must be an integer, not 0.5");
    assert_false(opt_set(rows, N, &c, "epochs", &s, "f", &err));
    assert_string_equal(err.msg, "f: 'epochs' must be an integer, not a text");
    assert_false(opt_set(rows, N, &c, "lr", &b, "f", &err));
    assert_false(opt_set(rows, N, &c, "name", &i, "f", &err));
    assert_string_equal(err.msg, "f: 'name' must be a text, not an integer");
    assert_false(opt_set(rows, N, &c, "shuffle", &i, "f", NULL));
    assert_int_equal(c.epochs, 9);
    assert_true(c.lr == 0.5);
}

static void texts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    Config c = defaults();
    Err err = {0};
    char s[OPT_STR_CAP + 1];
    memset(s, 'x', sizeof s);
    s[OPT_STR_CAP] = '\0';
    assert_false(opt_set_text(rows, N, &c, "name", s, "f", &err));
    assert_has(err.msg, "at most 1023 fit");
    s[OPT_STR_CAP - 1] = '\0';
    assert_true(opt_set_text(rows, N, &c, "name", s, "f", NULL));
    assert_string_equal(c.name, s);
}

static void get_reads_back_what_was_set(void **state)
{
    (void)state;
    Config c = defaults();
    OptValue v;
    assert_true(opt_get(rows, N, &c, "epochs", &v));
    assert_true(v.type == OPT_INT && v.i == 8);
    assert_true(opt_get(rows, N, &c, "lr", &v));
    assert_true(v.type == OPT_NUM && v.f == 3e-3);
    assert_true(opt_get(rows, N, &c, "shuffle", &v));
    assert_true(v.type == OPT_BOOL && v.b);
    assert_true(opt_get(rows, N, &c, "optimiser", &v));
    assert_int_equal(v.type, OPT_STR);
    assert_string_equal(v.s, "adamw");
    assert_false(opt_get(rows, N, &c, "epoch", &v));
    for (size_t i = 0; i < N; i++) { /* whatever comes out goes in again */
        assert_true(opt_get(rows, N, &c, rows[i].name, &v));
        assert_true(opt_set(rows, N, &c, rows[i].name, &v, "f", NULL));
    }
}

static void texts_read_back_to_the_same_bits(void **state)
{
    (void)state;
    Config c = defaults(), back;
    Err err = {0};
    char text[OPT_STR_CAP];
    const double values[] = {0.1,         1.0 / 3, 3e-3,     1e15,
                             123456789.0, -0.0,    5e-324,   1e300,
                             0,           -7,      INFINITY, 0.30000000000000004};
    c.any = INT64_MIN;
    c.shuffle = false;
    snprintf(c.name, sizeof c.name, "a b, \"c\"");
    for (size_t k = 0; k < ARRAY_LEN(values); k++) {
        c.clip = values[k];
        memset(&back, 0, sizeof back);
        for (size_t i = 0; i < N; i++) {
            opt_text(&rows[i], &c, text);
            assert_ok(opt_set_text(rows, N, &back, rows[i].name, text, "f", &err), err);
        }
        assert_memory_equal(&back.clip, &c.clip, sizeof c.clip);
        assert_true(back.lr == c.lr && back.any == c.any && !back.shuffle);
        assert_string_equal(back.name, c.name);
        assert_string_equal(back.optimiser, c.optimiser);
    }
    assert_string_equal(opt_text(&rows[3], &c, text), "0.003");
    assert_string_equal(opt_text(&rows[0], &c, text), "8");
}

static void failed_allocations_still_give_the_right_error(void **state)
{
    (void)state;
    Config c = defaults();
    OptValue v = {.type = OPT_INT};
    size_t live = mem_live();
    for (long n = 1; n < 4; n++) {
        Err err = {0};
        mem_fail_at(n);
        assert_false(opt_set(rows, N, &c, "qqqq", &v, "f", &err));
        mem_fail_at(0);
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, "there is no option 'qqqq'");
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_every_field),
        cmocka_unit_test(a_bad_default_is_reported),
        cmocka_unit_test(an_unknown_name_gets_the_nearest),
        cmocka_unit_test(texts_are_checked),
        cmocka_unit_test(values_land_where_they_belong),
        cmocka_unit_test(texts_that_do_not_fit_are_refused),
        cmocka_unit_test(get_reads_back_what_was_set),
        cmocka_unit_test(texts_read_back_to_the_same_bits),
        cmocka_unit_test(failed_allocations_still_give_the_right_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
