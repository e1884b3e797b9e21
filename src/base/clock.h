/* clock.h -- time. Monotonic seconds for durations, ISO 8601 UTC for records; sleeping
 * that an interrupt ends early. */
#ifndef CLEAVE_BASE_CLOCK_H
#define CLEAVE_BASE_CLOCK_H
#include "base/err.h"

double clock_now(void);  /* monotonic seconds */
double clock_wall(void); /* seconds since 1970 */
void clock_iso(double wall, char dst[32]); /* "2026-03-01T12:00:00.123Z" */
bool clock_sleep(double seconds, Err *err); /* false when interrupted, within 50 ms */
/* "00:39", "1:02:03", "-" for a negative or non-finite duration. */
void clock_hms(double seconds, char dst[16]);
#endif
