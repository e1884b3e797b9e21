/* pix.c -- drawing and the PNG door. A glyph is doubled twice with the stairs of its
 * diagonals filled (in the manner of Scale2x, Mazzoleni 2001) and then averaged down
 * to the wanted size, which leaves grey edges. libpng reports errors by longjmp:
 * everything it may jump over lives in Png, memory included, and has one exit. */
#include "figure/pix.h"

#include <png.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/sample.h"

enum { ZOOM = 4, MAX_SIDE = 1 << 20, MAX_SCALE = 8 };

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

static uint8_t bit_at(const uint8_t *src, int w, int h, int x, int y)
{
    return x >= 0 && y >= 0 && x < w && y < h ? src[y * w + x] : 0;
}

/* dst is [2*h, 2*w]. A blank pixel between two inked ones that touch at a corner only
 * gets ink in the quarter between them; right angles stay as they are. */
static void double_up(const uint8_t *src, int w, int h, uint8_t *dst)
{
    for (int y = 0; y < 2 * h; y++)
        for (int x = 0; x < 2 * w; x++) {
            int sx = x / 2, sy = y / 2, dx = x % 2 ? 1 : -1, dy = y % 2 ? 1 : -1;
            bool stair = bit_at(src, w, h, sx + dx, sy) &&
                         bit_at(src, w, h, sx, sy + dy) &&
                         !bit_at(src, w, h, sx + dx, sy + dy);
            dst[y * 2 * w + x] = src[sy * w + sx] || stair;
        }
}

/* How much ink each pixel of a cell gets, [FONT_H*scale, FONT_W*scale] in 0..1. */
static void glyph_cover(const uint8_t *rows, int scale, bool bold, double *cover)
{
    enum { W = FONT_W, H = FONT_H };
    uint8_t one[H * W] = {0}, two[4 * H * W], four[16 * H * W];
    float ink[16 * H * W];
    for (int y = 0; y < FONT_ROWS; y++)
        for (int x = 0; x < 5; x++)
            one[y * W + x] = rows[y] >> (4 - x) & 1;
    double_up(one, W, H, two);
    double_up(two, 2 * W, 2 * H, four);
    for (int i = 16 * H * W - 1; i >= 0; i--) {
        int x = i % (ZOOM * W);
        bool beside = (x >= 1 && four[i - 1]) || (x >= 2 && four[i - 2]);
        ink[i] = four[i] || (bold && beside);
    }
    sample_area(ink, ZOOM * H, ZOOM * W, cover, H * scale, W * scale);
}

static void blend(Pix *p, int x, int y, double cover, Rgb c)
{
    if (x < 0 || y < 0 || x >= p->w || y >= p->h || cover <= 0)
        return;
    uint8_t *to = pixel(p, x, y);
    uint8_t from[3] = {c.r, c.g, c.b};
    for (int i = 0; i < 3; i++)
        to[i] = (uint8_t)(to[i] + cover * (from[i] - to[i]) + 0.5);
}

static void empty_box(Pix *p, int x, int y, int w, int h, int line, Rgb ink)
{
    pix_fill(p, x, y, w, line, ink);
    pix_fill(p, x, y + h - line, w, line, ink);
    pix_fill(p, x, y, line, h, ink);
    pix_fill(p, x + w - line, y, line, h, ink);
}

void pix_rune(Pix *p, int x, int y, uint32_t rune, int cells, int scale, bool bold,
              Rgb ink)
{
    double cover[FONT_W * FONT_H * MAX_SCALE * MAX_SCALE];
    const uint8_t *rows = font_rows(rune);
    int w = FONT_W * scale, h = FONT_H * scale, line = scale > 1 ? scale / 2 : 1;
    if (!p->rgb || rune == ' ' || scale < 1 || scale > MAX_SCALE)
        return;
    if (rune == 0x2500) { /* joins from cell to cell */
        pix_fill(p, x, y + 4 * scale, w, line, ink);
        return;
    }
    if (!rows) {
        empty_box(p, x, y, cells * w - scale, 7 * scale, line, ink);
        return;
    }
    glyph_cover(rows, scale, bold, cover);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
            blend(p, x + j, y + i, cover[i * w + j], ink);
}

void pix_text(Pix *p, int x, int y, const char *text, size_t n, int scale, bool bold,
              Rgb ink)
{
    int at = 0;
    while (n > 0) {
        Glyph g;
        size_t len = glyph_next(text, n, at, &g);
        int each = g.n > 0 ? g.width / g.n : 0;
        for (int i = 0; i < g.n; i++)
            pix_rune(p, x + (at + i * each) * FONT_W * scale, y, g.rune[i], each, scale,
                     bold, ink);
        at += g.width;
        text += len;
        n -= len;
    }
}

/* ---- PNG ---- */

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
