/* ticker.h -- the thread that writes what the journal coalesces, a changed run.json and
 * the heartbeat. It sleeps until something is pending or for ten seconds, and works
 * every 50 ms while something is. A failure to write raises the interrupt flag, because
 * a run that cannot be recorded should not go on. Borrows the run; one ticker a run. */
#ifndef CLEAVE_KERNEL_TICKER_H
#define CLEAVE_KERNEL_TICKER_H
#include "lab/run.h"

typedef struct Ticker Ticker;
/* on_failure is called once, from the ticker's thread, when the record cannot be
 * written. */
Ticker *ticker_start(Run *borrowed, void (*on_failure)(void), Err *err);
/* A session between cells: no heartbeat, so nothing wakes the process. */
void ticker_rest(Ticker *t, bool rest);
void ticker_stop(Ticker *t); /* joins; NULL is fine */
#endif
