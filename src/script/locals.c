/* locals.c -- top-level locals of a chunk stay visible to later chunks. At block depth 0
 * the word `local` is replaced by blanks (columns and lines are kept), a declaration
 * without a value gets "=nil" after its names, and a declaration with an attribute
 * (<const>, <close>) is left alone. A first
 * line "#!..." becomes a comment, and a byte order mark is dropped, as Lua does for
 * files. A text that is not Lua is copied as it is: the compiler reports it better
 * than we could. */
#include <string.h>

#include "script/lb.h"
#include "script/lualex.h"

/* After `local`: true when the word may be blanked. *names_end is where "=nil"
 * belongs, or 0. */
static bool can_blank(Lex l, size_t *names_end)
{
    *names_end = 0;
    if (lex_next_code(&l) && lex_is(&l, "function"))
        return true;
    while (l.kind == LEX_NAME) {
        *names_end = l.to;
        lex_next_code(&l);
        if (lex_is(&l, "<"))
            return false;
        if (!lex_is(&l, ","))
            break;
        lex_next_code(&l);
    }
    if (lex_is(&l, "="))
        *names_end = 0;
    return true;
}

bool locals_keep(const char *text, size_t n, Str *out, Err *err)
{
    Lex l;
    int depth = 0;
    lex_start(&l, text, n);
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        l.pos = 3;
    if (l.pos + 1 < n && text[l.pos] == '#' && text[l.pos + 1] == '!') {
        while (l.pos < n && text[l.pos] != '\n')
            l.pos++;
        str_add(out, "--");
    }
    size_t done = l.pos;
    while (lex_next_code(&l)) {
        depth += l.kind == LEX_KEYWORD ? lex_depth(&l) : 0;
        size_t names_end;
        if (depth != 0 || l.kind != LEX_KEYWORD || !lex_is(&l, "local") ||
            !can_blank(l, &names_end))
            continue;
        str_addn(out, text + done, l.from - done);
        str_add(out, "     ");
        done = l.to;
        if (names_end) {
            str_addn(out, text + done, names_end - done);
            str_add(out, "=nil");
            done = names_end;
            l.pos = names_end;
        }
    }
    str_addn(out, text + done, n - done);
    return str_ok(out, err);
}
