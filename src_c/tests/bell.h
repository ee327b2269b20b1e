/* bell.h - the bell of an event loop, for tests: a pipe, or an event object. */
#ifndef PP_TESTS_BELL_H
#define PP_TESTS_BELL_H

#include "check.h"

typedef struct {
    int listen; /* what the loop has */
    int ring;   /* what those have who ring */
} test_bell;

#if defined(_WIN32)

#include <windows.h>

static inline test_bell bell_make(void) {
    HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL);
    CHECK(event != NULL);
    return (test_bell){(int)(intptr_t)event, (int)(intptr_t)event};
}

/* Whether it has rung since it was last asked. */
static inline bool bell_heard(const test_bell *bell) {
    return WaitForSingleObject((HANDLE)(intptr_t)bell->listen, 0) == WAIT_OBJECT_0;
}

static inline void bell_close(const test_bell *bell) { CloseHandle((HANDLE)(intptr_t)bell->listen); }

#else

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static inline test_bell bell_make(void) {
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    return (test_bell){ends[0], ends[1]};
}

static inline bool bell_heard(const test_bell *bell) {
    char bytes[64];
    ssize_t nbytes = read(bell->listen, bytes, sizeof bytes);
    CHECK(nbytes == 8 || (nbytes == -1 && errno == EAGAIN)); /* one ring */
    return nbytes == 8;
}

static inline void bell_close(const test_bell *bell) {
    close(bell->listen);
    close(bell->ring);
}

#endif

#endif
