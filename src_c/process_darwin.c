/* process_darwin.c - libproc, and a thread that reads a pipe to its end.
 *
 * The kernel sends SIGIO and no other signal for a pipe that closes, and a handler of it could be kept waiting by
 * a thread that has it blocked.  So a thread waits, which needs no GIL and nothing else that f may hold.
 */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE

#include "process.h"

#include <errno.h>
#include <libproc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "layout.h"

enum { ZOMBIE = 5 }; /* SZOMB of sys/proc.h */

uint64_t pp_process_born(int64_t pid) {
    struct proc_bsdinfo info;
    if (proc_pidinfo((int)pid, PROC_PIDTBSDINFO, 0, &info, sizeof info) != (int)sizeof info) return 0;
    if (info.pbi_status == ZOMBIE) return 0;
    return info.pbi_start_tvsec * 1000000u + info.pbi_start_tvusec;
}

static void *read_to_its_end(void *alive) {
    char byte;
    for (;;) {
        ssize_t nbytes = read((int)(intptr_t)alive, &byte, 1);
        if (nbytes > 0 || (nbytes < 0 && errno == EINTR)) continue;
        kill(getpid(), SIGKILL);
    }
}

int pp_process_follow(int alive) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    /* Born with every signal blocked: those of the program are for its own threads. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, read_to_its_end, (void *)(intptr_t)alive);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = error;
    return error == 0 ? PP_OK : PP_OSERROR;
}
#endif
