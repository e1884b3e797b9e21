/* term.c -- setupterm() and the tiget calls only: no initscr(), so nothing is sent. */
#include "ui/term.h"

#include <curses.h>
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
