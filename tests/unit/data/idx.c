/* IDX files built here byte by byte, plain and through zlib's own compressor, and every
 * way of damaging them. */
#include "data/idx.h"

#include <zlib.h>

#include "base/file.h"
#include "base/intr.h"
#include "support.h"

/* An IDX file with that type code and those dimensions; element i is 3 i + 1. */
static size_t make_idx(uint8_t *f, uint8_t code, int ndim, const uint32_t *dim)
{
    size_t n = 4, count = 1;
    f[0] = f[1] = 0, f[2] = code, f[3] = (uint8_t)ndim;
    for (int i = 0; i < ndim; i++, n += 4) {
        for (int k = 0; k < 4; k++)
            f[n + (size_t)k] = (uint8_t)(dim[i] >> (24 - 8 * k));
        count *= dim[i];
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 3 * i + 1;
        float f32 = (float)bits;
        double f64 = (double)bits;
        size_t size = code == 0x0e ? 8 : code >= 0x0c ? 4 : code == 0x0b ? 2 : 1;
        if (code == 0x0d)
            memcpy(&bits, &f32, 4);
        if (code == 0x0e)
            memcpy(&bits, &f64, 8);
        for (size_t k = 0; k < size; k++)
            f[n++] = (uint8_t)(bits >> 8 * (size - 1 - k));
    }
    return n;
}

static size_t gzip(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    z.next_in = (Bytef *)(uintptr_t)src, z.avail_in = (uInt)n;
    z.next_out = dst, z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = cap - z.avail_out;
    deflateEnd(&z);
    return len;
}

static void check_parse(const uint8_t *f, size_t n, const char *shape)
{
    Tensor t;
    Err err = {0};
    char got[96];
    assert_ok(idx_parse(f, n, "x", &t, &err), err);
    assert_string_equal(tensor_format_shape(&t, got), shape);
    for (int64_t i = 0; i < tensor_count(&t); i++)
        assert_true(tensor_get(&t, (int64_t[]){0, 0, i}) == 3 * (double)i + 1);
    tensor_release(&t);
}

static void test_types(void **unused)
{
    (void)unused;
    static const struct {
        uint8_t code;
        const char *shape;
    } types[] = {
        {0x08, "u8[2,3,4]" },
        {0x09, "i32[2,3,4]"},
        {0x0b, "i32[2,3,4]"},
        {0x0c, "i32[2,3,4]"},
        {0x0d, "f32[2,3,4]"},
        {0x0e, "f64[2,3,4]"}
    };
    uint8_t f[512], z[512];
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t n = make_idx(f, types[i].code, 3, (uint32_t[]){2, 3, 4});
        check_parse(f, n, types[i].shape);
        size_t nz = gzip(f, n, z, sizeof z);
        check_parse(z, nz, types[i].shape);
        /* Two gzip members one after the other are one file. */
        nz = gzip(f, 9, z, sizeof z);
        nz += gzip(f + 9, n - 9, z + nz, sizeof z - nz);
        check_parse(z, nz, types[i].shape);
    }
    size_t n = make_idx(f, 0x08, 3, (uint32_t[]){0, 28, 28});
    check_parse(f, n, "u8[0,28,28]");
}

static void test_crc(void **unused)
{
    (void)unused;
    uint8_t f[256], z[512];
    size_t n = make_idx(f, 0x08, 2, (uint32_t[]){5, 7}), nz = gzip(f, n, z, sizeof z);
    uint32_t want = (uint32_t)crc32(0, f, (uInt)n), got = 0;
    Tensor t;
    assert_true(idx_parse_crc(f, n, "x", &t, &got, NULL));
    assert_int_equal(got, want);
    tensor_release(&t);
    assert_true(idx_parse_crc(z, nz, "x", &t, &got, NULL));
    assert_int_equal(got, want);
    tensor_release(&t);
    nz = gzip(f, 20, z, sizeof z);
    nz += gzip(f + 20, n - 20, z + nz, sizeof z - nz);
    assert_true(idx_parse_crc(z, nz, "x", &t, &got, NULL));
    assert_int_equal(got, want);
    tensor_release(&t);
}

