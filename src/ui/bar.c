/* bar.c -- the line is cleared by blanks and a carriage return: it works on every
 * terminal that has columns, with no escape sequence at all. */
#include "ui/bar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "lab/jval.h"

enum { BAR_CELLS = 20 };
#define PLAIN_EVERY 5.0
#define PLAIN_STEP  0.1
#define PLAIN_GAP   1.0

void bar_event(Bar *b, const json_t *event)
{
    json_decref(b->event);
    b->event = json_incref((json_t *)event);
}

void bar_forget(Bar *b)
{
    json_decref(b->event);
    b->event = NULL;
    b->said_part = 0;
}

static double number(const json_t *event, const char *key)
{
    return jval_to_number(json_object_get(event, key), NAN);
}

/* A count: whole numbers whole, others with three digits. */
static void add_count(double v, Str *out)
{
    if (v == floor(v) && fabs(v) < 1e15)
        str_addf(out, "%.0f", v);
    else
        str_addf(out, "%.3g", v);
}

static void add_rate(double rate, Str *out)
{
    if (!(rate > 0))
        return;
    if (rate >= 1)
        str_addf(out, rate >= 100 ? "  %.0f/s" : "  %.1f/s", rate);
    else
        str_addf(out, "  %.1f s each", 1 / rate);
}

static double share(const json_t *event)
{
    double part = number(event, "done") / number(event, "total");
    return part > 1 ? 1.0 : part >= 0 ? part : (double)NAN;
}

void bar_format(const json_t *event, int width, bool graphic, Str *out)
{
    double part = share(event), eta = number(event, "eta");
    char left[16];
    Str t;
    str_init(&t);
    if (isfinite(part)) {
        int full = (int)(part * BAR_CELLS);
        if (graphic && width >= 60)
            str_addf(&t, "[%.*s%.*s] ", full, "####################", BAR_CELLS - full,
                     "....................");
        str_addf(&t, "%3.0f%%  ", floor(part * 100));
    }
    add_count(number(event, "done"), &t);
    if (isfinite(part)) {
        str_addc(&t, '/');
        add_count(number(event, "total"), &t);
    }
    add_rate(number(event, "rate"), &t);
    clock_hms(eta, left);
    if (isfinite(eta))
        str_addf(&t, "  ETA %s", left);
    const char *text = jval_get(event, "text", "");
    if (text[0])
        str_addf(&t, "  %s", text);
    /* cut by columns, not bytes; controls in the text become blanks */
    int columns = 0;
    for (size_t at = 0; at < t.len;) {
        uint32_t rune;
        int used = utf8_next(t.s + at, t.len - at, &rune), w = rune_width(rune);
        if (columns + (w > 0 ? w : 1) > width)
            break;
        if (w < 0)
            str_addc(out, ' ');
        else
            str_addn(out, t.s + at, (size_t)used);
        columns += w >= 0 ? w : 1;
        at += (size_t)used;
    }
    str_done(&t);
}

static void draw_plain(Bar *b, Str *out)
{
    double t = number(b->event, "t"), part = share(b->event);
    double since = t - b->said_at;
    if (part < b->said_part)
        b->said_part = 0; /* another piece of work */
    bool step = part - b->said_part >= PLAIN_STEP && !(since < PLAIN_GAP);
    bool end = part >= 1 && b->said_part > 0 && b->said_part < 1;
    if (b->said_at > 0 && !step && !end && !(since >= PLAIN_EVERY))
        return;
    bool first = b->said_at == 0 && part < PLAIN_STEP;
    b->said_at = t;
    if (first)
        return; /* the clock starts; there is nothing to tell yet */
    b->said_part = isfinite(part) ? part : 0;
    bar_format(b->event, 1000, false, out);
    str_addc(out, '\n');
}

void bar_draw(Bar *b, const Stream *s, Str *out)
{
    if (!b->event)
        return;
    if (!s->tty || !s->escapes) {
        draw_plain(b, out);
        return;
    }
    Str line;
    str_init(&line);
    bar_format(b->event, s->width - 1, true, &line);
    bar_clear(b, s, out);
    style_text(s, line.s, line.len, true, out);
    str_done(&line);
    b->on_screen = true;
}

void bar_clear(Bar *b, const Stream *s, Str *out)
{
    if (!b->on_screen)
        return;
    b->on_screen = false;
    str_addf(out, "\r%*s\r", s->width - 1, "");
}
