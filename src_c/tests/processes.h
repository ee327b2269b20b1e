/* processes.h - the other processes of a test: forks, or this program once more where there is no fork.
 *
 * They all begin in one function, which is told a number, and share the segments that a test names.
 */
#ifndef PP_TESTS_PROCESSES_H
#define PP_TESTS_PROCESSES_H

#include "check.h"
#include "layout.h"
#include "segment.h"

/* In its own words: what a process does, and what it shares (those that exist when it is started). */
typedef struct {
    void (*act)(uint32_t argument);
    pp_segment *segments[4];
} process_plan;

static process_plan plan_of_processes;

#if defined(_WIN32)

#include <string.h>
#include <windows.h>

typedef HANDLE process;

enum { KILLED_BY_TEST = 99, MOST_SEGMENTS = 4 };

/* First in main. In another process this does not return. */
static inline void processes_begin(int argc, char **argv, process_plan plan) {
    plan_of_processes = plan;
    if (argc < 3 || strcmp(argv[1], "act") != 0) return;
    for (int i = 3; i + 1 < argc; i += 2) {
        unsigned long long handle = strtoull(argv[i], NULL, 10), nbytes = strtoull(argv[i + 1], NULL, 10);
        if (handle != 0) CHECK_EQUAL(pp_segment_open(plan.segments[(i - 3) / 2], (int)handle, nbytes), PP_OK);
    }
    plan.act((uint32_t)strtoul(argv[2], NULL, 10));
    exit(0);
}

static inline process process_start(uint32_t argument) {
    char program[MAX_PATH], command[MAX_PATH + 256];
    CHECK(GetModuleFileNameA(NULL, program, sizeof program) != 0);
    int n = snprintf(command, sizeof command, "\"%s\" act %u", program, argument);
    for (int i = 0; i < MOST_SEGMENTS; i++) {
        pp_segment *segment = plan_of_processes.segments[i];
        bool there = segment != NULL && segment->base != NULL;
        int handle = there ? segment->fd : 0;
        if (there)
            CHECK(SetHandleInformation((HANDLE)(intptr_t)handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT));
        n += snprintf(command + n, sizeof command - (size_t)n, " %d %llu", handle,
                      there ? (unsigned long long)segment->nbytes : 0);
    }
    CHECK(n < (int)sizeof command);
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION started;
    CHECK(CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &started));
    CloseHandle(started.hThread);
    return started.hProcess;
}

static inline DWORD process_exit_code(process other) {
    DWORD code;
    CHECK_EQUAL(WaitForSingleObject(other, INFINITE), WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(other, &code));
    CloseHandle(other);
    return code;
}

/* It dies now, and of this: not of a failed check of its own. */
static inline void process_kill(process other) {
    CHECK(TerminateProcess(other, KILLED_BY_TEST));
    CHECK_EQUAL(process_exit_code(other), KILLED_BY_TEST);
}

/* It comes to its end by itself. */
static inline void process_join(process other) { CHECK_EQUAL(process_exit_code(other), 0); }

static inline int64_t process_id(process other) { return GetProcessId(other); }

static inline int64_t own_process_id(void) { return GetCurrentProcessId(); }

#else

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef pid_t process;

static inline void processes_begin(int argc, char **argv, process_plan plan) {
    (void)argc;
    (void)argv;
    plan_of_processes = plan;
}

static inline process process_start(uint32_t argument) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0) return pid;
    plan_of_processes.act(argument);
    _exit(0);
}

static inline void process_kill(process other) {
    int status;
    CHECK_EQUAL(kill(other, SIGKILL), 0);
    CHECK_EQUAL(waitpid(other, &status, 0), other);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void process_join(process other) {
    int status;
    CHECK_EQUAL(waitpid(other, &status, 0), other);
    CHECK_EQUAL(status, 0);
}

static inline int64_t process_id(process other) { return other; }

static inline int64_t own_process_id(void) { return getpid(); }

#endif

#endif
