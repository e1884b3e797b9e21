/* intr.h -- the interrupt flag. A signal handler (or a request thread) raises it; every
 * loop of ours that may run longer than 50 ms looks at it. */
#ifndef CLEAVE_BASE_INTR_H
#define CLEAVE_BASE_INTR_H
#include "base/err.h"

void intr_raise(void); /* async-signal-safe */
void intr_clear(void);
bool intr_pending(void);
/* true when nothing is pending; else false with ERR_INTERRUPT "interrupted". */
bool intr_check(Err *err);
/* Sleeps until an interrupt is pending (true) or the time is over (false). */
bool intr_wait(double seconds);
#endif
