/* The lexer agrees with Lua on what ends where, finished or not, and covers every
 * byte. */
#include "script/lualex.h"

#include "script/script.h"
#include "support.h"

static void tokens(const char *lua, const char *want)
{
    static const char letter[] = "?NKnsco";
    char got[400] = "";
    Lex l;
    lex_start(&l, lua, strlen(lua));
    while (lex_next(&l)) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%s%c%s%.*s", at ? " " : "", letter[l.kind],
                 l.open ? "!" : "", (int)(l.to - l.from), lua + l.from);
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s\n got: %s\nwant: %s", lua, got, want);
}

static void kinds(void **state)
{
    (void)state;
    tokens("local x = 1.5e-3", "Klocal Nx o= n1.5e-3");
    tokens("a..b ... a.b::c", "Na o.. Nb o... Na o. Nb o:: Nc");
    tokens("x<=y~=z//2>>1", "Nx o<= Ny o~= Nz o// n2 o>> n1");
    tokens("'a\\'b' \"c\\\\\" d", "s'a\\'b' s\"c\\\\\" Nd");
    tokens("[[a]]b]] [==[x]=]]==] y", "s[[a]] Nb o] o] s[==[x]=]]==] Ny");
    tokens("a[1] [ [", "Na o[ n1 o] o[ o[");
    tokens("-- one\n--[[ two\n]] x --[=[ open",
           "c-- one c--[[ two\n]] Nx c!--[=[ open");
    tokens("--[x\ny", "c--[x Ny");
    tokens("'open\nx", "s!'open Nx");
    tokens("'line\\\nnext' x", "s'line\\\nnext' Nx");
    tokens("'z\\z \n  end' x", "s'z\\z \n  end' Nx");
    tokens("0xA.8p+3 1..2 .5 3e+", "n0xA.8p+3 n1 o.. n2 n.5 n3e+");
    tokens("[[open", "s![[open");
    tokens("function_ end_ and1 end", "Nfunction_ Nend_ Nand1 Kend");
    tokens("\xC3\xA9 @", "o\xC3 o\xA9 o@");
    tokens("", "");
}

static void every_byte_once(void **state)
{
    (void)state;
    unsigned seed = 1;
    static const char alphabet[] = "ab1 .\"'[]=-\\\nz\r{}x%e+";
    for (int round = 0; round < 20000; round++) {
        char s[40];
        size_t n = 0, at = 0;
        Lex l;
        for (n = 0; n < sizeof s; n++) {
            seed = seed * 1103515245u + 12345u;
            s[n] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        lex_start(&l, s, n);
        while (lex_next(&l)) {
            assert_true(l.from >= at && l.to > l.from && l.to <= n);
            for (; at < l.from; at++)
                assert_non_null(strchr(" \t\r\n\v\f", s[at]));
            at = l.to;
        }
        for (; at < n; at++)
            assert_non_null(strchr(" \t\r\n\v\f", s[at]));
    }
}

static void wants_more(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool more;
    } cases[] = {
        {"for i = 1, 2 do", true },
        {"x = 1",           false},
        {"1 +",             true },
        {"x",               false},
        {"x = [[a",         true },
        {"x = )",           false},
        {"f(",              true },
        {"x = 'open\n",     false},
        {"",                false},
        {"return 1",        false},
        {"function f()",    true },
        {"--[[ a",          true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (script_wants_more(cases[i].text, strlen(cases[i].text)) != cases[i].more)
            fail_msg("'%s'", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(every_byte_once),
        cmocka_unit_test(wants_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
