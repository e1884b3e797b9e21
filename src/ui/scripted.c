/* scripted.c -- the notebook without a terminal: a script of keys is played and the
 * screen is written to the standard output, as text or with its colours. Times are left
 * out, so that two runs of a script give the same bytes. Lines of a script:
 *   keys jj <Enter> <C-x>s    presses keys; blanks between them do not matter
 *   type TEXT                 presses every character of TEXT
 *   paste TEXT                as a terminal pastes; \n is a new line
 *   wait idle                 until nothing runs and every request was answered
 *   wait TEXT                 until the screen has TEXT
 *   resize ROWS COLS
 *   dump [TITLE]              the screen as text
 *   paint [TITLE]             the screen with colours and attributes as escapes
 *   # remark
 * A wait that takes 20 s, and a line that is none of these, end it with an error. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "ui/link.h"
#include "ui/scripted.h"

enum { SCRIPT_MAX = 1 << 20 };
#define DEADLINE 20.0

typedef struct Player {
    Link link;
    Level level;
    const char *file;
    int line;
} Player;

static void look(Player *p)
{
    link_take(&p->link);
    if (p->link.ui.reopen)
        link_reopen(&p->link);
    if (ui_timeout(&p->link.ui) == 0)
        ui_tick(&p->link.ui);
}

static void doze(Player *p)
{
    struct pollfd fd[] = {
        {.fd = p->link.watch,             .events = POLLIN},
        {.fd = client_fd(p->link.client), .events = POLLIN}
    };
    poll(fd, 2, p->link.more || log_behind(&p->link.ui) ? 0 : 20);
}

static void press(Player *p, const KeyEvent *k)
{
    look(p);
    ui_key(&p->link.ui, k);
    ui_draw(&p->link.ui); /* panes learn their sizes */
}

static bool play_keys(Player *p, const char *s, Err *err)
{
    while (*s) {
        KeyEvent k = {0};
        if (*s == ' ') {
            s++;
            continue;
        }
        if (!key_parse(&s, &k.key))
            return err_set(err, ERR_FORMAT, "'%s' is no key", s);
        press(p, &k);
    }
    return true;
}

static bool play_type(Player *p, const char *s, Err *err)
{
    size_t n = strlen(s);
    (void)err;
    while (n > 0) {
        KeyEvent k = {0};
        size_t len = (size_t)utf8_next(s, n, &k.key);
        press(p, &k);
        s += len;
        n -= len;
    }
    return true;
}

static bool play_paste(Player *p, const char *s, Err *err)
{
    Str t;
    str_init(&t);
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] == 'n') {
            str_addc(&t, '\n');
            s++;
        } else {
            str_addc(&t, *s);
        }
    }
    bool ok = str_ok(&t, err);
    KeyEvent k = {.key = K_PASTE, .text = t.s, .n = t.len};
    if (ok)
        press(p, &k);
    str_done(&t);
    return ok;
}

static bool screen_has(Player *p, const char *text)
{
    Str t;
    str_init(&t);
    ui_draw(&p->link.ui);
    grid_plain(&p->link.ui.grid, &t);
    bool has = t.s && strstr(t.s, text);
    str_done(&t);
    return has;
}

static bool play_wait(Player *p, const char *what, Err *err)
{
    double end = clock_now() + DEADLINE;
    bool idle = strcmp(what, "idle") == 0;
    int calm = 0;
    for (;;) {
        look(p);
        calm = link_idle(&p->link) ? calm + 1 : 0;
        if (idle ? calm >= 3 : screen_has(p, what))
            return true;
        if (clock_now() > end)
            return err_set(err, ERR_STATE, "waited %g s for '%s'", DEADLINE, what);
        doze(p);
    }
}

static bool play_resize(Player *p, const char *s, Err *err)
{
    int rows, cols;
    if (sscanf(s, "%d %d", &rows, &cols) != 2 || rows < 1 || cols < 1)
        return err_set(err, ERR_FORMAT, "resize needs rows and columns");
    bool ok = ui_resize(&p->link.ui, rows, cols, err);
    if (ok)
        ui_draw(&p->link.ui);
    return ok;
}

static bool put(Player *p, const char *title, bool colours, Err *err)
{
    Ui *u = &p->link.ui;
    Str t;
    str_init(&t);
    for (look(p); u->n_held > 0; look(p)) /* keys that wait for the kernel */
        doze(p);
    ui_draw(u);
    str_addf(&t, "--- %s (%d x %d, cursor %d %d)\n", title, u->grid.rows, u->grid.cols,
             u->cursor_row, u->cursor_col);
    if (colours)
        grid_print(&u->grid, p->level, &t);
    else
        grid_plain(&u->grid, &t);
    bool ok = str_ok(&t, err);
    if (ok && fwrite(t.s, 1, t.len, stdout) != t.len)
        ok = err_set(err, ERR_IO, "cannot write to the standard output");
    str_done(&t);
    return ok;
}

static bool play_dump(Player *p, const char *title, Err *err)
{
    return put(p, title, false, err);
}

static bool play_paint(Player *p, const char *title, Err *err)
{
    return put(p, title, true, err);
}

static const struct {
    const char *name;
    bool (*play)(Player *, const char *, Err *);
} words[] = {
    {"keys",   play_keys  },
    {"type",   play_type  },
    {"paste",  play_paste },
    {"wait",   play_wait  },
    {"resize", play_resize},
    {"dump",   play_dump  },
    {"paint",  play_paint },
};

static bool play_line(Player *p, const char *line, Err *err)
{
    size_t n = strcspn(line, " ");
    if (n == 0 || line[0] == '#')
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].name) == n && strncmp(words[i].name, line, n) == 0) {
            bool ok = words[i].play(p, line + n + (line[n] == ' '), err);
            return ok || err_prefix(err, "%s:%d", p->file, p->line);
        }
    }
    return err_set(err, ERR_FORMAT,
                   "%s:%d: '%s' is none of keys, type, paste, wait, "
                   "resize, dump and paint",
                   p->file, p->line, line);
}

static bool play(Player *p, char *text, Err *err)
{
    p->line = 0;
    for (char *s = text; s && *s && !p->link.ui.leave;) {
        char *end = strchr(s, '\n');
        if (end)
            *end = '\0';
        p->line++;
        if (!play_line(p, s, err))
            return false;
        s = end ? end + 1 : NULL;
    }
    return true;
}

Exit scripted_run(Client *taken, const DrawStyle *draw, const char *script, int rows,
                  int cols)
{
    Player p = {.level = draw->level, .file = script};
    Err err = {0};
    char *text = NULL;
    size_t n;
    bool ok = file_read_all(script, SCRIPT_MAX, &text, &n, &err);
    if (!ok)
        client_close(taken);
    ok = ok && link_open(&p.link, taken, draw, false, &err);
    if (ok) {
        p.link.ui.still = true;
        ok = ui_resize(&p.link.ui, rows, cols, &err);
    }
    if (ok) {
        link_catch_up(&p.link);
        ui_draw(&p.link.ui);
        ok = play(&p, text, &err);
        link_flush(&p.link);
    }
    link_close(&p.link);
    mem_free(text);
    return ok && fflush(stdout) == 0 ? EXIT_OK
                                     : command_fail(EXIT_SCRIPT, "%s", err.msg);
}
