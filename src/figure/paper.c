/* paper.c -- cairo keeps its own sticky status, so drawing needs no checks; SVG and PDF
 * are collected in memory and written at once. Nothing in a file depends on the clock
 * or on what was drawn before: the date of a PDF is fixed, and numbers in the names of
 * an SVG count from 0. The library is loaded with the first figure: it brings fourteen
 * others along, which would cost every start some milliseconds. */
#include "figure/paper.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "figure/clean.h"

enum { MOST_PIXELS = 32767 };

/* --- the library --- */

/* clang-format off */
#define CAIRO_FUNCTIONS(F)                                                            \
    F(cairo_arc) F(cairo_clip) F(cairo_close_path) F(cairo_create) F(cairo_destroy)   \
    F(cairo_fill) F(cairo_font_options_create) F(cairo_font_options_destroy)          \
    F(cairo_font_options_set_antialias) F(cairo_font_options_set_hint_metrics)        \
    F(cairo_font_options_set_hint_style) F(cairo_get_source)                          \
    F(cairo_image_surface_create) F(cairo_image_surface_get_data)                     \
    F(cairo_image_surface_get_stride) F(cairo_line_to) F(cairo_move_to)               \
    F(cairo_new_path) F(cairo_paint) F(cairo_pattern_set_filter)                      \
    F(cairo_pdf_surface_create_for_stream) F(cairo_pdf_surface_set_metadata)          \
    F(cairo_rectangle) F(cairo_restore) F(cairo_rotate) F(cairo_save)                 \
    F(cairo_scale) F(cairo_select_font_face) F(cairo_set_font_options)                \
    F(cairo_set_font_size) F(cairo_set_line_join) F(cairo_set_line_width)             \
    F(cairo_set_source_rgba) F(cairo_set_source_surface) F(cairo_show_page)           \
    F(cairo_show_text) F(cairo_status) F(cairo_status_to_string) F(cairo_stroke)      \
    F(cairo_surface_destroy) F(cairo_surface_finish) F(cairo_surface_flush)           \
    F(cairo_surface_mark_dirty) F(cairo_surface_status)                               \
    F(cairo_svg_surface_create_for_stream) F(cairo_text_extents) F(cairo_translate)
/* clang-format on */
#define AS_POINTER(name) __typeof__(&name) name;
#define AS_NAME(name)    #name,

static struct Library {
    CAIRO_FUNCTIONS(AS_POINTER)
} lib;

static Err lib_err; /* why it is not there */

#ifdef __SANITIZE_ADDRESS__
/* fontconfig keeps a few patterns until the process ends */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}
#endif

/* The members are pointers to functions, in the order of names. */
static void load(void)
{
    static const char *const names[] = {CAIRO_FUNCTIONS(AS_NAME)};
    _Static_assert(sizeof lib == ARRAY_LEN(names) * sizeof(void (*)(void)), "no gaps");
    void *so = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; so && i < ARRAY_LEN(names); i++) {
        void *symbol = dlsym(so, names[i]);
        memcpy((char *)&lib + i * sizeof symbol, &symbol, sizeof symbol);
        if (!symbol)
            so = NULL;
    }
    if (!so)
        err_set(&lib_err, ERR_IO,
                "a figure cannot be drawn: libcairo.so.2 is missing or too old (Debian "
                "package libcairo2)");
}

static bool library(Err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (lib_err.code != ERR_NONE && err)
        *err = lib_err;
    return lib_err.code == ERR_NONE;
}

struct Paper {
    PaperFormat format;
    cairo_surface_t *surface;
    cairo_t *cr;
    Str out;  /* SVG, PDF */
    int w, h; /* pixels of a PNG */
    bool dry;
    bool has_fonts;
    Err err; /* the first failure of our own */
};

