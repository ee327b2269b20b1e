/* steps.h - a process that is moved one instruction at a time, and stopped or killed wherever one likes.
 *
 * The process is a fork that runs one function under ptrace.  It stops itself before the first
 * instruction of that function, and says in shared memory when the function has returned, so what is
 * counted are the function's instructions and nothing of the fork around it.
 *
 * x86-64 Linux: elsewhere instructions cannot be counted on (a load-exclusive and its store are broken
 * apart by a step, for ever) and the programs that include this are not built.
 */
#ifndef PP_TESTS_STEPS_H
#define PP_TESTS_STEPS_H

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomics.h"
#include "check.h"

#define STEPS_SKIPPED 77

/* No single run takes long; a run that does hangs, and SIGALRM says so. */
#define STEPS_WATCHDOG_S 100

#define STEPS_BREAK() __asm__ __volatile__("int3")
#define STEPS_BREAK_CODE 0xccu

/* No function that is walked through is longer. */
enum { MOST_STEPS = 1 << 16 };

typedef struct {
    pid_t pid;
    pp_a32 *returned; /* in memory that both see */
} walker;

enum walk { WALKED, ASLEEP, RETURNED };

/* A step is two switches between this process and the one that is watched, of which one always waits: on two
 * processors each would be a wake from one to the other, which takes half as long again. */
static inline void steps_stay_on_one_processor(void) {
    cpu_set_t one;
    int here = sched_getcpu();
    CHECK(here >= 0);
    CPU_ZERO(&one);
    CPU_SET((unsigned)here, &one);
    CHECK_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
}

static inline bool steps_are_possible(void) {
    steps_stay_on_one_processor();
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
        STEPS_BREAK();
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    bool possible = WIFSTOPPED(status) && ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
                    waitpid(child, &status, 0) == child && WIFSTOPPED(status);
    if (WIFSTOPPED(status)) {
        CHECK_EQUAL(kill(child, SIGKILL), 0);
        CHECK_EQUAL(waitpid(child, &status, 0), child);
    }
    if (!possible) printf("skipped: this system does not let a process step through its child\n");
    return possible;
}

/* A process that stands before the first instruction of `act`. Never inlined: two copies of it would be two
 * paths of the same steps. */
__attribute__((noinline, unused)) static walker walker_start(void (*act)(void)) {
    static pp_a32 *returned = NULL;
    if (returned == NULL) {
        returned = mmap(NULL, sizeof *returned, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(returned != MAP_FAILED);
    }
    alarm(STEPS_WATCHDOG_S);
    pp_store_rel(returned, 0);
    walker w = {fork(), returned};
    CHECK(w.pid >= 0);
    if (w.pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        STEPS_BREAK();
        act();
        pp_store_rel(returned, 1);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(w.pid, &status, 0), w.pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    return w;
}

static inline char process_state(pid_t pid) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    const char *after = strrchr(text, ')');
    return after == NULL || after[1] == 0 ? 0 : after[2];
}

static inline void walked(const walker *w, int status) {
    /* Anything but the trap of a step is a failed check inside of `act`. */
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
        fprintf(stderr, "process %d went wrong, status %x\n", (int)w->pid, (unsigned)status);
        abort();
    }
}

/* One instruction more.  ASLEEP: the instruction is a system call that waits for somebody else. */
static inline enum walk walker_step(const walker *w) {
    if (pp_load_acq(w->returned)) return RETURNED;
    CHECK_EQUAL(ptrace(PTRACE_SINGLESTEP, w->pid, NULL, NULL), 0);
    int status;
    CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    walked(w, status);
    return WALKED;
}

/* The same for functions that sleep. */
static inline enum walk walker_step_or_sleep(const walker *w) {
    if (pp_load_acq(w->returned)) return RETURNED;
    CHECK_EQUAL(ptrace(PTRACE_SINGLESTEP, w->pid, NULL, NULL), 0);
    int status;
    for (unsigned tries = 0;; tries++) {
        pid_t done = waitpid(w->pid, &status, WNOHANG);
        if (done == w->pid) break;
        CHECK_EQUAL(done, 0);
        if (tries > 8 && process_state(w->pid) == 'S') return ASLEEP;
        sched_yield();
    }
    walked(w, status);
    return WALKED;
}

