/* idx.c -- a Source hands out the uncompressed bytes, from memory or through zlib,
 * straight into the tensor; only elements that need converting pass through a second
 * buffer. zlib allocates through our allocator and checks CRC and length of each gzip
 * member. */
#include "data/idx.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "tensor/decode.h"

enum {
    STEP = 1 << 20, /* bytes between looks at the interrupt flag */
    GZIP_WINDOW = 15 + 16,
    MAX_RATIO = 1032, /* deflate's largest expansion */
    MAX_HEADER = 4 + 4 * MAX_DIM,
};

typedef struct Source {
    const char *name;
    const uint8_t *p; /* what zlib (or nobody) has not seen yet */
    size_t left;
    bool gz, at_end; /* at_end: the last gzip member is complete */
    z_stream z;
    uint32_t crc; /* of the bytes handed out, complete at the end */
    Err *err;
} Source;

static void *zlib_alloc(void *unused, unsigned n, unsigned size)
{
    (void)unused;
    return mem_array(n, size, NULL);
}

static void zlib_free(void *unused, void *p)
{
    (void)unused;
    mem_free(p);
}

static bool source_open(Source *s, const void *data, size_t n, const char *name,
                        Err *err)
{
    *s = (Source){.name = name, .p = data, .left = n, .err = err};
    s->gz = n >= 2 && s->p[0] == 0x1f && s->p[1] == 0x8b;
    if (!s->gz)
        return true;
    s->z.zalloc = zlib_alloc;
    s->z.zfree = zlib_free;
    if (inflateInit2(&s->z, GZIP_WINDOW) == Z_OK)
        return true;
    s->gz = false;
    return err_set(err, ERR_MEMORY, "'%s': no memory to decompress it", name);
}

static void source_close(Source *s)
{
    if (s->gz)
        inflateEnd(&s->z);
}

/* A member is complete: another may follow, as `cat a.gz b.gz` makes. */
static bool next_member(Source *s)
{
    s->crc = (uint32_t)crc32_combine(s->crc, s->z.adler, (z_off_t)s->z.total_out);
    s->at_end = s->left == 0 && s->z.avail_in == 0;
    if (s->at_end)
        return true;
    if (*(s->z.avail_in ? s->z.next_in : s->p) != 0x1f)
        return err_set(s->err, ERR_FORMAT, "'%s' has other bytes behind its gzip data",
                       s->name);
    return inflateReset(&s->z) == Z_OK ||
           err_set(s->err, ERR_STATE, "'%s': zlib failed to start again", s->name);
}

static bool inflate_fault(const Source *s, int code)
{
    if (code == Z_MEM_ERROR)
        return err_set(s->err, ERR_MEMORY, "'%s': no memory to decompress it", s->name);
    if (code == Z_BUF_ERROR)
        return err_set(s->err, ERR_FORMAT,
                       "'%s' ends too early: its gzip data is cut off", s->name);
    return err_set(s->err, ERR_FORMAT, "'%s': damaged gzip data (%s)", s->name,
                   s->z.msg ? s->z.msg : "not deflate");
}

/* Up to n bytes into dst; *got < n only at the end of the data. */
static bool inflate_some(Source *s, uint8_t *dst, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n && !s->at_end) {
        uInt step = n - *got < STEP ? (uInt)(n - *got) : STEP;
        if (s->z.avail_in == 0) {
            s->z.next_in = (Bytef *)(uintptr_t)s->p;
            s->z.avail_in = s->left < UINT_MAX ? (uInt)s->left : UINT_MAX;
            s->p += s->z.avail_in;
            s->left -= s->z.avail_in;
        }
        s->z.next_out = dst + *got;
        s->z.avail_out = step;
        int code = inflate(&s->z, Z_NO_FLUSH);
        *got += step - s->z.avail_out;
        if (code != Z_OK && code != Z_STREAM_END)
            return inflate_fault(s, code);
        if ((code == Z_STREAM_END && !next_member(s)) || !intr_check(s->err))
            return false;
    }
    return true;
}

/* Exactly n bytes. */
static bool source_read(Source *s, void *dst, size_t n, const char *what)
{
    size_t got = n < s->left ? n : s->left;
    if (s->gz) {
        if (!inflate_some(s, dst, n, &got))
            return false;
    } else if (got > 0) {
        memcpy(dst, s->p, got);
        s->crc = (uint32_t)crc32_z(s->crc, s->p, got);
        s->p += got;
        s->left -= got;
    }
    return got == n ||
           err_set(s->err, ERR_FORMAT, "'%s' ends inside its %s", s->name, what);
}

