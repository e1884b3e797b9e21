/* intr.c -- one word, set by a handler and looked at by everybody. Sleepers wait on the
 * word itself (a futex), so an interrupt ends them at once and waiting costs no
 * wake-ups; to wake them is one system call, which a signal handler may make. */
#include "base/intr.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic uint32_t flag;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "the flag is set in signal handlers");
_Static_assert(sizeof flag == 4, "a futex is a 32-bit word");

void intr_raise(void)
{
    int saved = errno;
    atomic_store(&flag, 1);
    syscall(SYS_futex, &flag, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    errno = saved;
}

void intr_clear(void)
{
    atomic_store(&flag, 0);
}

bool intr_pending(void)
{
    return atomic_load_explicit(&flag, memory_order_relaxed) != 0;
}

bool intr_check(Err *err)
{
    if (!intr_pending())
        return true;
    return err_set(err, ERR_INTERRUPT, "interrupted");
}

bool intr_wait(double seconds)
{
    double end = clock_now() + seconds;
    while (!intr_pending()) {
        double left = end - clock_now();
        if (!(left > 0))
            return false;
        if (left > 3600)
            left = 3600; /* keeps timespec in range; the loop goes on */
        struct timespec ts = {.tv_sec = (time_t)left};
        ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
        syscall(SYS_futex, &flag, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0);
    }
    return true;
}
