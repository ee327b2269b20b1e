/* park.c - the protocol of park.h; the system calls are in park_<system>.c. */
#include "park.h"

#include <errno.h>
#include <limits.h>

#if !defined(_WIN32)
#include <time.h>
#include <unistd.h>
#endif

void pp_spot_create(pp_spot *spot, bool shared) {
    pp_store_rlx(&spot->epoch, 0);
    pp_store_rlx(&spot->waiters, 0);
    spot->shared = shared;
    spot->asleep = 0;
    spot->name = shared ? pp_os_name() : 0;
}

int pp_spot_sleep(pp_spot *spot, uint32_t key, uint64_t timeout_ns) {
    return pp_os_wait(&spot->epoch, key, timeout_ns, spot->shared != 0);
}

void pp_spot_arm(pp_spot *spot) {
    /* seq_cst: this is the waiter's write of the Dekker pair, as the addition is in register. */
    atomic_fetch_or_explicit(&spot->waiters, PP_ARMED, memory_order_seq_cst);
}

void pp_spot_wake(pp_spot *spot, int bell) {
    uint32_t seen = pp_load_acq(&spot->waiters);
    while (seen != 0) {
        uint32_t count = seen & ~PP_ARMED;
        uint32_t wanted = count != 0 ? count - 1 : 0; /* and the bell is no longer armed */
        if (!pp_cas32(&spot->waiters, &seen, wanted)) continue;
        if (count != 0) {
            pp_add_acqrel(&spot->epoch, 1);
            pp_os_wake(&spot->epoch, 1, spot->shared != 0);
        }
        if (seen & PP_ARMED) pp_bell_ring(bell);
        return;
    }
}

void pp_spot_wake_all(pp_spot *spot, int bell) {
    uint32_t seen = atomic_exchange_explicit(&spot->waiters, 0, memory_order_seq_cst);
    /* Not only when tokens were seen: the token of a sleeper may have gone to a waker that died. */
    pp_add_acqrel(&spot->epoch, 1);
    pp_os_wake(&spot->epoch, INT_MAX, spot->shared != 0);
    /* Nor the bell only when armed, for the same reason. */
    (void)seen;
    if (bell >= 0) pp_bell_ring(bell);
}

/* Windows has its own: park_windows.c. */
#if !defined(_WIN32)

void pp_nap(uint64_t ns) {
    struct timespec span = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&span, NULL); /* a signal ends the nap early, which is what its handler wants */
}

void pp_bell_ring(int bell) {
    if (bell < 0) return;
    int saved = errno;
    uint64_t one = 1; /* an eventfd takes eight bytes, a pipe does not mind */
    ssize_t written;
    do {
        written = write(bell, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    /* EAGAIN: the bell has rung often enough to be heard. */
    errno = saved;
}

#endif