static void refuse(const uint8_t *f, size_t n, const char *why)
{
    Tensor t;
    Err err = {0};
    size_t live = mem_live();
    uint8_t *exact = mem_alloc(n, NULL); /* so that the sanitizer sees an overrun */
    if (n)
        memcpy(exact, f, n);
    assert_false(idx_parse(exact, n, "bad.idx", &t, &err));
    mem_free(exact);
    assert_int_equal(err.code, ERR_FORMAT);
    assert_has(err.msg, "bad.idx");
    assert_has(err.msg, why);
    assert_null(t.data);
    assert_int_equal(mem_live(), live);
}

static void test_damage(void **unused)
{
    (void)unused;
    uint8_t f[512], z[1024];
    size_t n = make_idx(f, 0x08, 3, (uint32_t[]){2, 3, 4});
    for (size_t cut = 0; cut < n; cut++)
        refuse(f, cut, "");
    f[n] = 0;
    refuse(f, n + 1, "more bytes");
    size_t nz = gzip(f, n, z, sizeof z - 8);
    for (size_t cut = 2; cut < nz; cut++)
        refuse(z, cut, "");
    refuse(z, nz - 1, "cut off");
    memset(z + nz, 0, 8);
    refuse(z, nz + 3, "other bytes behind its gzip data");
    z[nz - 5] ^= 1; /* the CRC */
    refuse(z, nz, "incorrect data check");
    z[nz - 5] ^= 1;
    z[nz - 4] ^= 1; /* the length */
    refuse(z, nz, "incorrect length check");
    z[nz - 4] ^= 1;
    z[12] ^= 0x55;
    refuse(z, nz, "");
    nz = gzip(f, n + 1, z, sizeof z);
    refuse(z, nz, "more bytes");
    nz = gzip(f, n - 1, z, sizeof z);
    refuse(z, nz, "ends inside its data");
}

static void test_lying_headers(void **unused)
{
    (void)unused;
    uint8_t f[512], z[512];
    size_t n = make_idx(f, 0x08, 3, (uint32_t[]){2, 3, 4});
    f[2] = 0x0a;
    refuse(f, n, "not an IDX file: it begins with 00 00 0a 03");
    f[2] = 0x08, f[3] = 0;
    refuse(f, n, "not an IDX file");
    f[3] = 7;
    refuse(f, n, "7 dimensions; at most 6");
    f[3] = 3, f[4] = 0xff;
    refuse(f, n, "claims to hold u8[4278190082,3,4]");
    memset(f + 4, 0xff, 12);
    refuse(f, n, "claims to hold");
    refuse(z, gzip(f, n, z, sizeof z), "claims to hold");
}

/* 20 MB of zeros in 20 kB, behind a header that asks for 10 bytes: refused at once,
 * with no more memory than zlib's window. */
static void test_bomb(void **unused)
{
    (void)unused;
    size_t n = 20 << 20;
    uint8_t *raw = mem_zalloc(n, NULL), *z = mem_alloc(1 << 20, NULL);
    make_idx(raw, 0x08, 1, (uint32_t[]){10});
    size_t nz = gzip(raw, n, z, 1 << 20);
    mem_free(raw);
    mem_peak_reset();
    size_t before = mem_live();
    refuse(z, nz, "more bytes");
    assert_true(mem_peak() - before < nz + (128 << 10));
    mem_free(z);
}

static bool try_parse(void *ctx, Err *err)
{
    uint8_t f[512], z[512];
    const int *code = ctx;
    Tensor t;
    size_t n = make_idx(f, (uint8_t)*code, 2, (uint32_t[]){3, 4});
    bool ok = idx_parse(z, gzip(f, n, z, sizeof z), "x", &t, err);
    tensor_release(&t);
    return ok;
}

static void test_allocation_failures(void **unused)
{
    (void)unused;
    int u8 = 0x08, f64 = 0x0e;
    assert_true(fail_each_alloc(try_parse, &u8) >= 2);
    assert_true(fail_each_alloc(try_parse, &f64) >= 3);
}

static void test_files_and_interrupt(void **unused)
{
    (void)unused;
    Tensor t;
    Err err = {0};
    assert_false(idx_load("data/mnist/absent", &t, &err));
    assert_int_equal(err.code, ERR_IO);
    intr_raise();
    bool ok = idx_load("data/mnist/t10k-images-idx3-ubyte.gz", &t, &err);
    intr_clear();
    assert_false(ok);
    assert_int_equal(err.code, ERR_INTERRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_lying_headers),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_files_and_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
