/* targets.h -- the file formats that tensor/ and data/ read, as rows for the mutation
 * driver. Seeds are the fixtures of tests/data (run from the top of the tree) and IDX
 * files made here. */
#ifndef CLEAVE_TEST_TARGETS_H
#define CLEAVE_TEST_TARGETS_H
#include <zlib.h>

#include "base/file.h"
#include "data/idx.h"
#include "mutate.h"
#include "tensor/io.h"
#include "tensor/pickle.h"

static inline int fuzz_files(const char *const *name, int count, FuzzSeed *seed)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        char path[128];
        FILE *f;
        snprintf(path, sizeof path, "tests/data/%s", name[i]);
        if ((f = fopen(path, "rb"))) {
            seed[n].data = malloc(FUZZ_CAP);
            seed[n].n = seed[n].data ? fread(seed[n].data, 1, FUZZ_CAP / 2, f) : 0;
            n += seed[n].n > 0;
            fclose(f);
        }
    }
    return n == count ? n : 0;
}

/* ---- npy: the header's length follows the brace ---------------------------------- */

static inline int npy_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"f4.npy",     "f8_fortran.npy", "i2_big.npy",
                                       "scalar.npy", "b1.npy",         "version2.npy",
                                       "f2.npy",     "empty.npy",      "i8.npy"};
    return fuzz_files(name, (int)ARRAY_LEN(name), seed);
}

static inline bool npy_try(const void *data, size_t n, Err *err)
{
    Tensor t;
    bool ok = npy_parse(data, n, "x.npy", &t, err);
    tensor_release(&t);
    return ok;
}

static inline size_t npy_repair(uint8_t *d, size_t n)
{
    size_t at = 12;
    while (at < n && d[at] != '}')
        at++;
    if (at + 1 >= n || n < 12 || at > 60000)
        return n;
    size_t start = d[6] == 1 ? 10 : 12, len = at + 1 - start;
    d[8] = (uint8_t)len, d[9] = (uint8_t)(len >> 8);
    if (start == 12)
        d[10] = d[11] = 0;
    return n;
}

/* ---- safetensors: the header's length follows the last brace --------------------- */

static inline int safetensors_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"mixed.safetensors"};
    static const char small[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
        "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1,2],\"data_offsets\":[2,4]}}";
    int n = fuzz_files(name, 1, seed);
    if (n && (seed[n].data = malloc(FUZZ_CAP))) {
        size_t len = sizeof small - 1;
        memset(seed[n].data, 0, len + 12);
        seed[n].data[0] = (uint8_t)len;
        memcpy(seed[n].data + 8, small, len);
        seed[n++].n = len + 12;
    }
    return n;
}

static inline bool safetensors_try(const void *data, size_t n, Err *err)
{
    TensorSet *s;
    bool ok = safetensors_parse(data, n, "x.safetensors", &s, err);
    tset_free(s);
    return ok;
}

static inline size_t safetensors_repair(uint8_t *d, size_t n)
{
    size_t at = n;
    while (at > 8 && d[at - 1] != '}')
        at--;
    if (at <= 8)
        return n;
    memset(d, 0, 8);
    d[0] = (uint8_t)(at - 8), d[1] = (uint8_t)((at - 8) >> 8);
    return n;
}

/* ---- IDX, plain and compressed --------------------------------------------------- */

static inline int idx_seeds(FuzzSeed *seed)
{
    static const struct {
        uint8_t code, ndim, dim[3];
        size_t size;
    } kind[] = {
        {8,  3, {3, 5, 4},   1},
        {8,  1, {20},        1},
        {9,  2, {2, 6},      1},
        {11, 2, {3, 3},      2},
        {12, 1, {5},         4},
        {13, 2, {2, 3},      4},
        {14, 1, {4},         8},
        {8,  3, {0, 28, 28}, 1}
    };
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
        uint8_t *f = calloc(1, FUZZ_CAP);
        if (!f)
            break;
        size_t len = 4, count = kind[i].size;
        f[2] = kind[i].code, f[3] = kind[i].ndim;
        for (int k = 0; k < kind[i].ndim; k++, len += 4) {
            f[len + 3] = kind[i].dim[k];
            count *= kind[i].dim[k];
        }
        for (size_t k = 0; k < count; k++)
            f[len++] = (uint8_t)(k * 37);
        seed[n++] = (FuzzSeed){f, len};
    }
    return n;
}

static inline bool idx_try(const void *data, size_t n, Err *err)
{
    Tensor t;
    bool ok = idx_parse(data, n, "x.idx", &t, err);
    tensor_release(&t);
    return ok;
}

/* Compresses d in place. */
static inline size_t gz_pack(uint8_t *d, size_t n)
{
    static uint8_t out[FUZZ_CAP];
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return n;
    z.next_in = d, z.avail_in = (uInt)n;
    z.next_out = out, z.avail_out = sizeof out;
    bool done = deflate(&z, Z_FINISH) == Z_STREAM_END;
    size_t len = sizeof out - z.avail_out;
    deflateEnd(&z);
    if (done)
        memcpy(d, out, len);
    return done ? len : n;
}

static inline int gz_seeds(FuzzSeed *seed)
{
    int n = idx_seeds(seed);
    for (int i = 0; i < n; i++)
        seed[i].n = gz_pack(seed[i].data, seed[i].n);
    return n;
}

