#include "support.h"

#include <math.h>
#include <time.h>

#include "base/clock.h"

static void time_goes_forward(void **state)
{
    (void)state;
    double last = clock_now();
    for (int i = 0; i < 10000; i++) {
        double now = clock_now();
        assert_true(now >= last);
        last = now;
    }
    assert_true(fabs(clock_wall() - (double)time(NULL)) < 2);
}

static void iso_is_utc_with_milliseconds(void **state)
{
    (void)state;
    static const struct {
        double wall;
        const char *text;
    } row[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1772366400.123, "2026-03-01T12:00:00.123Z"},
        {951782399.9996, "2000-02-29T00:00:00.000Z"},
        {951782399.9994, "2000-02-28T23:59:59.999Z"},
        {-0.25, "1969-12-31T23:59:59.750Z"},
        {-1, "1969-12-31T23:59:59.000Z"},
        {253402300799.0, "9999-12-31T23:59:59.000Z"},
        {253402300800.0, "-"},
        {1e300, "-"},
        {-1e300, "-"},
    };
    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char dst[32];
        clock_iso(row[i].wall, dst);
        assert_string_equal(dst, row[i].text);
    }
    char dst[32];
    clock_iso((double)NAN, dst);
    assert_string_equal(dst, "-");
}

static void hms_fits_and_reads(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } row[] = {
        {0, "00:00"},       {39.9, "00:39"},    {60, "01:00"},      {3599.999, "59:59"},
        {3600, "1:00:00"},  {3723, "1:02:03"},  {360000, "100:00:00"}, {-1, "-"},
        {1e12, "-"},        {3.5e9, "972222:13:20"},
    };
    char dst[16];
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        clock_hms(row[i].seconds, dst);
        assert_string_equal(dst, row[i].text);
    }
    clock_hms((double)INFINITY, dst);
    assert_string_equal(dst, "-");
    clock_hms((double)NAN, dst);
    assert_string_equal(dst, "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_forward),
        cmocka_unit_test(iso_is_utc_with_milliseconds),
        cmocka_unit_test(hms_fits_and_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
