/* Array files against files made by NumPy, round trips, and one clear refusal for each
 * kind of damage. Runs from the top of the tree (reads tests/data). */
#include "tensor/io.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

static char dir[64];

static int make_dir(void **unused)
{
    (void)unused;
    strcpy(dir, "/tmp/cleave-io-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **unused)
{
    (void)unused;
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd);
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* The rule of make_fixtures.py. */
static double expected(const char *kind, int64_t i)
{
    double v = 3 * (double)i - 7;
    if (*kind == 'b')
        return (i + 1) % 2; /* (3 i - 7) mod 2 */
    return *kind == 'u' ? fabs(v) : v;
}

static void check_values(const Tensor *t, const char *kind)
{
    Tensor flat, wide;
    assert_true(tensor_convert(t, F64, &wide, NULL));
    assert_true(tensor_reshape(&wide, 1, (int64_t[]){-1}, &flat, NULL));
    for (int64_t i = 0; i < flat.dim[0]; i++)
        assert_true(((double *)flat.data)[i] == expected(kind, i));
    tensor_release(&flat), tensor_release(&wide);
}

static void test_npy_from_numpy(void **unused)
{
    (void)unused;
    static const struct {
        const char *file, *kind, *shape;
    } cases[] = {
        {"f4",         "f", "f32[3,4]"  },
        {"f8_fortran", "f", "f64[2,3,4]"},
        {"f2",         "f", "f32[5]"    },
        {"f4_big",     "f", "f32[2,2]"  },
        {"i2_big",     "i", "i32[6]"    },
        {"i8",         "i", "i32[4,1]"  },
        {"u8_wide",    "u", "i32[4]"    },
        {"u1",         "u", "u8[2,3]"   },
        {"i1",         "i", "i32[3]"    },
        {"b1",         "b", "i32[6]"    },
        {"scalar",     "f", "f64[]"     },
        {"empty",      "f", "f32[0,3]"  },
        {"version2",   "i", "i32[3,2]"  },
        {"version3",   "i", "i32[3,2]"  },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[96], shape[96];
        Tensor t;
        Err err = {0};
        snprintf(path, sizeof path, "tests/data/%s.npy", cases[i].file);
        if (!npy_load(path, &t, &err))
            fail_msg("%s", err.msg);
        assert_string_equal(tensor_format_shape(&t, shape), cases[i].shape);
        check_values(&t, cases[i].kind);
        tensor_release(&t);
    }
}

static void refuse_npy(const void *data, size_t n, const char *why)
{
    Tensor t;
    Err err = {0};
    size_t live = mem_live();
    assert_false(npy_parse(data, n, "x.npy", &t, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.msg, "x.npy"));
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
    assert_null(t.data);
    assert_int_equal(mem_live(), live);
}

static void refuse_header(const char *dict, const char *why)
{
    char file[512] = "\x93NUMPY\x01";
    size_t n = strlen(dict);
    file[8] = (char)n;
    memcpy(file + 10, dict, n);
    memset(file + 10 + n, 0, 24);
    refuse_npy(file, 10 + n + 24, why);
}

static void test_npy_refuses_bad_headers(void **unused)
{
    (void)unused;
#define OK_TYPE "{'descr': '<f4', 'fortran_order': False, "
    refuse_header(OK_TYPE "'shape': (2, 3, 2)}", "asks for 48");
    refuse_header(OK_TYPE "'shape': (5,)}", "asks for 20");
    refuse_header(OK_TYPE "'shape': (3)}", "not a tuple");
    refuse_header(OK_TYPE "'shape': (-3,)}", "whole numbers");
    refuse_header(OK_TYPE "'shape': (4294967296, 4294967296)}", "too large");
    refuse_header(OK_TYPE "'shape': (99999999999999999999,)}", "too large");
    refuse_header(OK_TYPE "'shape': (1,1,1,1,1,1,6)}", "more than 6");
    refuse_header(OK_TYPE "'shape': (6,)} + 1", "behind the dictionary");
    refuse_header(OK_TYPE "'shape': (6,), 'shape': (6,)}", "twice");
    refuse_header(OK_TYPE "'shape': (6,), 'x': 1}", "unknown key");
    refuse_header(OK_TYPE "}", "missing");
    refuse_header("{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}",
                  "neither True");
    refuse_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}",
                  "records");
    refuse_header("{'descr': '<q9', 'fortran_order': False, 'shape': (6,)}", "'<q9'");
    refuse_header("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", "'|O'");
    refuse_header("__import__('os')", "not a Python dictionary");
#undef OK_TYPE
}

