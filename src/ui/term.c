/* term.c -- for plain printing, setupterm() and the tiget calls only: no initscr(), so
 * nothing is sent. For the screen, newterm(), which fails where initscr() would exit.
 * Keys are read from a 1 x 1 pad: reading from a window would refresh it first. Escape
 * sequences that curses does not know are taken apart here, so that an unknown one is
 * dropped and never typed into a text. */
#define NCURSES_WIDECHAR 1
#include "ui/term.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

/* Terminals whose descriptions come in packages of their own, or in none. */
static const char *const modern[] = {"xterm-",  "foot",    "wezterm", "alacritty",
                                     "ghostty", "contour", "rio"};

static bool is_modern(const char *name)
{
    for (size_t i = 0; i < sizeof modern / sizeof modern[0]; i++) {
        if (strncmp(name, modern[i], strlen(modern[i])) == 0)
            return true;
    }
    return false;
}

static bool has_text(const char *capability)
{
    char *s = tigetstr(capability);
    return s && s != (char *)-1 && s[0];
}

TermInfo term_info(int fd)
{
    TermInfo t = {0};
    int status;
    char *name = getenv("TERM");
    if (!name || !name[0])
        return t;
    t.known = setupterm(name, fd, &status) == OK;
    if (!t.known && is_modern(name))
        t.known = setupterm("xterm-256color", fd, &status) == OK;
    if (!t.known)
        return t;
    int n = tigetnum("colors");
    t.colors = n > 0 ? n : 0;
    t.rgb = tigetflag("RGB") > 0 || tigetnum("RGB") > 0 || has_text("RGB") ||
            t.colors >= 1 << 24;
    t.can_reverse = has_text("rev");
    t.can_move = has_text("cup");
    del_curterm(set_curterm(NULL));
    return t;
}

int term_width(int fd)
{
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    const char *s = getenv("COLUMNS");
    int n = s ? atoi(s) : 0;
    return n > 0 && n <= 10000 ? n : 80;
}

/* --- the screen ------------------------------------------------------------------- */

enum { ESCAPE_MS = 25, PASTE_MAX = 16 << 20, MAX_CSI = 32 };
static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";

static struct {
    SCREEN *screen;
    WINDOW *keys;
    bool direct, xterm, mouse, cursor_on;
    bool pasting;
    Str paste;
    int back[8]; /* characters that were read too far, last first */
    int n_back;
} term;

static void raw_write(const char *s, size_t n)
{
    fflush(stdout);
    while (n > 0) {
        ssize_t got = write(STDOUT_FILENO, s, n);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (got > 0) {
            s += got;
            n -= (size_t)got;
        }
    }
}

static bool like_xterm(const char *name)
{
    static const char *const known[] = {
        "xterm", "tmux",      "screen",  "rxvt",    "st-",     "vte", "foot",
        "kitty", "alacritty", "wezterm", "ghostty", "contour", "rio"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strncmp(name, known[i], strlen(known[i])) == 0)
            return true;
    }
    return false;
}

static void set_modes(void)
{
    raw();
    noecho();
    nonl();
    curs_set(0);
    term.cursor_on = false;
    if (term.xterm)
        raw_write(paste_on, sizeof paste_on - 1);
}

bool term_open(TermScreen *out, Err *err)
{
    const char *name = getenv("TERM");
    *out = (TermScreen){0};
    if (!name || !name[0])
        return err_set(err, ERR_STATE, "TERM is not set");
    /* curses would wait a second for the rest of an escape sequence */
    set_escdelay(ESCAPE_MS);
    term.screen = newterm(name, stdout, stdin);
    if (!term.screen && is_modern(name)) {
        term.screen = newterm("xterm-256color", stdout, stdin);
        out->stand_in = term.screen != NULL;
    }
    if (!term.screen)
        return err_set(err, ERR_STATE, "no description of the terminal '%s'", name);
    set_term(term.screen);
    if (!has_text("cup")) {
        endwin();
        delscreen(term.screen);
        term.screen = NULL;
        return err_set(err, ERR_STATE, "the terminal '%s' cannot move its cursor",
                       name);
    }
    if (has_colors()) {
        start_color();
        use_default_colors();
        out->colors = COLORS;
    }
    term.direct = out->direct = out->colors >= 1 << 24;
    term.xterm = out->xterm = like_xterm(name);
    term.keys = newpad(1, 1);
    keypad(term.keys, TRUE);
    nodelay(term.keys, TRUE);
    set_modes();
    leaveok(stdscr, FALSE);
    str_init(&term.paste);
    out->rows = LINES;
    out->cols = COLS;
    return true;
}

