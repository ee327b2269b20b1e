/* park_linux.c - futex. */
#if defined(__linux__)
#define _GNU_SOURCE

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "park.h"

int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared) {
    struct timespec span = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    int operation = shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE;
    if (syscall(SYS_futex, (uint32_t *)word, operation, expected, &span, NULL, 0) == 0) return PP_OK;
    switch (errno) {
        case EAGAIN: return PP_OK; /* the epoch moved on before we slept */
        case ETIMEDOUT: return PP_TIMEOUT;
        case EINTR: return PP_SIGNAL;
        default: return PP_OSERROR;
    }
}

void pp_os_wake(pp_a32 *word, int count, bool shared) {
    int saved = errno;
    syscall(SYS_futex, (uint32_t *)word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    errno = saved;
}

uint64_t pp_os_name(void) { return 0; }
#endif
