/* find.c -- plain search: the texts are lines. */
#include "ui/find.h"

#include <string.h>

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : (unsigned char)c;
}

static bool has_upper(const char *s)
{
    for (; *s; s++) {
        if (*s >= 'A' && *s <= 'Z')
            return true;
    }
    return false;
}

size_t text_find(const char *s, size_t n, const char *what)
{
    size_t m = strlen(what);
    bool exact = has_upper(what);
    if (m == 0)
        return n;
    for (size_t i = 0; i + m <= n; i++) {
        size_t k = 0;
        while (k < m &&
               (exact ? s[i + k] == what[k] : lower(s[i + k]) == lower(what[k])))
            k++;
        if (k == m)
            return i;
    }
    return n;
}

int text_fuzzy(const char *s, const char *what)
{
    int score = 1, run = 0;
    char before = ' ';
    size_t n = strlen(s);
    if (!*what)
        return 1;
    size_t at = text_find(s, n, what);
    if (at < n) /* in one piece: best, at the start of a word still better */
        return 1000 + (at == 0 ? 200 : s[at - 1] == ' ' || s[at - 1] == '-' ? 100 : 0);
    for (; *s && *what; s++) {
        bool word = before == ' ' || before == '-' || before == '_' || before == '.';
        before = *s;
        if (lower(*s) != lower(*what)) {
            run = 0;
            continue;
        }
        score += 1 + run * 2 + (word ? 5 : 0);
        run++;
        what++;
    }
    return *what ? 0 : score;
}
