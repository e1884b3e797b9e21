/* PyTorch files: the fixtures of tests/data/make_exchange.py in both forms, views and
 * dtypes, hostile pickles (which must be refused and must not run), damage at every
 * byte, allocation faults. Runs from the top of the tree. */
#include "tensor/io.h"

#include "base/file.h"
#include "support.h"
#include "tensor/pickle.h"

/* The rule of the generator. */
static double rule(const char *kind, int64_t i)
{
    int64_t v = 7 * i % 23;
    return *kind == 'b'   ? (double)(i % 2)
           : *kind == 'f' ? (double)v / 4 - 2
                          : (double)v;
}

static void check_rule(const TensorSet *s, const char *name, const char *kind,
                       const char *shape)
{
    const Tensor *t = tset_get(s, name);
    char is[96];
    if (!t)
        fail_msg("no tensor '%s'", name);
    assert_string_equal(tensor_format_shape(t, is), shape);
    assert_true(tensor_contiguous(t));
    Tensor wide;
    assert_true(tensor_convert(t, F64, &wide, NULL));
    for (int64_t i = 0; i < tensor_count(&wide); i++)
        if (((double *)wide.data)[i] != rule(kind, i))
            fail_msg("%s[%d] = %g, expected %g", name, (int)i, ((double *)wide.data)[i],
                     rule(kind, i));
    tensor_release(&wide);
}

static TensorSet *load(const char *file)
{
    char path[96];
    Err err = {0};
    TensorSet *s;
    snprintf(path, sizeof path, "tests/data/%s", file);
    assert_ok(torch_load(path, &s, &err), err);
    return s;
}

static void test_views(void **state)
{
    static const struct {
        const char *name, *kind, *shape;
    } want[] = {
        {"model.plain",      "f", "f32[4,6]" },
        {"model.transposed", "f", "f32[4,6]" },
        {"model.slice",      "f", "f32[3,10]"},
        {"model.param",      "f", "f32[5]"   },
        {"model.half",       "f", "f32[7]"   },
        {"model.bfloat",     "f", "f32[7]"   },
        {"model.double",     "f", "f64[2,3]" },
        {"model.long",       "i", "i32[9]"   },
        {"model.int",        "i", "i32[9]"   },
        {"model.short",      "i", "i32[9]"   },
        {"model.char",       "i", "i32[9]"   },
        {"model.byte",       "i", "u8[9]"    },
        {"model.bool",       "b", "i32[9]"   },
        {"model.scalar",     "f", "f32[]"    },
        {"model.empty",      "f", "f32[0,3]" },
        {"shared.whole",     "f", "f32[12]"  },
        {"shared.again",     "f", "f32[12]"  },
        {"shared.first",     "f", "f32[4]"   },
        {"list.0",           "f", "f32[2]"   },
        {"list.1.x",         "f", "f32[3]"   },
        {"3",                "f", "f32[2]"   },
    };
    const char *file = *state;
    TensorSet *s = load(file);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        check_rule(s, want[i].name, want[i].kind, want[i].shape);
    const Tensor *wide = tset_get(s, "wide");
    assert_non_null(wide);
    for (int64_t i = 0; i < 3; i++)
        assert_true(tensor_get(wide, (int64_t[]){i, 0}) == -2);
    assert_int_equal(tset_count(s), ARRAY_LEN(want) + 1);
    assert_ptr_not_equal(tset_get(s, "shared.whole")->data,
                         tset_get(s, "shared.again")->data);
    assert_string_equal(tset_meta(s, "epoch"), "12");
    assert_string_equal(tset_meta(s, "best"), "0.984375");
    assert_string_equal(tset_meta(s, "done"), "true");
    assert_string_equal(tset_meta(s, "note"), "two words");
    assert_int_equal(tset_meta_count(s), 4);
    tset_free(s);
}