static void test_npy_refuses_damage(void **unused)
{
    (void)unused;
    char *data;
    size_t n;
    assert_true(file_read_all("tests/data/f4.npy", 1 << 20, &data, &n, NULL));
    for (size_t cut = 0; cut < n; cut++)
        refuse_npy(data, cut, "");
    refuse_npy(data, n + 1, "asks for 48"); /* the reader's NUL counts as a rest */
    data[6] = 4;
    refuse_npy(data, n, "version 4");
    data[6] = 2; /* 4-byte length: two letters of the dictionary are its upper half */
    refuse_npy(data, n, "longer than 100 MB");
    data[0] = 'x';
    refuse_npy(data, n, "not a .npy file");
    mem_free(data);
    Tensor t;
    Err err = {0};
    assert_false(npy_load("tests/data/too_big.npy", &t, &err));
    assert_non_null(strstr(err.msg, "1099511627776"));
    assert_false(npy_load("tests/data/complex.npy", &t, &err));
    assert_non_null(strstr(err.msg, "<c8"));
    assert_false(npy_load("tests/data/seven.npy", &t, &err));
    assert_false(npy_load("tests/data/absent.npy", &t, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, "absent.npy"));
}

static void check_npy_round(const Tensor *t)
{
    Tensor back, dense;
    assert_true(npy_save(in_dir("r.npy"), t, NULL));
    assert_true(npy_load(in_dir("r.npy"), &back, NULL));
    assert_true(back.dtype == t->dtype && tensor_same_shape(&back, t));
    assert_true(tensor_contiguous_of(t, &dense, NULL));
    assert_memory_equal(back.data, dense.data, tensor_bytes(&back));
    tensor_release(&back), tensor_release(&dense);
}

static void test_npy_round_trip(void **unused)
{
    (void)unused;
    for (int type = 0; type < N_DTYPES; type++) {
        Tensor t, v;
        assert_true(tensor_zeros((DType)type, 3, (int64_t[]){3, 4, 5}, &t, NULL));
        for (int64_t i = 0; i < 60; i++)
            tensor_set(&t, (int64_t[]){0, 0, i}, (double)i - 7);
        check_npy_round(&t);
        assert_true(tensor_transpose(&t, 0, 2, &v, NULL));
        check_npy_round(&v);
        tensor_release(&v);
        assert_true(tensor_slice(&t, 1, 1, 1, 1, &v, NULL));
        check_npy_round(&v); /* [3,0,5] */
        tensor_release(&v), tensor_release(&t);
        assert_true(tensor_full((DType)type, 0, NULL, 5, &t, NULL));
        check_npy_round(&t);
        tensor_release(&t);
    }
}

