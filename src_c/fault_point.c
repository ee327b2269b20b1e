/* fault_point.c - what a fault point does in a test build. */
#include "fault_point.h"

#if defined(PYPELN_FAULT_POINTS)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Which hit this is, of all processes together; 0 when hits cannot be counted. */
static long long count_hit(const char *name, const char *who) {
    const char *folder = getenv("PYPELN_FAULT_HITS");
    char path[1024];
    if (folder == NULL || snprintf(path, sizeof path, "%s/%s.%s", folder, name, who) >= (int)sizeof path)
        return 0;
    /* Opened anew each time: with O_APPEND the offset after a write is the end of what this write wrote,
     * unless the description is shared with a fork that writes as well. */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return 0;
    long long end = write(fd, "x", 1) == 1 ? (long long)lseek(fd, 0, SEEK_CUR) : 0;
    close(fd);
    return end;
}

void pp_fault_point(const char *name) {
    int saved = errno;
    const char *parent = getenv("PYPELN_FAULT_PARENT");
    const char *who = parent != NULL && strtol(parent, NULL, 10) == (long)getpid() ? "parent" : "worker";
    long long hit = count_hit(name, who);
    const char *plan = getenv("PYPELN_FAULT");
    char kill_me[256], stop_me[256];
    snprintf(kill_me, sizeof kill_me, "%s:%s:%lld:kill", name, who, hit);
    snprintf(stop_me, sizeof stop_me, "%s:%s:%lld:stop", name, who, hit);
    while (hit > 0 && plan != NULL && *plan != 0) {
        size_t length = strcspn(plan, ",");
        if (length == strlen(kill_me) && strncmp(plan, kill_me, length) == 0) kill(getpid(), SIGKILL);
        if (length == strlen(stop_me) && strncmp(plan, stop_me, length) == 0) kill(getpid(), SIGSTOP);
        plan += length + (plan[length] == ',');
    }
    errno = saved;
}

#endif