static void test_plain_files(void **unused)
{
    (void)unused;
    TensorSet *s = load("lone.pt");
    check_rule(s, "tensor", "f", "f32[3,2]");
    tset_free(s);
    s = load("big_endian.pt");
    check_rule(s, "tensor", "f", "f32[3,2]");
    tset_free(s);
    TensorSet *new = load("mlp.pt"), *old = load("mlp_old.pt");
    assert_int_equal(tset_count(new), 6);
    assert_int_equal(tset_count(old), 6);
    for (int i = 0; i < 6; i++) {
        const Tensor *a = tset_at(new, i), *b = tset_get(old, tset_name(new, i));
        assert_true(b && tensor_same_shape(a, b));
        assert_memory_equal(a->data, b->data, tensor_bytes(a));
    }
    tset_free(new);
    tset_free(old);
}

static void refuse(const char *file, const char *why)
{
    char path[96];
    Err err = {0};
    TensorSet *s;
    size_t live = mem_live();
    snprintf(path, sizeof path, "tests/data/%s", file);
    assert_false(torch_load(path, &s, &err));
    assert_null(s);
    assert_has(err.msg, why);
    assert_int_equal(mem_live(), live);
}

static void test_refusals(void **unused)
{
    (void)unused;
    refuse("hostile.pt", "asks for 'posix.system'");
    refuse("hostile.pt", "nothing in it was executed");
    refuse("hostile_stack.pt", "asks for 'posix.system'");
    refuse("hostile_text.pt", "'os.system'");
    refuse("hostile_object.pt", "the instruction OBJ");
    refuse("module.pt", "'torch.nn.modules.linear.Linear'");
    refuse("complex.pt", "'torch.ComplexFloatStorage'");
    refuse("bomb.pt", "4 million values");
    refuse("no_tensors.pt", "holds no tensors");
    refuse("f4.npy", "not written by torch.save()");
    refuse("mlp_io.npz", "no data.pkl");
    refuse("not_there.pt", "not_there.pt");
    assert_false(file_exists("pickle-was-run"));
}

/* One pickle from memory; NULL with the sentence in err. */
static const PickleValue *run(const char *code, size_t n, Arena *a, Err *err)
{
    size_t at = 0;
    *err = (Err){0};
    return pickle_read(code, n, &at, "x.pt", a, NULL, err);
}

static void test_values(void **unused)
{
    (void)unused;
    static const char code[] =
        "\x80\x02}(X\1\0\0\0aK\7X\1\0\0\0bJ\xff\xff\xff\xffX\1\0\0\0cG\x3f\xf8\0\0\0\0"
        "\0\0X\1\0\0\0d\x8a\2\0\x80X\1\0\0\0e(K\1K\2tX\1\0\0\0fNu.";
    Err err;
    Arena *a = arena_new(&err);
    const PickleValue *v = run(code, sizeof code - 1, a, &err);
    if (!v)
        fail_msg("%s", err.msg);
    assert_int_equal(v->kind, PICKLE_DICT);
    assert_int_equal(pickle_get(v, "a")->i, 7);
    assert_int_equal(pickle_get(v, "b")->i, -1);
    assert_true(pickle_get(v, "c")->f == 1.5);
    assert_int_equal(pickle_get(v, "d")->i, -32768);
    assert_int_equal(pickle_get(v, "e")->n, 2);
    assert_int_equal(pickle_get(v, "f")->kind, PICKLE_NONE);
    assert_null(pickle_get(v, "g"));
    arena_free(a);
}

