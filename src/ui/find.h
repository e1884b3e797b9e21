/* find.h -- finding text as people mean it: case matters only when they typed some. */
#ifndef CLEAVE_UI_FIND_H
#define CLEAVE_UI_FIND_H
#include <stdbool.h>
#include <stddef.h>

/* Where `what` begins in s[0..n); n when it is not there. "" is found nowhere. */
size_t text_find(const char *s, size_t n, const char *what);
/* How well the letters of `what` appear in s in order: higher is better, 0: not at all.
 * "" fits everything with 1. */
int text_fuzzy(const char *s, const char *what);
#endif
