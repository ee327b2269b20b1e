/* park_darwin.c - __ulock, which works on shared memory and on every macOS that CPython supports. */
#if defined(__APPLE__)
#include <errno.h>
#include <limits.h>

#include "park.h"

extern int __ulock_wait(uint32_t operation, void *addr, uint64_t value, uint32_t timeout_us);
extern int __ulock_wake(uint32_t operation, void *addr, uint64_t value);

enum { WAIT = 1, WAIT_SHARED = 3, WAKE_ALL = 0x100, NO_ERRNO = 0x1000000 };

int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared) {
    uint64_t us = timeout_ns / 1000u;
    if (us == 0) us = 1; /* zero means for ever here */
    if (us > UINT32_MAX) us = UINT32_MAX;
    int rc = __ulock_wait((shared ? WAIT_SHARED : WAIT) | NO_ERRNO, (void *)word, expected, (uint32_t)us);
    if (rc >= 0) return PP_OK;
    switch (-rc) {
        case ETIMEDOUT: return PP_TIMEOUT;
        case EINTR: return PP_SIGNAL;
        case EFAULT: return PP_OK; /* the page was being moved: look again */
        default: return PP_OSERROR;
    }
}

void pp_os_wake(pp_a32 *word, int count, bool shared) {
    uint32_t operation = (uint32_t)(shared ? WAIT_SHARED : WAIT) | NO_ERRNO;
    if (count > 1) operation |= WAKE_ALL;
    int saved = errno;
    while (__ulock_wake(operation, (void *)word, 0) == -EINTR) {
    }
    errno = saved;
}
#endif
