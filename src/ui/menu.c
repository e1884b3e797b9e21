/* menu.c -- the filter ranks items by text_fuzzy() over both columns; ties keep their
 * order, so an empty filter shows the list as it was made. */
#include "ui/menu.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "ui/find.h"

static void drop_items(Menu *m)
{
    for (int i = 0; i < m->n; i++) {
        mem_free(m->item[i].left);
        mem_free(m->item[i].right);
        mem_free(m->item[i].text);
    }
    mem_free(m->item);
    mem_free(m->shown);
    m->item = NULL;
    m->shown = NULL;
    m->n = m->cap = m->n_shown = 0;
}

void menu_close(Menu *m)
{
    drop_items(m);
    edit_done(&m->filter);
    mem_free(m->title);
    *m = (Menu){0};
}

bool menu_open(Menu *m, const char *title, const char *filter, void *owner,
               void (*pick)(void *owner, const MenuItem *item), Err *err)
{
    menu_close(m);
    m->title = mem_strdup(title, err);
    if (!m->title || !edit_init(&m->filter, filter, true, err)) {
        menu_close(m);
        return false;
    }
    m->owner = owner;
    m->pick = pick;
    m->open = true;
    return true;
}

bool menu_add(Menu *m, const char *left, const char *right, const char *text, int row,
              Err *err)
{
    if (m->n == m->cap) {
        int cap = m->cap ? 2 * m->cap : 64;
        MenuItem *item = mem_realloc(m->item, (size_t)cap * sizeof *item, err);
        if (!item)
            return false;
        m->item = item;
        m->cap = cap;
    }
    MenuItem it = {.left = mem_strdup(left, err),
                   .right = mem_strdup(right, err),
                   .text = mem_strdup(text, err),
                   .row = row};
    if (!it.left || !it.right || !it.text) {
        mem_free(it.left);
        mem_free(it.right);
        mem_free(it.text);
        return false;
    }
    m->item[m->n++] = it;
    return true;
}

static int rank(const Menu *m, const MenuItem *it)
{
    const char *what = m->filter.s;
    int a = text_fuzzy(it->left, what), b = text_fuzzy(it->right, what);
    int c = text_fuzzy(it->text, what);
    a = c > a ? c : a;
    return a > b ? a : b;
}

void menu_ready(Menu *m)
{
    if (!m->shown && m->n > 0)
        m->shown = mem_array((size_t)m->n, sizeof *m->shown, NULL);
    m->n_shown = 0;
    for (int i = 0; m->shown && i < m->n; i++) {
        MenuItem *it = &m->item[i];
        it->score = rank(m, it);
        if (it->score == 0)
            continue;
        int at = m->n_shown++;
        for (; at > 0 && m->item[m->shown[at - 1]].score < it->score; at--)
            m->shown[at] = m->shown[at - 1];
        m->shown[at] = i;
    }
    m->sel = m->top = 0;
}

static void move(Menu *m, int by)
{
    m->sel += by;
    if (m->sel >= m->n_shown)
        m->sel = m->n_shown - 1;
    if (m->sel < 0)
        m->sel = 0;
}

static void choose(Menu *m)
{
    if (m->n_shown == 0)
        return;
    MenuItem it = m->item[m->shown[m->sel]];
    m->item[m->shown[m->sel]] = m->item[--m->n]; /* survives the closing */
    void (*pick)(void *, const MenuItem *) = m->pick;
    void *owner = m->owner;
    menu_close(m);
    pick(owner, &it);
    mem_free(it.left);
    mem_free(it.right);
    mem_free(it.text);
}

void menu_key(Menu *m, const KeyEvent *k)
{
    int64_t before = m->filter.changes;
    switch (k->key) {
    case K_ESC:
    case 'c' | K_CTRL:
    case 'g' | K_CTRL: menu_close(m); return;
    case K_ENTER: choose(m); return;
    case K_UP:
    case 'p' | K_CTRL: move(m, -1); return;
    case K_DOWN:
    case 'n' | K_CTRL: move(m, 1); return;
    case K_PGUP: move(m, -m->rows); return;
    case K_PGDN: move(m, m->rows); return;
    case K_BACKSPACE: edit_backspace(&m->filter); break;
    case 'u' | K_CTRL: edit_replace(&m->filter, 0, m->filter.cursor, "", 0); break;
    case K_PASTE: edit_paste(&m->filter, k->text, k->n); break;
    default:
        if (key_is_text(k->key)) {
            Str t;
            str_init(&t);
            str_add_rune(&t, k->key);
            if (!t.oom)
                edit_type(&m->filter, t.s, t.len);
            str_done(&t);
        }
    }
    if (m->filter.changes != before)
        menu_ready(m);
}

static int left_width(const Menu *m, int most)
{
    int w = 0;
    for (int i = 0; i < m->n; i++) {
        int one = clean_width(m->item[i].left);
        w = one > w ? one : w;
    }
    return w < most ? w : most;
}

void menu_draw(Menu *m, const Painter *p, Area a, int *row, int *col)
{
    int rows = m->n + 4 < a.rows ? m->n + 4 : a.rows;
    int cols = a.cols > 84 ? 80 : a.cols - 4 > 16 ? a.cols - 4 : a.cols;
    rows = rows < 5 ? (a.rows < 5 ? a.rows : 5) : rows;
    Area box = {a.row + (a.rows - rows) / 2, a.col + (a.cols - cols) / 2, rows, cols};
    Area in = paint_box(p, box, m->title);
    char count[48];
    snprintf(count, sizeof count, "%d of %d ", m->n_shown, m->n);
    int at = paint_str(p, in, 0, 1, "> ", ROLE_BOX);
    at += paint_str(p, in, 0, 1 + at, m->filter.s, ROLE_BOX);
    paint_right(p, in, 0, in.cols, count, ROLE_BOX);
    *row = in.row;
    *col = in.col + (1 + at < in.cols ? 1 + at : in.cols - 1);
    m->rows = in.rows - 1;
    if (m->sel < m->top)
        m->top = m->sel;
    if (m->sel >= m->top + m->rows)
        m->top = m->sel - m->rows + 1;
    int left = left_width(m, in.cols / 2);
    for (int i = 0; i < m->rows && m->top + i < m->n_shown; i++) {
        const MenuItem *it = &m->item[m->shown[m->top + i]];
        paint_cut(p, in, 1 + i, 1, it->left, left, ROLE_BOX);
        paint_cut(p, in, 1 + i, 3 + left, it->right, in.cols - left - 4, ROLE_BOX);
        if (m->top + i == m->sel)
            paint_row(p, (Area){in.row, in.col, in.rows, in.cols}, 1 + i,
                      ROLE_BOX_STRONG);
    }
}
