/* clock.c -- the only place that asks the system for the time. Calendar arithmetic is
 * done in whole milliseconds, so that 59.9996 s becomes the next minute. */
#include "base/clock.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/intr.h"

static double read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

double clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

void clock_iso(double wall, char dst[32])
{
    /* years 0 to 9999: what four digits can say */
    if (!(wall >= -62167219200.0 && wall < 253402300799.9995)) {
        strcpy(dst, "-");
        return;
    }
    int64_t ms = llround(wall * 1e3);
    int64_t sec = ms / 1000 - (ms % 1000 < 0);
    time_t t = (time_t)sec;
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(dst, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(dst + n, 32 - n, ".%03dZ", (int)(ms - sec * 1000));
}

bool clock_sleep(double seconds, Err *err)
{
    if (intr_wait(seconds))
        return intr_check(err);
    return true;
}

void clock_hms(double seconds, char dst[16])
{
    if (!(seconds >= 0 && seconds < 3.6e9)) {
        strcpy(dst, "-");
        return;
    }
    unsigned s = (unsigned)seconds;
    unsigned h = s / 3600, m = s / 60 % 60;
    if (h > 0)
        snprintf(dst, 16, "%u:%02u:%02u", h, m, s % 60);
    else
        snprintf(dst, 16, "%02u:%02u", m, s % 60);
}
