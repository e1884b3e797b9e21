/* style.c -- the level is the least that terminal, environment and locale agree on:
 * half blocks need UTF-8, so 256 colours without it are drawn as ASCII in 16. */
#include "ui/style.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ui/term.h"

enum { MIN_WIDTH = 20, MAX_WIDTH = 2000 };

static const char *variable(const char *name)
{
    const char *s = getenv(name);
    return s ? s : "";
}

void style_locale(void)
{
    if (setlocale(LC_CTYPE, ""))
        return;
    const char *names[] = {variable("LC_ALL"), variable("LC_CTYPE"), variable("LANG")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!names[i][0])
            continue; /* the first that is set decides */
        if (strcasestr(names[i], "utf-8") || strcasestr(names[i], "utf8"))
            setlocale(LC_CTYPE, "C.UTF-8");
        return;
    }
}

bool style_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static bool says_truecolor(void)
{
    const char *s = variable("COLORTERM");
    /* GNU screen passes the variable on but not the colours */
    return (strcmp(s, "truecolor") == 0 || strcmp(s, "24bit") == 0) &&
           strncmp(variable("TERM"), "screen", 6) != 0;
}

static Level level_of(const TermInfo *t, bool utf8)
{
    if (variable("NO_COLOR")[0] || t->colors < 8)
        return LEVEL_MONO;
    if (t->colors < 256 || !utf8)
        return LEVEL_ANSI;
    return t->rgb || says_truecolor() ? LEVEL_TRUE : LEVEL_256;
}

/* "fg;bg" as some terminals export it: 7 and 9 to 15 are light backgrounds. */
static bool light_background(void)
{
    const char *s = strrchr(variable("COLORFGBG"), ';');
    if (!s || !s[1])
        return false;
    int bg = atoi(s + 1);
    return bg == 7 || bg > 8;
}

static Stream stream_of(int fd, const TermInfo *t)
{
    Stream s = {.fd = fd, .tty = isatty(fd) == 1, .utf8 = style_utf8()};
    s.escapes = s.tty && t->known && t->can_reverse;
    return s;
}

void style_resize(PrintStyle *st)
{
    st->out.width = st->width > 0 ? st->width : term_width(st->out.fd);
    st->err.width = term_width(st->err.fd);
    int w = st->out.width;
    st->draw.width = w < MIN_WIDTH ? MIN_WIDTH : w > MAX_WIDTH ? MAX_WIDTH : w;
}

bool style_detect(const char *level, int width, PrintStyle *st, Err *err)
{
    TermInfo t = {0};
    *st = (PrintStyle){.width = width};
    if (isatty(STDOUT_FILENO) || isatty(STDERR_FILENO))
        t = term_info(isatty(STDOUT_FILENO) ? STDOUT_FILENO : STDERR_FILENO);
    st->out = stream_of(STDOUT_FILENO, &t);
    st->err = stream_of(STDERR_FILENO, &t);
    st->draw.utf8 = st->out.utf8;
    st->draw.light = light_background();
    st->draw.level = st->out.tty ? level_of(&t, st->out.utf8) : LEVEL_MONO;
    style_resize(st);
    if (!level || !level[0])
        return true;
    if (!level_parse(level, &st->draw.level))
        return err_set(err, ERR_OPTION,
                       "unknown level '%s'; there are mono, ansi, 256 and true", level);
    st->draw.utf8 = st->draw.utf8 || st->draw.level >= LEVEL_256;
    st->forced = st->draw.level != LEVEL_MONO;
    return true;
}

static bool is_format_control(uint32_t r)
{
    return (r >= 0x200B && r <= 0x200F) || (r >= 0x202A && r <= 0x202E) ||
           (r >= 0x2060 && r <= 0x206F) || r == 0x2028 || r == 0x2029 || r == 0xFEFF ||
           (r >= 0xE0000 && r <= 0xE0FFF);
}

/* Bytes a code point that starts with this byte should have. */
static size_t wanted(unsigned char lead)
{
    return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
}

static bool cut_off(const char *s, size_t n)
{
    if (n >= wanted((unsigned char)s[0]))
        return false;
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xC0) != 0x80)
            return false;
    }
    return true;
}

static void show_rune(const Stream *s, uint32_t r, const char *bytes, size_t n,
                      Str *out)
{
    if (r == '\n' || r == '\t' || (r >= 0x20 && r < 0x7F))
        str_addc(out, (char)r);
    else if (r < 0x20 || r == 0x7F)
        str_addf(out, "^%c", (char)(r ^ 0x40));
    else if (!s->utf8)
        str_addc(out, '?');
    else if (r < 0xA0 || is_format_control(r))
        str_add_rune(out, 0xFFFD);
    else if (r == 0xFFFD)
        str_add_rune(out, r);
    else
        str_addn(out, bytes, n);
}

size_t style_text(const Stream *s, const char *text, size_t n, bool last, Str *out)
{
    size_t at = 0;
    if (!s->tty) {
        str_addn(out, text, n);
        return n;
    }
    while (at < n) {
        uint32_t rune;
        bool crlf = text[at] == '\r' && at + 1 < n && text[at + 1] == '\n';
        if (!last && (cut_off(text + at, n - at) || (text[at] == '\r' && at + 1 == n)))
            break;
        int used = utf8_next(text + at, n - at, &rune);
        if (!crlf)
            show_rune(s, rune, text + at, (size_t)used, out);
        at += (size_t)used;
    }
    return at;
}