static void test_broken_programs(void **unused)
{
    (void)unused;
#define CODE(s) s, sizeof s - 1
    static const struct {
        const char *code;
        size_t n;
        const char *why;
    } cases[] = {
        {CODE(""),                                       "ends inside an instruction"},
        {CODE("."),                                      "full stack"                },
        {CODE("\x80\x09N."),                             "protocol 9"                },
        {CODE("0."),                                     "stack is empty"            },
        {CODE("t."),                                     "mark is missing"           },
        {CODE("N(1."),                                   ""                          },
        {CODE("(0."),                                    "stack is empty"            },
        {CODE("K\1(K\2a."),                              "stack is empty"            },
        {CODE("K\1K\2a."),                               "no list"                   },
        {CODE("](K\1u."),                                "no dictionary"             },
        {CODE("}(K\1u."),                                "no dictionary"             },
        {CODE("(K\1d."),                                 "key without value"         },
        {CODE("h\0."),                                   "before it is set"          },
        {CODE("Nr\xff\xff\xff\x7f."),                    "memo number is too large"  },
        {CODE("X\xff\xff\xff\xff"
              "abc."),
         "ends inside"                                                               },
        {CODE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
              "abc."),
         "ends inside"                                                               },
        {CODE("K\1)R."),                                 "no function"               },
        {CODE("ctorch\nFloatStorage\n)R."),              "storage inside the pickle" },
        {CODE("ctorch._utils\n_rebuild_tensor_v2\n)R."), "(storage, offset"          },
        {CODE("ctorch\nFloat"),                          "name does not end"         },
        {CODE("ccollections\nOrderedDict\n(K\1tR."),     "not made of pairs"         },
        {CODE("](K\1K\2eN}b."),                          "no dictionary"             },
        {CODE("K\1Q."),                                  "a reference that is no"    },
        {CODE("\xfe."),                                  "no instruction 0xfe"       },
        {CODE("K\1K\2\x93."),                            "name that is no text"      },
        {CODE("\x8c\2os\x8c\6system\x93."),              "'os.system'"               },
        {CODE("I5\n."),                                  "the instruction INT"       },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err;
        Arena *a = arena_new(&err);
        const PickleValue *v = run(cases[i].code, cases[i].n, a, &err);
        if (cases[i].why[0]) {
            if (v)
                fail_msg("case %d was accepted", (int)i);
            assert_has(err.msg, cases[i].why);
        } else {
            assert_non_null(v);
        }
        arena_free(a);
    }
}

static void with_bytes(const char *file, void (*f)(uint8_t *d, size_t n))
{
    char path[96], *data;
    size_t n;
    Err err = {0};
    snprintf(path, sizeof path, "tests/data/%s", file);
    assert_ok(file_read_all(path, 1 << 20, &data, &n, &err), err);
    f((uint8_t *)data, n);
    mem_free(data);
}

static void try(const uint8_t *d, size_t n)
{
    Err err = {0};
    size_t live = mem_live();
    TensorSet *s;
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, d, n);
    if (!torch_parse(exact, n, "x.pt", &s, &err))
        assert_true(err.code != ERR_NONE && err.msg[0]);
    tset_free(s);
    free(exact);
    assert_int_equal(mem_live(), live);
}

static void damage(uint8_t *d, size_t n)
{
    size_t step = n > 3000 ? 3 : 1;
    for (size_t i = 0; i < n; i += step) {
        uint8_t was = d[i];
        d[i] ^= 0x41;
        try(d, n);
        d[i] = 0xff;
        try(d, n);
        d[i] = was;
    }
    for (size_t i = 0; i < n; i += step)
        try(d, i);
}

static void test_damage(void **unused)
{
    (void)unused;
    size_t budget = mem_budget();
    mem_set_budget(64 << 20);
    with_bytes("views_old.pt", damage);
    with_bytes("lone.pt", damage);
    with_bytes("mlp_old.pt", damage);
    mem_set_budget(budget);
}

static bool load_once(void *ctx, Err *err)
{
    TensorSet *s;
    bool ok = torch_load(ctx, &s, err);
    tset_free(s);
    return ok;
}

static void test_faults(void **unused)
{
    (void)unused;
    char new[] = "tests/data/views.pt", old[] = "tests/data/views_old.pt";
    assert_true(fail_each_alloc(load_once, new) > 20);
    assert_true(fail_each_alloc(load_once, old) > 20);
}

int main(void)
{
    static char new[] = "views.pt", old[] = "views_old.pt";
    const struct CMUnitTest tests[] = {
        {"views",             test_views, NULL, NULL, new},
        {"views, older form", test_views, NULL, NULL, old},
        cmocka_unit_test(test_plain_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_broken_programs),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