/* NumPy, where it is installed, reads what we write. */
static void test_numpy_reads_ours(void **unused)
{
    (void)unused;
    const char *python = NULL, *const tries[] = {"/usr/bin/python3", "python3"};
    for (size_t i = 0; i < ARRAY_LEN(tries) && !python; i++) {
        char cmd[96];
        snprintf(cmd, sizeof cmd, "%s -c 'import numpy' 2>/dev/null", tries[i]);
        if (system(cmd) == 0)
            python = tries[i];
    }
    if (!python)
        skip();
    Tensor t;
    char cmd[512];
    assert_true(tensor_zeros(F32, 2, (int64_t[]){5, 7}, &t, NULL));
    for (int64_t i = 0; i < 35; i++)
        tensor_set(&t, (int64_t[]){0, i}, (double)i / 4);
    assert_true(npy_save(in_dir("ours.npy"), &t, NULL));
    snprintf(
        cmd, sizeof cmd,
        "%s -c \"import numpy as n; a = n.load('%s'); assert a.dtype == n.float32 and "
        "a.shape == (5, 7) and (a.ravel() * 4 == n.arange(35)).all()\"",
        python, in_dir("ours.npy"));
    assert_int_equal(system(cmd), 0);
    tensor_release(&t);
}

static void test_safetensors_from_elsewhere(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *kind, *shape;
    } cases[] = {
        {"w",               "f", "f32[3,4]"},
        {"a/é中𝄞\"\\", "f", "f64[2]"  },
        {"half",            "f", "f32[5]"  },
        {"brain",           "f", "f32[2,2]"},
        {"long",            "i", "i32[3]"  },
        {"byte",            "u", "u8[4]"   },
        {"flag",            "b", "i32[6]"  },
        {"none",            "f", "f32[0,7]"},
        {"one",             "i", "i32[]"   }
    };
    TensorSet *s;
    Err err = {0};
    if (!safetensors_load("tests/data/mixed.safetensors", &s, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(tset_count(s), (int)ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char shape[96];
        const Tensor *t = tset_get(s, cases[i].name);
        assert_non_null(t);
        assert_string_equal(tset_name(s, (int)i), cases[i].name);
        assert_string_equal(tensor_format_shape(t, shape), cases[i].shape);
        check_values(t, cases[i].kind);
    }
    assert_string_equal(tset_meta(s, "note"), "tab\tline\né");
    assert_string_equal(tset_meta(s, "format"), "pt");
    assert_null(tset_meta(s, "absent"));
    tset_free(s);
}

static TensorSet *sample_set(const char *const *names, size_t n)
{
    TensorSet *s = tset_new(NULL);
    assert_non_null(s);
    for (size_t i = 0; i < n; i++) {
        Tensor t, v;
        DType type = (DType)(strlen(names[i]) % N_DTYPES);
        assert_true(tensor_full(type, 2, (int64_t[]){2, 3}, (double)strlen(names[i]),
                                &t, NULL));
        assert_true(tensor_transpose(&t, 0, 1, &v, NULL));
        assert_true(tset_add(s, names[i], &v, NULL));
        tensor_release(&t), tensor_release(&v);
    }
    assert_true(tset_add_meta(s, "z", "last \"quoted\" \x01", NULL));
    assert_true(tset_add_meta(s, "a", "", NULL));
    return s;
}

static void read_back(const char *name, char **data, size_t *n)
{
    assert_true(file_read_all(in_dir(name), 1 << 20, data, n, NULL));
}

/* The order of insertion does not show in the file; everything comes back. */
static void test_safetensors_round_trip(void **unused)
{
    (void)unused;
    static const char *const forth[] = {"b", "aé", "ccc", "dddd"};
    static const char *const back[] = {"dddd", "ccc", "b", "aé"};
    TensorSet *x = sample_set(forth, 4), *y = sample_set(back, 4), *z;
    char *dx, *dy;
    size_t nx, ny;
    assert_true(safetensors_save(in_dir("x"), x, NULL));
    assert_true(safetensors_save(in_dir("y"), y, NULL));
    read_back("x", &dx, &nx);
    read_back("y", &dy, &ny);
    assert_int_equal(nx, ny);
    assert_memory_equal(dx, dy, nx);
    assert_int_equal(((unsigned char)dx[0]) % 8,
                     0); /* data starts at a multiple of 8 */
    assert_true(safetensors_load(in_dir("x"), &z, NULL));
    assert_int_equal(tset_count(z), 4);
    for (int i = 0; i < 4; i++) {
        const Tensor *t = tset_get(z, forth[i]);
        assert_true(t->dim[0] == 3 && t->dim[1] == 2);
        assert_true(tensor_item(t) == (double)strlen(forth[i]));
    }
    assert_string_equal(tset_meta(z, "z"), "last \"quoted\" \x01");
    assert_string_equal(tset_meta(z, "a"), "");
    mem_free(dx), mem_free(dy);
    tset_free(x), tset_free(y), tset_free(z);
    x = tset_new(NULL); /* nothing at all is a file too */
    assert_true(safetensors_save(in_dir("x"), x, NULL));
    assert_true(safetensors_load(in_dir("x"), &z, NULL));
    assert_int_equal(tset_count(z) + tset_meta_count(z), 0);
    tset_free(x), tset_free(z);
}

static void refuse(const char *head, size_t n_data, const char *why)
{
    uint8_t file[1024] = {0};
    size_t n = strlen(head), live = mem_live();
    TensorSet *s;
    Err err = {0};
    file[0] = (uint8_t)n, file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, head, n);
    assert_false(safetensors_parse(file, 8 + n + n_data, "x.st", &s, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.msg, "x.st"));
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
    assert_null(s);
    assert_int_equal(mem_live(), live);
}

