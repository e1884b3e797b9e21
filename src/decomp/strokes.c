/* strokes.c -- every template is a function of (y, x); a Pen draws them one after the
 * other. */
#include "decomp/strokes.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

typedef struct Shape {
    double y, x;
    double along, across; /* bars: length / 2, width; arcs: radius, width; blobs: std */
    double angle, span;   /* bars: direction; arcs: start and extent */
    double (*ink)(const struct Shape *s, double dy, double dx);
} Shape;

typedef struct Pen {
    int64_t height, width;
    float *next;
} Pen;

static double bell(double d, double width)
{
    return exp(-0.5 * (d / width) * (d / width));
}

static double ink_bar(const Shape *s, double dy, double dx)
{
    double c = cos(s->angle), n = sin(s->angle);
    return bell(dx * c + dy * n, s->along) * bell(dy * c - dx * n, s->across);
}

static double ink_arc(const Shape *s, double dy, double dx)
{
    double turn = fmod(atan2(dy, dx) - s->angle, 2 * PI);
    if (turn < 0)
        turn += 2 * PI;
    return turn <= s->span + 1e-6 ? bell(sqrt(dx * dx + dy * dy) - s->along, s->across)
                                  : 0;
}

static double ink_blob(const Shape *s, double dy, double dx)
{
    return bell(sqrt(dx * dx + dy * dy), s->along);
}

static double coordinate(int64_t i, int64_t n)
{
    return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1 : 0;
}

static double ink_at(const Pen *p, const Shape *s, int64_t i)
{
    return s->ink(s, coordinate(i / p->width, p->height) - s->y,
                  coordinate(i % p->width, p->width) - s->x);
}

static void draw(Pen *p, Shape s)
{
    int64_t I = p->height * p->width;
    double mean = 0, norm = 0;
    for (int64_t i = 0; i < I; i++)
        mean += ink_at(p, &s, i) / (double)I;
    for (int64_t i = 0; i < I; i++)
        norm += pow(ink_at(p, &s, i) - mean, 2);
    norm = sqrt(norm);
    for (int64_t i = 0; i < I; i++)
        p->next[i] = norm > 1e-100 ? (float)((ink_at(p, &s, i) - mean) / norm) : 0;
    p->next += I;
}

static void draw_bars(Pen *p)
{
    static const double y[5] = {-.55, -.25, .05, .35, .62},
                        x[4] = {-.45, -.18, .12, .42};
    static const double long_y[4] = {-.62, -.2, .18, .55},
                        long_x[4] = {-.42, -.1, .18, .45};
    const double angle[4] = {0, PI / 2, PI / 4, -PI / 4};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 4; k++)
                draw(p, (Shape){y[i], x[j], .65 / 2, .06, angle[k], 0, ink_bar});
    for (int i = 0; i < 4; i++)
        draw(p, (Shape){long_y[i], 0, .9 / 2, .055, 0, 0, ink_bar});
    for (int i = 0; i < 4; i++)
        draw(p, (Shape){0, long_x[i], .95 / 2, .055, PI / 2, 0, ink_bar});
}

static void draw_arcs(Pen *p)
{
    static const double y[2] = {-.28, .18}, x[2] = {-.22, .22};
    const double start[4] = {0, PI / 2, PI, -PI / 2};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            for (int k = 0; k < 4; k++)
                draw(p, (Shape){y[i], x[j], .34, .055, start[k], PI, ink_arc});
            draw(p, (Shape){y[i], x[j], .34, .055, 0, 2 * PI, ink_arc});
        }
}

static void draw_blobs(Pen *p)
{
    static const double y[4] = {-.62, -.25, .15, .55}, x[3] = {-.48, 0, .48};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++)
            draw(p, (Shape){y[i], x[j], .12, 0, 0, 0, ink_blob});
}

StrokeKind stroke_kind(int64_t k)
{
    enum { ARCS = 88, BLOBS = 108 };
    if (k < ARCS)
        return STROKE_BAR;
    if (k >= BLOBS)
        return STROKE_DOT;
    return (k - ARCS) % 5 == 4 ? STROKE_LOOP : STROKE_HOOK;
}

bool stroke_bank(int64_t height, int64_t width, Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    if (height < 1 || width < 1)
        return err_set(err, ERR_SHAPE,
                       "stroke templates need images of at least 1 x 1 pixels, "
                       "got %lld x %lld",
                       (long long)height, (long long)width);
    if (!tensor_new(F32, 2, (int64_t[]){STROKE_COUNT, height * width}, out, err))
        return false;
    Pen p = {height, width, out->data};
    draw_bars(&p);
    draw_arcs(&p);
    draw_blobs(&p);
    return true;
}

bool stroke_anchors(int64_t R, int64_t height, int64_t width, Tensor *out, Err *err)
{
    Tensor bank;
    memset(out, 0, sizeof *out);
    if (R < 1)
        return err_set(err, ERR_SHAPE, "stroke anchors need at least one component");
    bool ok = stroke_bank(height, width, &bank, err) &&
              tensor_new(F32, 2, (int64_t[]){2 * R, height * width}, out, err);
    size_t row = sizeof(float) * (size_t)(height * width);
    for (int64_t r = 0; ok && r < R; r++) {
        int64_t k = r < R / 2 ? r : r - R / 2;
        int64_t a = r < R / 2 ? 7 * k : 11 * k + 5,
                b = r < R / 2 ? 7 * k + 31 : 11 * k + 64;
        char *dst = out->data, *src = bank.data;
        memcpy(dst + (size_t)r * row, src + (size_t)(a % STROKE_COUNT) * row, row);
        memcpy(dst + (size_t)(R + r) * row, src + (size_t)(b % STROKE_COUNT) * row,
               row);
    }
    tensor_release(&bank);
    return ok;
}