static cairo_status_t collect(void *to, const unsigned char *data, unsigned n)
{
    Str *out = to;
    str_addn(out, (const char *)data, n);
    return out->oom ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static bool cairo_ok(cairo_status_t status, Err *err)
{
    if (status == CAIRO_STATUS_SUCCESS)
        return true;
    if (status == CAIRO_STATUS_NO_MEMORY)
        return err_set(err, ERR_MEMORY, "out of memory while drawing a figure");
    return err_set(err, ERR_IO, "a figure cannot be drawn: cairo says '%s'",
                   lib.cairo_status_to_string(status));
}

/* Without a configuration of fonts the library would complain on the error stream. */
static bool machine_has_fonts(void)
{
    return access("/etc/fonts/fonts.conf", R_OK) == 0;
}

static void make_surface(Paper *p, double w, double h)
{
    if (p->dry || p->format == PAPER_PNG) {
        p->w = p->dry ? 1 : (int)ceil(w * PAPER_SCALE);
        p->h = p->dry ? 1 : (int)ceil(h * PAPER_SCALE);
        p->surface = lib.cairo_image_surface_create(CAIRO_FORMAT_RGB24, p->w, p->h);
    } else if (p->format == PAPER_SVG) {
        p->surface = lib.cairo_svg_surface_create_for_stream(collect, &p->out, w, h);
    } else {
        p->surface = lib.cairo_pdf_surface_create_for_stream(collect, &p->out, w, h);
        lib.cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_CREATE_DATE,
                                           "2000-01-01T00:00:00Z");
    }
}

Paper *paper_new(PaperFormat format, double w, double h, Err *err)
{
    double most = (double)MOST_PIXELS / PAPER_SCALE;
    if (!(w <= most && h <= most)) {
        err_set(
            err, ERR_SHAPE,
            "a picture of %.0f x %.0f pixels: at most %d each way; show fewer parts",
            w * PAPER_SCALE, h * PAPER_SCALE, MOST_PIXELS);
        return NULL;
    }
    Paper *p = library(err) ? mem_zalloc(sizeof *p, err) : NULL;
    if (!p)
        return NULL;
    p->format = format;
    p->dry = w <= 0;
    p->has_fonts = machine_has_fonts();
    str_init(&p->out);
    make_surface(p, w, h);
    p->cr = lib.cairo_create(p->surface);
    if (!cairo_ok(lib.cairo_status(p->cr), err)) {
        paper_free(p);
        return NULL;
    }
    if (format == PAPER_PNG && !p->dry)
        lib.cairo_scale(p->cr, PAPER_SCALE, PAPER_SCALE);
    paper_fill(p, 0, 0, w, h, (Rgb){255, 255, 255});
    return p;
}

void paper_free(Paper *p)
{
    if (!p)
        return;
    lib.cairo_destroy(p->cr);
    if (p->surface)
        lib.cairo_surface_finish(p->surface); /* may still write into out */
    lib.cairo_surface_destroy(p->surface);
    str_done(&p->out);
    mem_free(p);
}

bool paper_is_dry(const Paper *p)
{
    return p->dry;
}

static bool write_png(Paper *p, const char *path, Err *err)
{
    Pix pix;
    if (!pix_new(p->w, p->h, (Rgb){255, 255, 255}, &pix, err))
        return false;
    lib.cairo_surface_flush(p->surface);
    const uint8_t *data = lib.cairo_image_surface_get_data(p->surface);
    int stride = lib.cairo_image_surface_get_stride(p->surface);
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) {
            uint32_t v;
            uint8_t *to = pix.rgb + ((size_t)y * (size_t)p->w + (size_t)x) * 3;
            memcpy(&v, data + (size_t)y * (size_t)stride + (size_t)x * 4, 4);
            to[0] = (uint8_t)(v >> 16);
            to[1] = (uint8_t)(v >> 8);
            to[2] = (uint8_t)v;
        }
    bool ok = pix_png(&pix, path, err);
    pix_done(&pix);
    return ok;
}

bool paper_ok(const Paper *p, Err *err)
{
    if (p->err.code == ERR_NONE)
        return cairo_ok(lib.cairo_status(p->cr), err);
    if (err)
        *err = p->err;
    return false;
}

/* The number behind a name that cairo counts through the whole process, or NULL. */
static const char *counted(const char *s)
{
    static const char *const names[] = {"\"surface", "\"image", "#surface", "#image"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(s, names[i], n) == 0 && s[n] >= '0' && s[n] <= '9')
            return s + n;
    }
    return NULL;
}

