/* The notebook starts everywhere: every TERM x locale x NO_COLOR x size of the tables,
 * two at a time, each of the two with a home and a session of its own. Of each the
 * first screen is looked at: it is not blank, has no forbidden colour or character, and
 * names what it fell back to. Writes TAP. Usage: start CLEAVE FOLDER ["show"]. */
#include "term.h"

typedef struct TermCase {
    const char *term;
    const char *level; /* on the status bar; NULL: lines only */
    const char *why;   /* for lines only */
} TermCase;
static const TermCase terms[] = {
    {"xterm-256color", "256c",  NULL                          },
    {"tmux-256color",  "256c",  NULL                          },
    {"screen",         "8c",    NULL                          },
    {"linux",          "8c",    NULL                          },
    {"vt100",          "mono",  NULL                          },
    {"xterm-direct",   "24bit", NULL                          },
    {"dumb",           NULL,    "cannot move its cursor"      },
    {"nonsense",       NULL,    "nothing is known about"      },
    {"",               NULL,    "TERM is not set"             },
    {"xterm-of-2031",  "256c",  "TERM unknown, taken as xterm"},
};
static const struct {
    const char *name;
    bool utf8; /* what it comes to */
} locales[] = {
    {"C",           false},
    {"C.UTF-8",     true },
    {"xx_XX.UTF-8", true }  /* not installed: C.UTF-8 takes its place */
};
static const int sizes[][2] = {
    {5,   20 },
    {24,  80 },
    {48,  160},
    {100, 300}
};
enum {
    N_TERMS = sizeof terms / sizeof terms[0],
    N_LOCALES = sizeof locales / sizeof locales[0],
    N_SIZES = sizeof sizes / sizeof sizes[0],
    N_ALL = N_TERMS * N_LOCALES * 2 * N_SIZES
};
static Term t;
static bool show;

static const char *at_last_rows(char *dst, size_t cap)
{
    size_t n = 0;
    for (int r = t.rows - 2; r < t.rows && n + 1300 < cap; r++) {
        row_text(&t, r, dst + n, cap - n);
        n = strlen(dst);
    }
    return dst;
}

static bool bytes_are_ascii(void)
{
    for (long i = 0; i < t.bytes && i < RAW; i++) {
        if ((unsigned char)t.raw[i] > 0x7E)
            return false;
    }
    return true;
}

/* An escape sequence that sets a colour. */
static bool has_colours(void)
{
    for (long i = 0; i + 2 < t.bytes && i + 2 < RAW; i++) {
        if (t.raw[i] != 033 || t.raw[i + 1] != '[')
            continue;
        long at = i + 2;
        int n = 0;
        for (; at < t.bytes && strchr("0123456789;:", t.raw[at]); at++) {
            if (t.raw[at] < '0' || t.raw[at] > '9') {
                n = 0;
                continue;
            }
            n = n * 10 + (t.raw[at] - '0');
            bool ends = strchr(";:m", t.raw[at + 1]) != NULL;
            if (ends &&
                ((n >= 30 && n <= 37) || n == 38 || (n >= 40 && n <= 47) || n == 48) &&
                memchr(t.raw + at, 'm', 12))
                return true;
        }
    }
    return false;
}

/* What is wrong with the first screen; NULL: nothing. */
static const char *wrong(const TermCase *c, bool utf8, bool no_color)
{
    char bar[8192];
    if (!c->level) {
        if (!term_has(&t, "lines only") && t.cols > 70)
            return "does not say that it shows lines only";
        if (t.cols > 70 && !term_has(&t, c->why))
            return "does not say why";
        return memchr(t.raw, 033, (size_t)t.bytes) ? "sends escape sequences" : NULL;
    }
    at_last_rows(bar, sizeof bar);
    if (!term_has(&t, "hi") && t.rows > 5)
        return "the cell is not there";
    /* the levels above 8 colours draw with half blocks, which need UTF-8 */
    const char *level = no_color                                ? "mono"
                        : utf8 || strcmp(c->level, "mono") == 0 ? c->level
                                                                : "8c";
    if (!strstr(bar, level))
        return "the status bar does not name the level";
    if (!utf8 && !strstr(bar, "ascii"))
        return "the status bar does not say ASCII";
    if (!utf8 && !bytes_are_ascii())
        return "sends what the locale has not";
    if (t.cols > 70 && no_color && strcmp(c->level, "mono") != 0 && !c->why &&
        !strstr(bar, "NO_COLOR"))
        return "NO_COLOR is not named";
    if (t.cols > 70 && c->why && !strstr(bar, c->why))
        return "the status bar does not say why";
    if ((no_color || strcmp(c->level, "mono") == 0) && has_colours())
        return "sends colours";
    return NULL;
}

static bool starts(int i)
{
    const TermCase *c = &terms[i % N_TERMS];
    int k = i / N_TERMS % N_LOCALES, no_color = i / N_TERMS / N_LOCALES % 2;
    const int *size = sizes[i / N_TERMS / N_LOCALES / 2];
    Env e = {c->term, locales[k].name, no_color ? "1" : NULL};
    term_open(&t, size[0], size[1], &e, "small.lua");
    const char *why = NULL;
    if (!term_wait(&t, c->level ? "CMD" : ">"))
        why = "no screen";
    double end = now() + 3; /* the rest of the screen may still be on its way */
    while (!why && term_read(&t, 20))
        ;
    bool shown = !why;
    while (shown && (why = wrong(c, locales[k].utf8, no_color)) && now() < end)
        term_read(&t, 100);
    if (why || show)
        term_show(&t);
    term_send(&t, c->level ? "q" : ":quit\r");
    int code = term_ended(&t, 5);
    if (!why && code != 0)
        why = "does not end well";
    if (why)
        printf("# TERM=%s LC_ALL=%s%s %d x %d: %s (status %d)\n", c->term,
               locales[k].name, no_color ? " NO_COLOR" : "", size[1], size[0], why,
               code);
    fflush(stdout);
    term_close(&t);
    return !why;
}

/* Every other combination; the number that were good is the status (at most 255). */
static void worker(int odd)
{
    int good = 0;
    char home[16];
    snprintf(home, sizeof home, "half%d", odd);
    mkdir(home, 0700);
    home_in(home);
    put_file("small.lua", "-- %% hello\nprint('hi')\n");
    for (int i = odd; i < N_ALL; i += 2)
        good += starts(i);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, "cleave", "kill", "small", (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    _exit(good);
}

int main(int argc, char **argv)
{
    pid_t pid[2];
    int good = 0;
    if (argc < 3 || chdir(argv[2]) != 0) {
        fprintf(stderr, "usage: start CLEAVE FOLDER [show]\n");
        return 2;
    }
    program = argv[1];
    show = argc > 3;
    double from = now();
    for (int i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            worker(i);
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        waitpid(pid[i], &status, 0);
        good += WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    }
    printf("# %.1f s\n", now() - from);
    ok(good == N_ALL,
       "a good first screen on every terminal, locale and size, with and "
       "without NO_COLOR: %d of %d",
       good, (int)N_ALL);
    printf("1..%d\n", n_tests);
    return n_failed > 0;
}