void term_close(void)
{
    if (!term.screen)
        return;
    term_mouse(false);
    if (term.xterm)
        raw_write(paste_off, sizeof paste_off - 1);
    curs_set(1);
    endwin();
    delwin(term.keys);
    delscreen(term.screen);
    str_done(&term.paste);
    memset(&term, 0, sizeof term);
}

void term_leave(void)
{
    if (term.xterm)
        raw_write(paste_off, sizeof paste_off - 1);
    curs_set(1);
    def_prog_mode();
    endwin();
}

void term_return(void)
{
    reset_prog_mode();
    set_modes();
    clearok(curscr, TRUE);
    if (term.mouse)
        term_mouse(true);
}

void term_resize(int *rows, int *cols)
{
    struct winsize w;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0)
        resizeterm(w.ws_row, w.ws_col);
    *rows = LINES;
    *cols = COLS;
    clearok(curscr, TRUE);
}

static int colour_of(int32_t c)
{
    if (c == GRID_DEFAULT)
        return -1;
    if (term.direct)
        return (int)grid_true(c);
    return c < COLORS ? (int)c : -1;
}

void term_put(int row, int col, const GridCell *cell, int n)
{
    for (int i = 0; i < n; i++) {
        const GridCell *c = &cell[i];
        wchar_t text[2] = {(wchar_t)c->rune, 0};
        cchar_t cc;
        attr_t attr = A_NORMAL;
        int pair = 0;
        if (c->rune == 0)
            continue; /* came with its left half */
        if (c->attr & CELL_BOLD)
            attr |= A_BOLD;
        if (c->attr & CELL_REVERSE)
            attr |= A_REVERSE;
        if (c->attr & CELL_DIM)
            attr |= A_DIM;
        if (c->fg != GRID_DEFAULT || c->bg != GRID_DEFAULT)
            pair = alloc_pair(colour_of(c->fg), colour_of(c->bg));
        setcchar(&cc, text, attr, 0, &pair);
        mvadd_wch(row, col + i, &cc);
    }
}

void term_show(int row, int col)
{
    bool on = row >= 0;
    if (on != term.cursor_on) {
        curs_set(on);
        term.cursor_on = on;
    }
    move(on ? row : 0, on ? col : 0);
    wnoutrefresh(stdscr);
    doupdate();
}

void term_redraw(void)
{
    clearok(curscr, TRUE);
}

void term_mouse(bool on)
{
    if (on == term.mouse && on)
        term.mouse = false;
    if (on == term.mouse)
        return;
    term.mouse = on;
    mousemask(on ? BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED
                 : 0,
              NULL);
    mouseinterval(0);
}

/* --- the keyboard ----------------------------------------------------------------- */

/* One character or curses key (with *is_key); -1: none has come. */
static int next_char(bool *is_key)
{
    wint_t c;
    *is_key = false;
    if (term.n_back > 0)
        return term.back[--term.n_back];
    int got = wget_wch(term.keys, &c);
    if (got == ERR)
        return -1;
    *is_key = got == KEY_CODE_YES;
    return (int)c;
}

