/* process_linux.c - /proc, and a signal that the kernel sends when a pipe closes. */
#if defined(__linux__)
#define _GNU_SOURCE /* F_SETSIG */

#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layout.h"

uint64_t pp_process_born(int64_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t nbytes = read(fd, text, sizeof text - 1);
    close(fd);
    if (nbytes <= 0) return 0;
    text[nbytes] = 0;
    /* The second field, a name in parentheses, may hold anything. State is the third, start time the 22nd. */
    const char *end = strrchr(text, ')');
    char state;
    unsigned long long born;
    if (end == NULL ||
        sscanf(end + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &born) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : born;
}

int pp_process_follow(int alive) {
    int flags = fcntl(alive, F_GETFL);
    if (flags < 0 || fcntl(alive, F_SETOWN, getpid()) != 0 || fcntl(alive, F_SETSIG, SIGKILL) != 0 ||
        fcntl(alive, F_SETFL, flags | O_ASYNC | O_NONBLOCK) != 0)
        return PP_OSERROR;
    /* It may have closed before we asked. */
    struct pollfd look = {.fd = alive, .events = POLLIN};
    if (poll(&look, 1, 0) > 0) kill(getpid(), SIGKILL);
    return PP_OK;
}
#endif