#define T(shape, from, to)                                                             \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_safetensors_refuses_lies(void **unused)
{
    (void)unused;
    refuse("{\"a\":" T("[2]", "0", "8") "}", 7, "has 7 bytes of data");
    refuse("{\"a\":" T("[2]", "0", "8") "}", 9, "1 bytes at the end");
    refuse("{\"a\":" T("[2]", "8", "0") "}", 8, "bytes 8 to 0");
    refuse("{\"a\":" T("[3]", "0", "8") "}", 8, "shape and dtype");
    refuse("{\"a\":" T("[2]", "0", "8") ",\"b\":" T("[2]", "4", "12") "}", 12,
           "overlaps");
    refuse("{\"a\":" T("[2]", "0", "8") ",\"b\":" T("[1]", "12", "16") "}", 16, "hole");
    refuse("{\"a\":" T("[2]", "4", "12") "}", 12, "hole");
    refuse("{\"a\":" T("[1]", "0", "4") ",\"a\":" T("[1]", "4", "8") "}", 8,
           "there twice");
    refuse("{\"a\":" T("[4611686018427387904,4]", "0", "8") "}", 8, "shape and dtype");
    refuse("{\"a\":" T("[99999999999999999999]", "0", "8") "}", 8, "too large");
    refuse("{\"a\":" T("[1,1,1,1,1,1,2]", "0", "8") "}", 8, "at most 6");
    refuse("{\"a\":" T("[-2]", "0", "8") "}", 8, "whole number");
    refuse("{\"a\":" T("[2.0]", "0", "8") "}", 8, "list does not end");
    refuse("{\"a\":" T("2", "0", "8") "}", 8, "list is missing");
    refuse("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
           "F8_E4M3");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "lacks");
    /* A name cannot send an escape sequence to the terminal through the sentence. */
    refuse("{\"a\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "'a?[2J'");
    refuse("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 8, "twice");
    refuse("{\"a\":{\"type\":\"F32\"}}", 8, "none of dtype");
    refuse("{\"a\":{\"data_offsets\":[0]}}", 8, "two numbers");
    refuse("{\"a\\u0000\":" T("[2]", "0", "8") "}", 8, "escape");
    refuse("{\"a\\ud800\":" T("[2]", "0", "8") "}", 8, "escape");
    refuse("{\"a\xff\":" T("[2]", "0", "8") "}", 8, "UTF-8");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "string is missing");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
    refuse("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "twice");
    refuse("{\"a\":" T("[2]", "0", "8") ",}", 8, "string is missing");
    refuse("{}x", 0, "behind the last brace");
    refuse(" {}", 0, "begin with {");
    refuse("[]", 0, "begin with {");
    refuse("{\"a", 0, "does not end");
}

static void test_safetensors_refuses_bad_lengths(void **unused)
{
    (void)unused;
    char *data;
    size_t n, live = mem_live();
    TensorSet *s;
    Err err = {0};
    assert_true(
        file_read_all("tests/data/mixed.safetensors", 1 << 20, &data, &n, NULL));
    for (size_t cut = 0; cut < n; cut++) {
        err.code = ERR_NONE;
        assert_false(safetensors_parse(data, cut, "cut", &s, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    memset(data, 0xff, 8);
    assert_false(safetensors_parse(data, n, "huge", &s, &err));
    assert_non_null(strstr(err.msg, "18446744073709551615"));
    mem_free(data);
    assert_int_equal(mem_live(), live);
}

static void test_sets(void **unused)
{
    (void)unused;
    TensorSet *s = tset_new(NULL);
    Tensor t;
    Err err = {0};
    assert_true(tensor_full(F32, 1, (int64_t[]){2}, 1, &t, NULL));
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_true(tset_add(s, name, &t, NULL));
    }
    assert_false(tset_add(s, "t500", &t, &err));
    assert_non_null(strstr(err.msg, "'t500' is there twice"));
    assert_int_equal(tset_count(s), 1000);
    assert_ptr_equal(tset_get(s, "t999"), tset_at(s, 999));
    assert_null(tset_get(s, "t1000"));
    assert_true(tset_add(s, "__metadata__", &t, NULL));
    assert_false(safetensors_save(in_dir("bad"), s, &err));
    assert_non_null(strstr(err.msg, "__metadata__"));
    assert_false(file_exists(in_dir("bad")));
    tensor_release(&t);
    tset_free(s);
}

static void test_failing_disk_leaves_nothing(void **unused)
{
    (void)unused;
    Tensor t;
    Err err = {0};
    assert_true(tensor_full(F32, 1, (int64_t[]){100000}, 1, &t, NULL));
    file_fail_after(1000);
    assert_false(npy_save(in_dir("full.npy"), &t, &err));
    file_fail_after(-1);
    assert_int_equal(err.code, ERR_IO);
    assert_false(file_exists(in_dir("full.npy")));
    assert_true(npy_save(in_dir("full.npy"), &t, &err));
    tensor_release(&t);
}

/* Each allocation of reading and writing fails once. */
static void test_allocation_failures(void **unused)
{
    (void)unused;
    size_t live = mem_live();
    for (int call = 0; call < 3; call++)
        for (long n = 1;; n++) {
            TensorSet *s = NULL;
            Tensor t = {0};
            Err err = {0};
            assert_true(safetensors_load("tests/data/mixed.safetensors", &s, NULL));
            TensorSet *got = NULL;
            mem_fail_at(n);
            bool ok = call == 0 ? npy_load("tests/data/f8_fortran.npy", &t, &err)
                      : call == 1
                          ? safetensors_load("tests/data/mixed.safetensors", &got, &err)
                          : safetensors_save(in_dir("m"), s, &err);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            assert_true(ok == !fired);
            assert_true(ok || err.code == ERR_MEMORY);
            tset_free(s), tset_free(got), tensor_release(&t);
            assert_int_equal(mem_live(), live);
            if (ok)
                break;
            assert_true(n < 1000);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_from_numpy),
        cmocka_unit_test(test_npy_refuses_bad_headers),
        cmocka_unit_test(test_npy_refuses_damage),
        cmocka_unit_test(test_npy_round_trip),
        cmocka_unit_test(test_numpy_reads_ours),
        cmocka_unit_test(test_safetensors_from_elsewhere),
        cmocka_unit_test(test_safetensors_round_trip),
        cmocka_unit_test(test_safetensors_refuses_lies),
        cmocka_unit_test(test_safetensors_refuses_bad_lengths),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_failing_disk_leaves_nothing),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
