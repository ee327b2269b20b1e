/* steps.h - a death at every single instruction.
 *
 * A child runs a scenario under ptrace, one instruction at a time.  Whenever an instruction has changed
 * the watched shared memory, the parent copies it and calls `bury`, which repairs the copy as if the
 * child had died just there and checks what it finds.
 */
#ifndef PP_TESTS_STEPS_H
#define PP_TESTS_STEPS_H

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define STEPS_SKIPPED 77

static inline bool steps_are_possible(void) {
    pid_t child = fork();
    if (child == 0) _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (status != 0) printf("skipped: this system does not let a process trace its child\n");
    return status == 0;
}

/* The scenario runs in the child and must not return wrongly: it calls _exit(other than 0) to fail. */
static inline void steps_through(const char *name, void (*scenario)(void), const void *watched,
                                 uint64_t nbytes, void *copy, void (*bury)(void)) {
    memcpy(copy, watched, nbytes);
    unsigned char *before = malloc(nbytes);
    CHECK(before != NULL);
    memcpy(before, watched, nbytes);
    bury();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        scenario();
        _exit(0);
    }
    int status;
    unsigned long steps = 0, deaths = 1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    while (WIFSTOPPED(status)) {
        if (memcmp(before, watched, nbytes) != 0) {
            memcpy(before, watched, nbytes);
            memcpy(copy, watched, nbytes);
            bury();
            deaths++;
        }
        CHECK_EQUAL(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        steps++;
    }
    CHECK_EQUAL(status, 0);
    CHECK(deaths > 3);
    printf("passed %s: %lu instructions, %lu different deaths\n", name, steps, deaths);
    free(before);
}

#endif
