/* pix.c -- the PNG door. libpng reports errors by longjmp: everything it may jump over
 * lives in Png, memory included, and has one exit. */
#include "figure/pix.h"

#include <png.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"

enum { MAX_SIDE = 1 << 20 };

bool pix_new(int w, int h, Rgb paper, Pix *p, Err *err)
{
    *p = (Pix){0};
    if (w < 1 || h < 1 || w > MAX_SIDE || h > MAX_SIDE)
        return err_set(err, ERR_SHAPE,
                       "a picture of %d x %d pixels: at most %d each way", w, h,
                       MAX_SIDE);
    p->rgb = mem_array((size_t)w * (size_t)h, 3, err);
    if (!p->rgb)
        return false;
    p->w = w;
    p->h = h;
    pix_fill(p, 0, 0, w, h, paper);
    return true;
}

void pix_done(Pix *p)
{
    mem_free(p->rgb);
    *p = (Pix){0};
}

static uint8_t *pixel(Pix *p, int x, int y)
{
    return p->rgb + ((size_t)y * (size_t)p->w + (size_t)x) * 3;
}

void pix_fill(Pix *p, int x, int y, int w, int h, Rgb c)
{
    int right = x + w < p->w ? x + w : p->w, end = y + h < p->h ? y + h : p->h;
    if (!p->rgb)
        return;
    for (int i = y > 0 ? y : 0; i < end; i++)
        for (int j = x > 0 ? x : 0; j < right; j++)
            memcpy(pixel(p, j, i), &(uint8_t[3]){c.r, c.g, c.b}, 3);
}

typedef struct Png {
    FileOut *out;
    png_struct *png;
    png_info *info;
    const char *path;
    Err err; /* the first failure, wherever it came from */
} Png;

static void *take(png_struct *png, size_t bytes)
{
    Png *o = png_get_mem_ptr(png);
    return mem_alloc(bytes, &o->err);
}

static void give(png_struct *png, void *block)
{
    (void)png;
    mem_free(block);
}

static void on_error(png_struct *png, const char *what)
{
    Png *o = png_get_error_ptr(png);
    if (o->err.code == ERR_NONE)
        err_set(&o->err, ERR_IO, "cannot write '%s': %s", o->path, what);
    png_longjmp(png, 1);
}

static void on_warning(png_struct *png, const char *what)
{
    (void)png, (void)what;
}

static void on_write(png_struct *png, uint8_t *data, size_t n)
{
    Png *o = png_get_io_ptr(png);
    if (!fileout_write(o->out, data, n, &o->err))
        png_error(png, "write");
}

static void on_flush(png_struct *png)
{
    (void)png; /* the commit flushes */
}

static bool encode(Png *o, const Pix *p)
{
    o->info = png_create_info_struct(o->png);
    if (!o->info)
        return false;
    if (setjmp(png_jmpbuf(o->png)))
        return false;
    png_set_write_fn(o->png, o, on_write, on_flush);
    png_set_IHDR(o->png, o->info, (uint32_t)p->w, (uint32_t)p->h, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(o->png, o->info);
    for (int y = 0; y < p->h; y++) {
        if (y % 64 == 0 && !intr_check(&o->err))
            return false;
        png_write_row(o->png, p->rgb + (size_t)y * (size_t)p->w * 3);
    }
    png_write_end(o->png, NULL);
    return true;
}

bool pix_png(const Pix *p, const char *path, Err *err)
{
    Png o = {.path = path};
    o.out = fileout_open(path, err);
    if (!o.out)
        return false;
    o.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &o, on_error, on_warning,
                                      &o, take, give);
    bool ok = o.png && encode(&o, p);
    png_destroy_write_struct(&o.png, &o.info);
    if (ok)
        return fileout_commit(o.out, err);
    fileout_abort(o.out);
    if (o.err.code == ERR_NONE)
        return err_set(err, ERR_IO, "cannot write '%s': libpng %s refused", path,
                       png_get_libpng_ver(NULL));
    if (err)
        *err = o.err;
    return false;
}
