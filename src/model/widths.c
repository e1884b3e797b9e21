/* widths.c -- lists of sizes as text: "500,128". One option then covers any depth. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/rows.h"

bool model_widths(const char *text, const char *option, int cap, int64_t *size, int *n,
                  Err *err)
{
    const char *s = text + strspn(text, " ");
    *n = 0;
    while (*s) {
        char *end;
        errno = 0;
        long long h = strtoll(s, &end, 10);
        if (end == s || errno || h < 1 || h > MODEL_MAX_SIZE)
            return err_set(err, ERR_OPTION,
                           "'%s' is '%s'; it must be widths from 1 to %d separated by "
                           "commas, as in '500,128'",
                           option, text, MODEL_MAX_SIZE);
        if (*n == cap)
            return err_set(err, ERR_OPTION, "'%s' has more than %d layers", option,
                           cap);
        size[(*n)++] = h;
        s = end + strspn(end, " ");
        if (*s == ',' && s[1 + strspn(s + 1, " ")])
            s++;
        else if (*s)
            return err_set(err, ERR_OPTION,
                           "'%s' is '%s'; '%s' is not expected after %lld", option,
                           text, s, h);
    }
    return true;
}