/* The same SVG with such numbers counted from its own least one. */
static void count_from_zero(const char *s, Str *out)
{
    long least = -1;
    const char *done = s;
    for (const char *p = s; (p = strpbrk(p, "\"#")) != NULL; p++) {
        const char *digits = counted(p);
        long v = digits ? strtol(digits, NULL, 10) : 0;
        if (digits && (least < 0 || v < least))
            least = v;
    }
    for (const char *p = s; (p = strpbrk(p, "\"#")) != NULL; p++) {
        const char *digits = counted(p);
        if (!digits)
            continue;
        char *end;
        str_addn(out, done, (size_t)(digits - done));
        str_addf(out, "%ld", strtol(digits, &end, 10) - least);
        done = end;
    }
    str_add(out, done);
}

static bool write_svg(const Paper *p, const char *path, Err *err)
{
    Str t;
    str_init(&t);
    count_from_zero(p->out.s, &t);
    bool ok = str_ok(&t, err) && file_write_all(path, t.s, t.len, err);
    str_done(&t);
    return ok;
}

bool paper_write(Paper *p, const char *path, Err *err)
{
    if (!paper_ok(p, err))
        return false;
    if (p->format == PAPER_PNG)
        return write_png(p, path, err);
    lib.cairo_show_page(p->cr);
    lib.cairo_surface_finish(p->surface);
    if (!cairo_ok(lib.cairo_surface_status(p->surface), err) || !str_ok(&p->out, err))
        return false;
    return p->format == PAPER_SVG ? write_svg(p, path, err)
                                  : file_write_all(path, p->out.s, p->out.len, err);
}

/* --- shapes --- */

static void set_colour(Paper *p, Rgb c, double opacity)
{
    lib.cairo_set_source_rgba(p->cr, c.r / 255.0, c.g / 255.0, c.b / 255.0, opacity);
}

void paper_fill(Paper *p, double x, double y, double w, double h, Rgb c)
{
    if (p->dry)
        return;
    set_colour(p, c, 1);
    lib.cairo_rectangle(p->cr, x, y, w, h);
    lib.cairo_fill(p->cr);
}

static void stroke(Paper *p, double width, Rgb c)
{
    set_colour(p, c, 1);
    lib.cairo_set_line_width(p->cr, width);
    lib.cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    lib.cairo_stroke(p->cr);
}

void paper_line(Paper *p, double x0, double y0, double x1, double y1, double width,
                Rgb c)
{
    if (p->dry)
        return;
    lib.cairo_move_to(p->cr, x0, y0);
    lib.cairo_line_to(p->cr, x1, y1);
    stroke(p, width, c);
}

static void path(Paper *p, const double (*xy)[2], int n)
{
    for (int i = 0; i < n; i++)
        lib.cairo_line_to(p->cr, xy[i][0], xy[i][1]);
}

void paper_curve(Paper *p, const double (*xy)[2], int n, double width, Rgb c)
{
    if (p->dry || n < 1)
        return;
    path(p, xy, n);
    stroke(p, width, c);
}

void paper_area(Paper *p, const double (*xy)[2], int n, Rgb c, double opacity)
{
    if (p->dry || n < 3)
        return;
    path(p, xy, n);
    lib.cairo_close_path(p->cr);
    set_colour(p, c, opacity);
    lib.cairo_fill(p->cr);
}