/* Nothing may be left; for gzip this also reads the trailer with CRC and length. */
static bool source_finish(Source *s)
{
    uint8_t extra;
    size_t got = s->left ? 1 : 0;
    if (s->gz && !inflate_some(s, &extra, 1, &got))
        return false;
    return got == 0 ||
           err_set(s->err, ERR_FORMAT,
                   "'%s' has more bytes than the sizes in its header ask for", s->name);
}

static bool kind_of(uint8_t code, ElemKind *k)
{
    switch (code) {
    case 0x08: *k = ELEM_U8; return true;
    case 0x09: *k = ELEM_I8; return true;
    case 0x0b: *k = ELEM_I16; return true;
    case 0x0c: *k = ELEM_I32; return true;
    case 0x0d: *k = ELEM_F32; return true;
    case 0x0e: *k = ELEM_F64; return true;
    default: return false;
    }
}

/* Type and shape, and that so many bytes can be in this file at all. */
static bool read_header(Source *s, size_t n_file, ElemKind *k, int *ndim, int64_t *dim,
                        size_t *bytes)
{
    uint8_t h[MAX_HEADER];
    if (!source_read(s, h, 4, "header"))
        return false;
    if (h[0] || h[1] || !kind_of(h[2], k) || h[3] < 1)
        return err_set(s->err, ERR_FORMAT,
                       "'%s' is not an IDX file: it begins with %02x %02x %02x %02x",
                       s->name, h[0], h[1], h[2], h[3]);
    if (h[3] > MAX_DIM)
        return err_set(s->err, ERR_FORMAT,
                       "'%s' has %d dimensions; at most %d are possible", s->name, h[3],
                       MAX_DIM);
    *ndim = h[3];
    if (!source_read(s, h, 4 * (size_t)*ndim, "header"))
        return false;
    for (int i = 0; i < *ndim; i++)
        dim[i] = (int64_t)h[4 * i] << 24 | h[4 * i + 1] << 16 | h[4 * i + 2] << 8 |
                 h[4 * i + 3];
    size_t most = s->gz ? n_file * MAX_RATIO : s->left;
    if (s->gz && n_file > SIZE_MAX / MAX_RATIO)
        most = SIZE_MAX;
    char shape[96];
    if (!elem_bytes(*k, *ndim, dim, bytes) || *bytes > most)
        return err_set(s->err, ERR_FORMAT,
                       "'%s' claims to hold %s, more than %zu bytes of file can",
                       s->name, shape_format(elem_dtype(*k), *ndim, dim, shape),
                       n_file);
    return true;
}

/* Big-endian elements of more than one byte: read raw, then converted. */
static bool read_wide(Source *s, ElemKind k, int ndim, const int64_t *dim, size_t bytes,
                      Tensor *out)
{
    void *raw = mem_alloc(bytes, s->err);
    bool ok = raw && source_read(s, raw, bytes, "data") && source_finish(s) &&
              elem_load(k, true, raw, ndim, dim, s->name, out, s->err);
    mem_free(raw);
    return ok;
}

bool idx_parse_crc(const void *data, size_t n, const char *name, Tensor *out,
                   uint32_t *crc, Err *err)
{
    Source s;
    ElemKind kind = ELEM_U8;
    int ndim = 0;
    int64_t dim[MAX_DIM];
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    bool ok = source_open(&s, data, n, name, err) &&
              read_header(&s, n, &kind, &ndim, dim, &bytes);
    if (ok && kind == ELEM_U8)
        ok = tensor_new(U8, ndim, dim, out, err) &&
             source_read(&s, out->data, bytes, "data") && source_finish(&s);
    else if (ok)
        ok = read_wide(&s, kind, ndim, dim, bytes, out);
    source_close(&s);
    if (!ok)
        tensor_release(out);
    else if (crc)
        *crc = s.crc;
    return ok;
}

bool idx_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err)
{
    return idx_parse_crc(data, n, name, out, NULL, err);
}

bool idx_load(const char *path, Tensor *out, Err *err)
{
    char *data;
    size_t n;
    memset(out, 0, sizeof *out);
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = idx_parse(data, n, path, out, err);
    mem_free(data);
    return ok;
}