/* It comes back from the system call in which it was ASLEEP. */
static inline void walker_woken(const walker *w) {
    int status;
    CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    walked(w, status);
}

static inline void walker_kill(const walker *w) {
    int status;
    CHECK_EQUAL(kill(w->pid, SIGKILL), 0);
    CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- reaching a point without walking to it ---- */

/* The instructions of a function, in the order in which an undisturbed process executes them. */
typedef struct {
    uint64_t count;
    uint64_t at[MOST_STEPS];   /* address of each */
    uint64_t jump[MOST_STEPS]; /* the last one up to it that was not executed before: a breakpoint finds it */
    bool changed[MOST_STEPS]; /* whether shared memory is another than one instruction before */
} path;

static inline uint64_t walker_place(const walker *w) {
    return (uint64_t)ptrace(PTRACE_PEEKUSER, w->pid, offsetof(struct user, regs.rip), NULL);
}

/* Walk to the end, noting the way, and kill.  `has_changed` says whether shared memory has since it was last
 * asked. */
static inline void path_record(path *p, const walker *w, bool (*has_changed)(void)) {
    has_changed();
    p->count = 0;
    do {
        CHECK(p->count < MOST_STEPS);
        uint64_t here = p->at[p->count] = walker_place(w), k = p->count++;
        bool is_new = true;
        for (uint64_t i = 0; i < k && is_new; i++) is_new = p->at[i] != here;
        p->jump[k] = is_new || k == 0 ? k : p->jump[k - 1];
        p->changed[k] = has_changed() || k == 0;
    } while (walker_step(w) == WALKED);
    walker_kill(w);
}

/* To where `index` instructions of the path have been executed. */
static inline void walker_go(const walker *w, const path *p, uint64_t index) {
    CHECK(index < p->count);
    uint64_t target = p->jump[index];
    if (target > 0) {
        uint64_t address = p->at[target];
        long code;
        int status;
        memcpy(&code, (const void *)address, sizeof code); /* a fork has the same program */
        long broken = (long)(((uint64_t)code & ~(uint64_t)0xff) | STEPS_BREAK_CODE);
        CHECK_EQUAL(ptrace(PTRACE_POKETEXT, w->pid, (void *)address, (void *)broken), 0);
        CHECK_EQUAL(ptrace(PTRACE_CONT, w->pid, NULL, NULL), 0);
        CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
        walked(w, status);
        CHECK_EQUAL(ptrace(PTRACE_POKETEXT, w->pid, (void *)address, (void *)code), 0);
        CHECK_EQUAL(ptrace(PTRACE_POKEUSER, w->pid, offsetof(struct user, regs.rip), (void *)address), 0);
    }
    for (uint64_t i = target; i < index; i++) CHECK(walker_step(w) == WALKED);
    CHECK_EQUAL(walker_place(w), p->at[index]);
}

/* It goes on undisturbed, to its end. */
static inline void walker_end(const walker *w) {
    int status;
    CHECK_EQUAL(ptrace(PTRACE_DETACH, w->pid, NULL, NULL), 0);
    CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    CHECK_EQUAL(status, 0);
}

/* From here on it is an ordinary process that somebody has stopped. */
static inline void walker_stop(const walker *w) {
    int status;
    CHECK_EQUAL(ptrace(PTRACE_DETACH, w->pid, NULL, (void *)(intptr_t)SIGSTOP), 0);
    CHECK_EQUAL(waitpid(w->pid, &status, WUNTRACED), w->pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/* ... and continued: it goes on to its end. */
static inline void walker_continue(const walker *w) {
    int status;
    CHECK_EQUAL(kill(w->pid, SIGCONT), 0);
    CHECK_EQUAL(waitpid(w->pid, &status, 0), w->pid);
    CHECK_EQUAL(status, 0);
}

#endif
