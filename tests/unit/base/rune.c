#include "support.h"

#include <locale.h>
#include <wchar.h>

#include "base/str.h"

static void every_code_point_goes_there_and_back(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    for (uint32_t r = 0; r <= 0x10FFFF; r++) {
        uint32_t back = 0;
        bool surrogate = r >= 0xD800 && r <= 0xDFFF;
        str_clear(&t);
        str_add_rune(&t, r);
        int want = r < 0x80 ? 1 : r < 0x800 ? 2 : r < 0x10000 ? 3 : 4;
        assert_int_equal(utf8_next(t.s, t.len, &back), want);
        assert_int_equal(t.len, want);
        assert_int_equal(back, surrogate ? 0xFFFD : r);
    }
    str_clear(&t);
    str_add_rune(&t, 0x110000);
    str_add_rune(&t, UINT32_MAX);
    assert_string_equal(t.s, "\xEF\xBF\xBD\xEF\xBF\xBD");
    str_done(&t);
}

static void known_bad_sequences_cost_one_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xC2", "\xE2\x82",
        "\xF0\x9F\x98", "\xC2" "A", "\xE2" "A\x82", "\xE2\x82" "A",
        "\xF8\x88\x80\x80\x80",
        "\xF9\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80", "\xFF\x90\x80\x80",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t r = 0;
        assert_int_equal(utf8_next(bad[i], strlen(bad[i]), &r), 1);
        assert_int_equal(r, 0xFFFD);
    }
}

/* Every sequence of three bytes, cut at every length: what is accepted must be exactly
 * what encoding gives, and nothing past n may be read (the sanitizer watches). */
static void hostile_bytes_decode_to_themselves_or_fffd(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    for (uint32_t bits = 0; bits < 1u << 24; bits += bits < 1u << 16 ? 1 : 13) {
        char b[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        for (size_t n = 1; n <= 3; n++) {
            uint32_t r = 0;
            int got = utf8_next(b + 3 - n, n, &r);
            if (got < 1 || (size_t)got > n)
                fail_msg("%06x: length %d of %zu", bits, got, n);
            if (r == 0xFFFD && got == 1)
                continue;
            str_clear(&t);
            str_add_rune(&t, r);
            if (t.len != (size_t)got || memcmp(t.s, b + 3 - n, t.len) != 0)
                fail_msg("%06x: accepted as U+%04X", bits, r);
        }
    }
    str_done(&t);
    uint32_t r;
    for (size_t n = 1; n < 4; n++) { /* the rest is there, but not ours */
        assert_int_equal(utf8_next("\xF0\x9F\x98\x80", n, &r), 1);
        assert_int_equal(r, 0xFFFD);
    }
    char *edge = mem_alloc(3, NULL); /* a cut sequence at the very end of a block */
    memcpy(edge, "\xF0\x9F\x98", 3);
    assert_int_equal(utf8_next(edge, 3, &r), 1);
    mem_free(edge);
}

static void widths_of_well_known_runes(void **state)
{
    (void)state;
    static const struct {
        uint32_t rune;
        int width;
    } row[] = {
        {0, -1},        {'\n', -1},     {0x1B, -1},    {0x7F, -1},     {0x9B, -1},
        {' ', 1},       {'a', 1},       {0xA0, 1},     {0xAD, 1},      {0xE9, 1},
        {0x300, 0},     {0x301, 0},     {0x200B, 0},   {0x200D, 0},    {0xFE0F, 0},
        {0x202E, 0},    {0x2066, 0},    {0x2028, -1},  {0x1100, 2},    {0x1160, 0},
        {0x2580, 1},    {0x2588, 1},    {0x2500, 1},   {0x2800, 1},    {0x3000, 2},
        {0x4E00, 2},    {0xAC00, 2},    {0xFF21, 2},   {0xFF71, 1},    {0x1F600, 2},
        {0x1F44D, 2},   {0x2705, 2},    {0x231A, 2},   {0x2713, 1},    {0x20000, 2},
        {0xD800, -1},   {0x110000, -1}, {0xFFFD, 1},   {0xE000, 1},    {0x03BB, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        if (rune_width(row[i].rune) != row[i].width)
            fail_msg("U+%04X: %d, not %d", row[i].rune, rune_width(row[i].rune),
                     row[i].width);
}

/* The C library has a table of its own, of another Unicode version. */
static void agrees_with_the_c_library_on_the_common_planes(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    int seen = 0, differ = 0;
    for (uint32_t r = 1; r < 0x20000; r++) {
        int libc = wcwidth((wchar_t)r);
        if (libc < 0)
            continue;
        seen++;
        differ += libc != rune_width(r);
    }
    setlocale(LC_CTYPE, "C");
    print_message("%d of %d differ\n", differ, seen);
    assert_true(seen > 60000);
    assert_true(differ * 200 < seen);
}

static void text_width_adds_up(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("e\xCC\x81"), 1);
    assert_int_equal(text_width("\xE6\x97\xA5\xE6\x9C\xAC"), 4);
    assert_int_equal(text_width("a\x1b\n\tb"), 2);
    assert_int_equal(text_width("\xF0\x9F\x98\x80!"), 3);
    assert_int_equal(text_width("\xFF\xFE"), 2); /* drawn as two replacement signs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_goes_there_and_back),
        cmocka_unit_test(known_bad_sequences_cost_one_byte),
        cmocka_unit_test(hostile_bytes_decode_to_themselves_or_fffd),
        cmocka_unit_test(widths_of_well_known_runes),
        cmocka_unit_test(agrees_with_the_c_library_on_the_common_planes),
        cmocka_unit_test(text_width_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
