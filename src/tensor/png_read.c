/* png_read.c -- PNG pictures as tensors. libpng undoes palettes, small depths and
 * interlacing; what is left is 8 or 16 bits a sample, divided by its largest value.
 * libpng reports errors by longjmp: everything that must be released is in the Reader,
 * which lives outside of the function that calls setjmp. */
#include <limits.h>
#include <png.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "tensor/decode.h"
#include "tensor/io.h"

enum { MAX_SIDE = 65535, POLL_ROWS = 256 };

typedef struct Reader {
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t n, at;
    uint8_t *pixels;
    png_bytep *rows;
    png_uint_32 width, height;
    int channels, bytes; /* of one sample */
    const char *name;
    Err *err;
} Reader;

static void on_error(png_structp png, png_const_charp why)
{
    Reader *r = png_get_error_ptr(png);
    char shown[SHOWN_CAP];
    if (r->err && r->err->code == ERR_NONE)
        err_set(r->err, ERR_FORMAT, "'%s' is a damaged PNG: %s", r->name,
                text_shown(why, shown));
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why)
{
    (void)png, (void)why;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t n)
{
    Reader *r = png_get_mem_ptr(png);
    return mem_alloc(n, r->err);
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    mem_free(p);
}

static void on_read(png_structp png, png_bytep dst, size_t n)
{
    Reader *r = png_get_io_ptr(png);
    if (n > r->n - r->at)
        png_error(png, "it ends too early");
    memcpy(dst, r->data + r->at, n);
    r->at += n;
}

/* Asks for grey or colour samples of 8 or 16 bits, with alpha where there is some. */
static void set_up(Reader *r)
{
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, MAX_SIDE, MAX_SIDE);
    png_set_chunk_malloc_max(r->png, 8u << 20);
    png_read_info(r->png, r->info);
    png_set_expand(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->width = png_get_image_width(r->png, r->info);
    r->height = png_get_image_height(r->png, r->info);
    r->channels = png_get_channels(r->png, r->info);
    r->bytes = png_get_bit_depth(r->png, r->info) / CHAR_BIT;
}

static void read_rows(Reader *r)
{
    size_t stride = png_get_rowbytes(r->png, r->info);
    r->pixels = mem_array(r->height, stride, r->err);
    r->rows = r->pixels ? mem_array(r->height, sizeof *r->rows, r->err) : NULL;
    if (!r->rows)
        png_error(r->png, "memory");
    memset(r->pixels, 0, r->height * stride);
    for (png_uint_32 y = 0; y < r->height; y++)
        r->rows[y] = r->pixels + y * stride;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
}

static bool decode(Reader *r)
{
    if (setjmp(png_jmpbuf(r->png)))
        return false;
    set_up(r);
    read_rows(r);
    return true;
}

static bool make_tensor(const Reader *r, Tensor *out)
{
    int64_t dim[3] = {r->channels, r->height, r->width};
    int skip = r->channels == 1;
    if (!tensor_new(F32, 3 - skip, dim + skip, out, r->err))
        return err_prefix(r->err, "'%s'", r->name);
    float *dst = out->data;
    for (int c = 0; c < r->channels; c++)
        for (png_uint_32 y = 0; y < r->height; y++) {
            const uint8_t *p = r->rows[y] + c * r->bytes;
            for (png_uint_32 x = 0; x < r->width; x++, p += r->channels * r->bytes)
                *dst++ =
                    r->bytes == 1 ? (float)*p / 255 : (float)(p[0] << 8 | p[1]) / 65535;
            if (y % POLL_ROWS == 0 && !intr_check(r->err)) {
                tensor_release(out);
                return false;
            }
        }
    return true;
}

bool png_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err)
{
    Err local = {0};
    Reader r = {.data = data, .n = n, .name = name, .err = &local};
    memset(out, 0, sizeof *out);
    bool ok = n >= 8 && png_sig_cmp(data, 0, 8) == 0;
    if (!ok)
        return err_set(err, ERR_FORMAT, "'%s' is not a PNG file", name);
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning,
                                     &r, on_alloc, on_free);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    ok = r.info && decode(&r) && make_tensor(&r, out);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    mem_free(r.rows);
    mem_free(r.pixels);
    if (!ok && local.code == ERR_NONE)
        err_set(&local, ERR_MEMORY, "'%s': no memory to read the PNG", name);
    if (!ok && err)
        *err = local;
    return ok;
}

bool png_load(const char *path, Tensor *out, Err *err)
{
    char *data;
    size_t n;
    memset(out, 0, sizeof *out);
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = png_parse(data, n, path, out, err);
    mem_free(data);
    return ok;
}