static Key curses_key(int c)
{
    static const struct {
        int code;
        Key key;
    } map[] = {
        {KEY_UP,        K_UP             },
        {KEY_DOWN,      K_DOWN           },
        {KEY_LEFT,      K_LEFT           },
        {KEY_RIGHT,     K_RIGHT          },
        {KEY_HOME,      K_HOME           },
        {KEY_END,       K_END            },
        {KEY_PPAGE,     K_PGUP           },
        {KEY_NPAGE,     K_PGDN           },
        {KEY_BACKSPACE, K_BACKSPACE      },
        {KEY_DC,        K_DELETE         },
        {KEY_IC,        K_INSERT         },
        {KEY_BTAB,      K_TAB | K_SHIFT  },
        {KEY_ENTER,     K_ENTER          },
        {KEY_SLEFT,     K_LEFT | K_SHIFT },
        {KEY_SRIGHT,    K_RIGHT | K_SHIFT},
    };
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (map[i].code == c)
            return map[i].key;
    }
    if (c >= KEY_F(1) && c <= KEY_F(12))
        return K_F1 + (Key)(c - KEY_F(1));
    /* keys with modifiers have names: kLFT5 is Ctrl-Left, 3 is Alt, 2 Shift */
    static const struct {
        const char *name;
        Key key;
    } more[] = {
        {"kLFT", K_LEFT  },
        {"kRIT", K_RIGHT },
        {"kUP",  K_UP    },
        {"kDN",  K_DOWN  },
        {"kHOM", K_HOME  },
        {"kEND", K_END   },
        {"kDC",  K_DELETE}
    };
    const char *name = keyname(c);
    for (size_t i = 0; name && i < sizeof more / sizeof more[0]; i++) {
        size_t n = strlen(more[i].name);
        if (strncmp(name, more[i].name, n) != 0)
            continue;
        int m = atoi(name + n) - 1;
        return more[i].key | (m & 1 ? K_SHIFT : 0) | (m & 2 ? K_ALT : 0) |
               (m & 4 ? K_CTRL : 0);
    }
    return K_NONE;
}

static Key char_key(int c)
{
    switch (c) {
    case '\r': return K_ENTER;
    case '\t': return K_TAB;
    case 0x1B: return K_ESC;
    case 0x7F:
    case '\b': return K_BACKSPACE;
    case 0: return '@' | K_CTRL;
    default: break;
    }
    if (c < 27)
        return (Key)('a' + c - 1) | K_CTRL;
    if (c < ' ')
        return (Key)('@' + c) | K_CTRL;
    return (Key)c;
}

static Key with_modifiers(int code, int m)
{
    Key k = char_key(code);
    m = m > 0 ? m - 1 : 0;
    /* a letter's case says Shift already */
    return k | (m & 1 && k >= K_FIRST ? K_SHIFT : 0) | (m & 2 ? K_ALT : 0) |
           (m & 4 ? K_CTRL : 0);
}

static Key modifiers(int m)
{
    m = m > 0 ? m - 1 : 0;
    return (m & 1 ? K_SHIFT : 0) | (m & 2 ? K_ALT : 0) | (m & 4 ? K_CTRL : 0);
}

/* ESC [ n ~ as nearly all terminals send it, whatever their description says: many a
 * one comes over SSH with the name of a plainer one. */
static Key numbered_key(int n)
{
    static const Key first[] = {[1] = K_HOME, [2] = K_INSERT, [3] = K_DELETE,
                                [4] = K_END,  [5] = K_PGUP,   [6] = K_PGDN,
                                [7] = K_HOME, [8] = K_END};
    if (n >= 1 && n <= 8)
        return first[n];
    if (n >= 11 && n <= 15)
        return K_F1 + (Key)(n - 11);
    if (n >= 17 && n <= 21)
        return K_F1 + (Key)(n - 12);
    return n == 23 || n == 24 ? K_F1 + (Key)(n - 13) : K_NONE;
}

/* The last letter of ESC [ A and ESC O A. */
static Key lettered_key(int c)
{
    switch (c) {
    case 'A': return K_UP;
    case 'B': return K_DOWN;
    case 'C': return K_RIGHT;
    case 'D': return K_LEFT;
    case 'H': return K_HOME;
    case 'F': return K_END;
    case 'M': return K_ENTER;
    case 'Z': return K_TAB | K_SHIFT;
    default: return c >= 'P' && c <= 'S' ? K_F1 + (Key)(c - 'P') : K_NONE;
    }
}

/* Behind ESC [ : up to the final byte. Knows the two forms that modern terminals use
 * for Shift-Enter and the like, the brackets of a paste, the usual keys, and drops the
 * rest. */
static Key take_csi(void)
{
    char text[MAX_CSI] = "";
    int n = 0, c, a = 0, b = 0, d = 0;
    bool is_key;
    do {
        c = next_char(&is_key);
        if (c < 0 || is_key)
            return K_NONE;
        if (n < MAX_CSI - 1)
            text[n++] = (char)c;
    } while (c < 0x40 || c > 0x7E);
    text[n] = '\0';
    if (strcmp(text, "200~") == 0) {
        term.pasting = true;
        str_clear(&term.paste);
        keypad(term.keys, FALSE);
        return K_NONE;
    }
    if (c == 'u' && sscanf(text, "%d;%d", &a, &b) >= 1)
        return with_modifiers(a, b);
    if (c == '~' && sscanf(text, "%d;%d;%d", &a, &b, &d) == 3 && a == 27)
        return with_modifiers(d, b);
    bool numbered = c == '~';
    sscanf(text, "%d;%d", &a, &b);
    Key k = numbered ? numbered_key(a) : c != 'M' ? lettered_key(c) : K_NONE;
    return k == K_NONE ? K_NONE : k | modifiers(b);
}