/* ---- archives, pickles, tables, pictures ------------------------------------------ */

static inline int npz_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"mlp_io.npz", "mlp_numpy.npz"};
    return fuzz_files(name, (int)ARRAY_LEN(name), seed);
}

static inline bool npz_try(const void *data, size_t n, Err *err)
{
    TensorSet *s;
    bool ok = npz_parse(data, n, "x.npz", &s, err);
    tset_free(s);
    return ok;
}

static inline int torch_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"lone.pt", "mlp.pt", "views.pt", "big_endian.pt",
                                       "hostile.pt"};
    return fuzz_files(name, (int)ARRAY_LEN(name), seed);
}

static inline int torch_old_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"mlp_old.pt", "views_old.pt"};
    return fuzz_files(name, (int)ARRAY_LEN(name), seed);
}

static inline bool torch_try(const void *data, size_t n, Err *err)
{
    TensorSet *s;
    bool ok = torch_parse(data, n, "x.pt", &s, err);
    tset_free(s);
    return ok;
}

/* The fourth of the five pickles of the older form is the checkpoint itself. */
static inline int pickle_seeds(FuzzSeed *seed)
{
    int n = torch_old_seeds(seed);
    for (int i = 0; i < n; i++) {
        size_t at = 0, from = 0;
        Arena *a = arena_new(NULL);
        for (int k = 0; a && k < 4; k++) {
            from = at;
            pickle_read(seed[i].data, seed[i].n, &at, "seed", a, NULL, NULL);
        }
        arena_free(a);
        memmove(seed[i].data, seed[i].data + from, at - from);
        seed[i].n = at - from;
    }
    return n;
}

static inline bool pickle_try(const void *data, size_t n, Err *err)
{
    size_t at = 0;
    Arena *a = arena_new(err);
    bool ok = a && pickle_read(data, n, &at, "x.pt", a, NULL, err);
    arena_free(a);
    return ok;
}

static inline int csv_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {"a,\"b \"\"c\"\"\"\r\n1,2\r\n-3.5e-7,nan\r\n",
                                       "# x\n\n1\n2\n3", "1,2,3\n4,5,6\n7,\"8\",9\n"};
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(text); i++)
        if ((seed[n].data = malloc(FUZZ_CAP))) {
            seed[n].n = strlen(text[i]);
            memcpy(seed[n].data, text[i], seed[n].n);
            n++;
        }
    return n;
}

static inline bool csv_try(const void *data, size_t n, Err *err)
{
    Tensor t;
    char *names;
    bool ok = csv_parse(data, n, "x.csv", ',', F32, &t, &names, err);
    tensor_release(&t);
    mem_free(names);
    return ok;
}

static inline int png_seeds(FuzzSeed *seed)
{
    static const char *const name[] = {"grey1.png",  "grey16.png",   "rgb8.png",
                                       "rgba8.png",  "greya8.png",   "rgb16.png",
                                       "palette4.png", "interlaced.png"};
    return fuzz_files(name, (int)ARRAY_LEN(name), seed);
}

static inline bool png_try(const void *data, size_t n, Err *err)
{
    Tensor t;
    bool ok = png_parse(data, n, "x.png", &t, err);
    tensor_release(&t);
    return ok;
}

/* The CRC of every chunk, so that changes get past it. */
static inline size_t png_repair(uint8_t *d, size_t n)
{
    for (size_t at = 8; at + 12 <= n;) {
        size_t len = (size_t)d[at] << 24 | (size_t)d[at + 1] << 16 |
                     (size_t)d[at + 2] << 8 | d[at + 3];
        if (len > n - at - 12)
            break;
        uint32_t crc = (uint32_t)crc32(0, d + at + 4, (uInt)len + 4);
        for (int k = 0; k < 4; k++)
            d[at + 8 + len + (size_t)k] = (uint8_t)(crc >> (24 - 8 * k));
        at += len + 12;
    }
    return n;
}

/* Headers alone, as readers in pieces see them. */
static inline bool describe_try(const void *data, size_t n, Err *err)
{
    ArrayInfo info;
    const uint8_t *d = data;
    return n && d[0] == 0x93
               ? npy_describe(data, n, "x.npy", &info, err)
               : safetensors_describe(data, n, (int64_t)n, "x.st", "a", &info, err);
}

/* gz damages the compressed bytes, gz-inner what is inside. */
static const FuzzTarget fuzz_targets[] = {
    {"idx",         idx_seeds,         idx_try,         NULL              },
    {"gz",          gz_seeds,          idx_try,         NULL              },
    {"gz-inner",    idx_seeds,         idx_try,         gz_pack           },
    {"npy",         npy_seeds,         npy_try,         npy_repair        },
    {"safetensors", safetensors_seeds, safetensors_try, safetensors_repair},
    {"npz",         npz_seeds,         npz_try,         NULL              },
    {"torch",       torch_seeds,       torch_try,       NULL              },
    {"torch-old",   torch_old_seeds,   torch_try,       NULL              },
    {"pickle",      pickle_seeds,      pickle_try,      NULL              },
    {"csv",         csv_seeds,         csv_try,         NULL              },
    {"png",         png_seeds,         png_try,         png_repair        },
    {"npy-head",    npy_seeds,         describe_try,    npy_repair        },
    {"st-head",     safetensors_seeds, describe_try,    safetensors_repair},
};
#endif
