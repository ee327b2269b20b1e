/* park_darwin.c - os_sync_wait_on_address, and __ulock on systems older than macOS 14.4.
 *
 * Both are the same wait of the kernel; the first is its public face.  It is looked for when it is needed first,
 * so that one build runs on both.  Shared waits are found by the page that lies behind the address, as with a
 * futex, in every process that maps it.  Deaths: the kernel's queue of waiters forgets a thread that ends.
 */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "park.h"

extern int __ulock_wait(uint32_t operation, void *addr, uint64_t value, uint32_t timeout_us);
extern int __ulock_wake(uint32_t operation, void *addr, uint64_t value);

enum { ULOCK_WAIT = 1, ULOCK_WAIT_SHARED = 3, ULOCK_WAKE_ALL = 0x100, ULOCK_NO_ERRNO = 0x1000000 };

/* os/os_sync_wait_on_address.h and os/clock.h */
enum { SYNC_PRIVATE = 0, SYNC_SHARED = 1, CLOCK_MACH_ABSOLUTE_TIME = 32 };
typedef int sync_wait(void *addr, uint64_t value, size_t size, uint32_t flags, uint32_t clock, uint64_t ns);
typedef int sync_wake(void *addr, size_t size, uint32_t flags);

static sync_wait *wait_on_address;
static sync_wake *wake_any, *wake_all;

static void look_for_sync(void) {
    sync_wait *wait = (sync_wait *)dlsym(RTLD_DEFAULT, "os_sync_wait_on_address_with_timeout");
    wake_any = (sync_wake *)dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_any");
    wake_all = (sync_wake *)dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_all");
    /* All of them or none: a process's own waits must meet its own wakes. */
    wait_on_address = wake_any != NULL && wake_all != NULL ? wait : NULL;
}

static bool has_sync(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, look_for_sync);
    return wait_on_address != NULL;
}

static int status_of(int error) {
    switch (error) {
        case ETIMEDOUT: return PP_TIMEOUT;
        case EINTR: return PP_SIGNAL;
        case EFAULT: return PP_OK; /* the page was being moved: look again */
        default: errno = error; return PP_OSERROR;
    }
}

int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared) {
    if (has_sync()) {
        if (timeout_ns == 0) timeout_ns = 1; /* zero is refused */
        int rc = wait_on_address((void *)word, expected, sizeof expected, shared ? SYNC_SHARED : SYNC_PRIVATE,
                                 CLOCK_MACH_ABSOLUTE_TIME, timeout_ns);
        return rc >= 0 ? PP_OK : status_of(errno);
    }
    uint64_t us = timeout_ns / 1000u + (timeout_ns % 1000u != 0);
    if (us == 0) us = 1; /* zero means for ever here */
    if (us > UINT32_MAX) us = UINT32_MAX;
    uint32_t operation = (uint32_t)(shared ? ULOCK_WAIT_SHARED : ULOCK_WAIT) | ULOCK_NO_ERRNO;
    int rc = __ulock_wait(operation, (void *)word, expected, (uint32_t)us);
    return rc >= 0 ? PP_OK : status_of(-rc);
}

void pp_os_wake(pp_a32 *word, int count, bool shared) {
    int saved = errno;
    if (has_sync()) {
        sync_wake *wake = count > 1 ? wake_all : wake_any;
        while (wake((void *)word, sizeof(uint32_t), shared ? SYNC_SHARED : SYNC_PRIVATE) < 0 &&
               errno == EINTR) {
        }
    } else {
        uint32_t operation = (uint32_t)(shared ? ULOCK_WAIT_SHARED : ULOCK_WAIT) | ULOCK_NO_ERRNO;
        if (count > 1) operation |= ULOCK_WAKE_ALL;
        while (__ulock_wake(operation, (void *)word, 0) == -EINTR) {
        }
    }
    errno = saved;
}

uint64_t pp_os_name(void) { return 0; }
#endif
