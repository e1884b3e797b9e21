/* err.c -- formatting goes through a buffer of its own, because callers may pass the
 * old message as an argument of the new one. A text that is too long is cut between
 * code points and ends in "..."; control characters other than newline and tab become
 * '?', so that bytes from a hostile file name cannot steer a terminal. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum { MSG_CAP = sizeof(((Err *)0)->msg) };

static void clean(char *msg)
{
    size_t n = strlen(msg);
    while (n > 0 && (msg[n - 1] == '\n' || msg[n - 1] == ' '))
        msg[--n] = '\0';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)msg[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            msg[i] = '?';
    }
}

static void cut(char *msg)
{
    size_t at = MSG_CAP - 4;
    while (at > 0 && ((unsigned char)msg[at] & 0xC0) == 0x80)
        at--;
    memcpy(msg + at, "...", 4);
}

static void format(char msg[MSG_CAP], const char *fmt, va_list ap)
{
    int n = vsnprintf(msg, MSG_CAP, fmt, ap);
    if (n < 0)
        snprintf(msg, MSG_CAP, "an error whose text could not be formatted");
    else if (n >= MSG_CAP)
        cut(msg);
    clean(msg);
}

bool err_vset(Err *err, ErrCode code, const char *fmt, va_list ap)
{
    char msg[MSG_CAP];
    if (!err)
        return false;
    format(msg, fmt, ap);
    err->code = code;
    memcpy(err->msg, msg, strlen(msg) + 1);
    return false;
}

bool err_set(Err *err, ErrCode code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    return false;
}

bool err_prefix(Err *err, const char *fmt, ...)
{
    char head[MSG_CAP];
    va_list ap;
    if (!err)
        return false;
    va_start(ap, fmt);
    format(head, fmt, ap);
    va_end(ap);
    return err_set(err, err->code, "%s: %s", head, err->msg);
}

void err_clear(Err *err)
{
    if (!err)
        return;
    err->code = ERR_NONE;
    err->msg[0] = '\0';
}

const char *err_code_name(ErrCode code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",       [ERR_OPTION] = "option",
        [ERR_SHAPE] = "shape",     [ERR_FORMAT] = "format",
        [ERR_IO] = "io",           [ERR_MEMORY] = "memory",
        [ERR_NUMERIC] = "numeric", [ERR_STATE] = "state",
        [ERR_INTERRUPT] = "interrupt", [ERR_SCRIPT] = "script",
    };
    if ((size_t)code >= ARRAY_LEN(names))
        return "unknown";
    return names[code];
}
