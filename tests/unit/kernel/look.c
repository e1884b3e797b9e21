/* Where an option table stands in a half-typed text. */
#include "support.h"

#include "kernel/look.h"

static void place(const char *text, const char *callee, const char *key, bool names)
{
    OptionPlace p;
    bool any = option_place(text, strlen(text), &p);
    if (any != (callee != NULL))
        fail_msg("%s: %s", text, any ? p.callee : "no place");
    if (!any)
        return;
    assert_string_equal(p.callee, callee);
    assert_string_equal(p.key, key);
    assert_int_equal(p.names, names);
}

static void tables_of_calls(void **state)
{
    (void)state;
    place("cl.train(net, d, { ", "cl.train", "", true);
    place("cl.train(net, d, { lr = ", "cl.train", "lr", false);
    place("cl.train(net, d, { lr = 1e-3, ", "cl.train", "", true);
    place("cl.train(net, d, { lr = 1e-3; ", "cl.train", "", true);
    place("net:fit{", "net:fit", "", true);
    place("a.b.c:d { x = { 1, 2 }, ", "a.b.c:d", "", true);
    place("f({ a = g(1), ", "f", "", true);
    place("f({ a = function() return { 1 } end, ", "f", "", true);
    place("f({ -- {\n ", "f", "", true);
    place("f({ [1] = 2, ", "f", "", true);
    place("local t = { ", NULL, "", false);
    place("f(a, ", NULL, "", false);
    place("f({ a = { ", NULL, "", false);
    place("f({}) { ", NULL, "", false);
    place("f({ a ", NULL, "", false);
    place("f'x' { ", NULL, "", false);
    place("} ) ] { ", NULL, "", false);
    place("", NULL, "", false);
}

/* Nothing that is typed leads outside its buffers (run with a sanitizer). */
static void anything_typed(void **state)
{
    (void)state;
    static const char parts[][12] = {"{",  "(",  "[",   ")",    "}",     "]",  ".",
                                     ":",  ",",  "=",   "name", "\"",    "'",  "[[",
                                     "--", "\n", "end", "func", "long_", "12", "\\"};
    uint32_t seed = 1;
    char text[600];
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        OptionPlace p;
        for (int i = 0; i < 40 && n + 12 < sizeof text; i++) {
            seed = seed * 1664525u + 1013904223u;
            const char *s = parts[(seed >> 16) % ARRAY_LEN(parts)];
            n += (size_t)sprintf(text + n, "%s%s", s, seed >> 31 ? " " : "");
        }
        if (option_place(text, n, &p))
            assert_true(p.callee[0] && (p.names || p.key[0]));
    }
    char *deep = malloc(100001);
    OptionPlace p;
    memset(deep, '{', 100000);
    assert_false(option_place(deep, 100000, &p));
    memset(deep, 'a', 100000);
    memcpy(deep + 99998, "{ ", 2);
    assert_false(option_place(deep, 100000, &p));
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_of_calls),
                                       cmocka_unit_test(anything_typed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