void paper_mark(Paper *p, double x, double y, double r, int mark, Rgb c)
{
    static const double pi = 3.14159265358979323846;
    static const struct {
        int corners;
        double turn, size; /* in quarter turns; equal areas to the eye */
    } shapes[] = {
        {0, 0,   1   },
        {4, 0.5, 1.25},
        {3, -1,  1.35},
        {4, 0,   1.3 },
        {3, 1,   1.35},
        {5, -1,  1.2 },
        {6, 0,   1.1 },
        {4, 0.5, 0.8 }
    };
    int k = mark % (int)ARRAY_LEN(shapes);
    if (p->dry)
        return;
    lib.cairo_new_path(p->cr);
    if (shapes[k].corners == 0)
        lib.cairo_arc(p->cr, x, y, r, 0, 2 * pi);
    for (int i = 0; i < shapes[k].corners; i++) {
        double a = (shapes[k].turn / 2 + 2.0 * i / shapes[k].corners) * pi;
        lib.cairo_line_to(p->cr, x + shapes[k].size * r * cos(a),
                          y + shapes[k].size * r * sin(a));
    }
    lib.cairo_close_path(p->cr);
    set_colour(p, c, 1);
    lib.cairo_fill(p->cr);
}

void paper_clip(Paper *p, double x, double y, double w, double h)
{
    lib.cairo_save(p->cr);
    if (!p->dry) {
        lib.cairo_rectangle(p->cr, x, y, w, h);
        lib.cairo_clip(p->cr);
    }
}

void paper_unclip(Paper *p)
{
    lib.cairo_restore(p->cr);
}