static Key take_escape(void)
{
    bool is_key;
    int c = next_char(&is_key);
    if (c < 0)
        return K_ESC;
    if (is_key)
        return curses_key(c) | K_ALT;
    if (c == '[')
        return take_csi();
    if (c == 'O') { /* keypad keys that the description lacks */
        c = next_char(&is_key);
        return c < 0 ? 'O' | K_ALT : is_key ? K_NONE : lettered_key(c);
    }
    if (c == 0x1B) {
        term.back[term.n_back++] = c;
        return K_ESC;
    }
    return char_key(c) | K_ALT;
}

/* Goes on with a paste; true when its end has come. */
static bool take_paste(void)
{
    static const char end[] = "\033[201~";
    bool is_key;
    int c;
    while ((c = next_char(&is_key)) >= 0) {
        size_t n = term.paste.len;
        if (c == 3 && n == 0)
            break; /* Ctrl-C ends a paste whose end was lost */
        if (c == '\r')
            c = '\n';
        if (n < PASTE_MAX)
            str_add_rune(&term.paste, (uint32_t)c);
        n = term.paste.len;
        if (c == '~' && n >= sizeof end - 1 &&
            memcmp(term.paste.s + n - (sizeof end - 1), end, sizeof end - 1) == 0) {
            term.paste.len = n - (sizeof end - 1);
            term.paste.s[term.paste.len] = '\0';
            break;
        }
    }
    if (c < 0)
        return false;
    term.pasting = false;
    keypad(term.keys, TRUE);
    return true;
}

static Key take_mouse(KeyEvent *out)
{
    MEVENT m;
    if (getmouse(&m) != OK)
        return K_NONE;
    out->row = m.y;
    out->col = m.x;
    out->wheel = m.bstate & BUTTON4_PRESSED ? -1 : m.bstate & BUTTON5_PRESSED ? 1 : 0;
    return K_MOUSE;
}

static bool hung_up(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int n = 0;
    if (poll(&p, 1, 0) <= 0)
        return false;
    if (p.revents & (POLLHUP | POLLERR | POLLNVAL))
        return true;
    return (p.revents & POLLIN) && ioctl(STDIN_FILENO, FIONREAD, &n) == 0 && n == 0;
}

bool term_key(KeyEvent *out, bool *gone)
{
    *out = (KeyEvent){0};
    for (;;) {
        bool is_key;
        if (term.pasting) {
            if (!take_paste()) {
                *gone = *gone || hung_up();
                return false;
            }
            /* the text stays until the next paste begins */
            *out =
                (KeyEvent){.key = K_PASTE, .text = term.paste.s, .n = term.paste.len};
            return true;
        }
        int c = next_char(&is_key);
        if (c < 0) {
            *gone = *gone || hung_up();
            return false;
        }
        if (is_key && c == KEY_MOUSE)
            out->key = take_mouse(out);
        else if (is_key)
            out->key = curses_key(c);
        else
            out->key = c == 0x1B ? take_escape() : char_key(c);
        if (out->key != K_NONE)
            return true;
    }
}

/* --- the clipboard ---------------------------------------------------------------- */

bool term_clipboard(const char *text, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Str t;
    if (!term.xterm)
        return false;
    str_init(&t);
    str_add(&t, "\033]52;c;");
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)(unsigned char)text[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)(unsigned char)text[i + 1] << 8;
        if (i + 2 < n)
            v |= (unsigned char)text[i + 2];
        str_addc(&t, digits[v >> 18]);
        str_addc(&t, digits[v >> 12 & 63]);
        str_addc(&t, i + 1 < n ? digits[v >> 6 & 63] : '=');
        str_addc(&t, i + 2 < n ? digits[v & 63] : '=');
    }
    str_addc(&t, '\a');
    bool ok = !t.oom;
    if (ok)
        raw_write(t.s, t.len);
    str_done(&t);
    return ok;
}
