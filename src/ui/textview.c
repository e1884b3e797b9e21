/* textview.c -- lines are wrapped while drawing; `lines` remembers how many there were,
 * so that scrolling stops at the end. */
#include "ui/textview.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "ui/find.h"

bool textview_set(TextView *v, const char *title, const char *text, Err *err)
{
    char *t = mem_strdup(title, err), *s = t ? mem_strdup(text, err) : NULL;
    if (!s) {
        mem_free(t);
        return false;
    }
    textview_done(v);
    v->title = t;
    v->text = s;
    return true;
}

void textview_done(TextView *v)
{
    mem_free(v->title);
    mem_free(v->text);
    mem_free(v->match);
    *v = (TextView){.found = -1};
}

static int count_lines(const char *s, int cols)
{
    int n = 0;
    while (*s) {
        int used;
        size_t skip;
        clean_line(s, cols, &used, &skip);
        n++;
        if (skip == 0)
            break;
        s += skip;
    }
    return n;
}

static Role line_role(const char *s, size_t n, bool first)
{
    if (n > 0 && s[0] == '#')
        return ROLE_STRONG;
    return first ? ROLE_STRONG : ROLE_TEXT;
}

void textview_draw(TextView *v, const Painter *p, Area a)
{
    const char *s = v->text ? v->text : "";
    v->lines = count_lines(s, a.cols);
    v->rows = a.rows;
    if (v->top > v->lines - a.rows)
        v->top = v->lines - a.rows;
    if (v->top < 0)
        v->top = 0;
    for (int line = 0; *s && line < v->top + a.rows; line++) {
        int used;
        size_t skip, n = clean_line(s, a.cols, &used, &skip);
        if (line >= v->top) {
            Look k = paint_look(p, line_role(s, n, line == 0));
            if (v->match && text_find(s, n, v->match) < n)
                k = paint_look(p, line == v->found ? ROLE_MATCH : ROLE_WARN);
            paint_text(p, a, line - v->top, 0, s, n, k);
        }
        if (skip == 0)
            break;
        s += skip;
    }
    if (v->top + a.rows < v->lines)
        paint_right(p, a, a.rows - 1, a.cols, p->utf8 ? " \xE2\x96\xBC" : " v",
                    ROLE_DIM);
}

void textview_scroll(TextView *v, int lines)
{
    int most = v->lines > v->rows ? v->lines - v->rows : 0;
    int64_t top = (int64_t)v->top + lines;
    v->top = top < 0 ? 0 : top > most ? most : (int)top;
}

bool textview_find(TextView *v, const char *text, int step)
{
    int n = 0, best = -1;
    const char *s = v->text ? v->text : "";
    char *copy = mem_strdup(text, NULL);
    if (!copy)
        return false;
    mem_free(v->match);
    v->match = copy;
    while (*s) {
        size_t len = strcspn(s, "\n");
        bool fits = text_find(s, len, text) < len;
        if (fits && step > 0 && n > v->found && best < 0)
            best = n;
        if (fits && step < 0 && (v->found < 0 || n < v->found))
            best = n;
        n++;
        s += len + (s[len] == '\n');
    }
    if (best < 0)
        return false;
    v->found = best;
    v->top = best > v->rows / 3 ? best - v->rows / 3 : 0;
    return true;
}