void paper_raster(Paper *p, double x, double y, double w, double h, const uint8_t *rgb,
                  int iw, int ih)
{
    if (p->dry || p->err.code != ERR_NONE)
        return;
    cairo_surface_t *s = lib.cairo_image_surface_create(CAIRO_FORMAT_RGB24, iw, ih);
    if (cairo_ok(lib.cairo_surface_status(s), &p->err)) {
        uint8_t *to = lib.cairo_image_surface_get_data(s);
        int stride = lib.cairo_image_surface_get_stride(s);
        for (int i = 0; i < ih; i++)
            for (int j = 0; j < iw; j++) {
                const uint8_t *c = rgb + ((size_t)i * (size_t)iw + (size_t)j) * 3;
                uint32_t v = (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
                memcpy(to + (size_t)i * (size_t)stride + (size_t)j * 4, &v, 4);
            }
        lib.cairo_surface_mark_dirty(s);
        lib.cairo_save(p->cr);
        lib.cairo_translate(p->cr, x, y);
        lib.cairo_scale(p->cr, w / iw, h / ih);
        lib.cairo_set_source_surface(p->cr, s, 0, 0);
        lib.cairo_pattern_set_filter(lib.cairo_get_source(p->cr), CAIRO_FILTER_NEAREST);
        lib.cairo_paint(p->cr);
        lib.cairo_restore(p->cr);
    }
    lib.cairo_surface_destroy(s);
}

/* --- texts --- */

static void set_font(Paper *p, Ink ink)
{
    bool mono = ink.flags & TEXT_MONO;
    const char *family = p->has_fonts ? (mono ? "DejaVu Sans Mono" : "DejaVu Sans")
                                      : (mono ? "@cairo:monospace" : "@cairo:");
    lib.cairo_select_font_face(p->cr, family, CAIRO_FONT_SLANT_NORMAL,
                               ink.flags & TEXT_BOLD ? CAIRO_FONT_WEIGHT_BOLD
                                                     : CAIRO_FONT_WEIGHT_NORMAL);
    lib.cairo_set_font_size(p->cr, ink.size);
    cairo_font_options_t *o = lib.cairo_font_options_create();
    lib.cairo_font_options_set_hint_metrics(o, CAIRO_HINT_METRICS_OFF);
    lib.cairo_font_options_set_hint_style(o, CAIRO_HINT_STYLE_NONE);
    lib.cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    lib.cairo_set_font_options(p->cr, o);
    lib.cairo_font_options_destroy(o);
}

/* Placeholders put in, in one line. */
static void clean_into(const char *text, size_t n, Str *t)
{
    size_t at = t->len;
    clean_text(text, n, t);
    for (; !t->oom && at < t->len; at++)
        if (t->s[at] == '\n' || t->s[at] == '\t')
            t->s[at] = ' ';
}

static double width_of(Paper *p, const char *clean, Ink ink)
{
    cairo_text_extents_t e;
    set_font(p, ink);
    lib.cairo_text_extents(p->cr, clean, &e);
    return e.x_advance;
}

static double show(Paper *p, double x, double y, const char *clean, Ink ink)
{
    double w = width_of(p, clean, ink);
    if (p->dry)
        return w;
    set_colour(p, ink.colour, 1);
    lib.cairo_save(p->cr);
    if (ink.flags & TEXT_UP) {
        lib.cairo_translate(p->cr, x + ink.size, y);
        lib.cairo_rotate(p->cr, -1.57079632679489662);
        lib.cairo_move_to(p->cr, -ink.align * w, 0);
    } else {
        lib.cairo_move_to(p->cr, x - ink.align * w, y + ink.size);
    }
    lib.cairo_show_text(p->cr, clean);
    lib.cairo_restore(p->cr);
    lib.cairo_new_path(p->cr);
    return w;
}

static bool clean_line_of(Paper *p, const char *text, size_t n, Str *t)
{
    str_init(t);
    clean_into(text, n, t);
    return str_ok(t, p->err.code == ERR_NONE ? &p->err : NULL);
}

double paper_text(Paper *p, double x, double y, const char *text, Ink ink)
{
    Str t;
    double w = clean_line_of(p, text, strlen(text), &t) ? show(p, x, y, t.s, ink) : 0;
    str_done(&t);
    return w;
}

double paper_width(Paper *p, const char *text, Ink ink)
{
    Str t;
    double w = clean_line_of(p, text, strlen(text), &t) ? width_of(p, t.s, ink) : 0;
    str_done(&t);
    return w;
}

void paper_cut(Paper *p, double x, double y, double room, const char *text, Ink ink)
{
    Str t;
    if (paper_width(p, text, ink) <= room) {
        paper_text(p, x, y, text, ink);
        return;
    }
    str_init(&t);
    size_t n = 0, left = strlen(text);
    while (n < left) {
        Glyph g;
        size_t len = glyph_next(text + n, left - n, 0, &g);
        str_clear(&t);
        str_addn(&t, text, n + len);
        str_addc(&t, '~');
        if (t.oom || paper_width(p, t.s, ink) > room)
            break;
        n += len;
    }
    str_clear(&t);
    str_addn(&t, text, n);
    str_addc(&t, '~');
    if (str_ok(&t, p->err.code == ERR_NONE ? &p->err : NULL))
        paper_text(p, x, y, t.s, ink);
    str_done(&t);
}

double paper_leading(Ink ink)
{
    return ceil(ink.size * 1.35 * PAPER_SCALE) / PAPER_SCALE;
}

static size_t glyph_bytes(const char *s)
{
    Glyph g;
    return glyph_next(s, strlen(s), 0, &g);
}

/* Bytes of s that fit into a line: whole words, or what fits of the first. */
static size_t fitting(Paper *p, const char *s, double room, Ink ink)
{
    size_t whole = 0, end = 0, line = strcspn(s, "\n");
    while (end < line) {
        size_t next = end + strspn(s + end, " ");
        next += strcspn(s + next, " \n");
        Str t;
        bool fits = clean_line_of(p, s, next, &t) && width_of(p, t.s, ink) <= room;
        str_done(&t);
        if (!fits)
            break;
        whole = end = next;
    }
    if (whole > 0 || line == 0)
        return whole;
    for (size_t n = glyph_bytes(s); n <= line; n += glyph_bytes(s + n)) {
        Str t;
        bool fits = clean_line_of(p, s, n, &t) && width_of(p, t.s, ink) <= room;
        str_done(&t);
        if (!fits && whole > 0)
            break;
        whole = n;
        if (!fits || n == line)
            break;
    }
    return whole;
}

double paper_wrap(Paper *p, double x, double y, double room, const char *text, Ink ink)
{
    double height = 0;
    while (*text && p->err.code == ERR_NONE) {
        size_t n = fitting(p, text, room, ink);
        Str t;
        if (clean_line_of(p, text, n, &t))
            show(p, x, y + height, t.s, ink);
        str_done(&t);
        height += paper_leading(ink);
        text += n;
        text += *text == '\n' ? 1 : strspn(text, " ");
    }
    return height;
}
