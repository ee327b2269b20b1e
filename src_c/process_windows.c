/* process_windows.c - a process's handle says when it began and when it ends; a thread waits for that. */
#if defined(_WIN32)
#include "process.h"

#include <errno.h>
#include <windows.h>

#include "layout.h"

/* What TerminateProcess gives as the exit code: unlike those of programs, and of failed checks. */
#define FOLLOWED 0xC0000001u

uint64_t pp_process_born(int64_t pid) {
    if (pid <= 0 || pid > UINT32_MAX) return 0;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, (DWORD)pid);
    if (process == NULL) return 0;
    FILETIME born, ended, kernel, user;
    uint64_t word = 0;
    /* A process that has ended is there as long as somebody has a handle of it. */
    if (WaitForSingleObject(process, 0) == WAIT_TIMEOUT &&
        GetProcessTimes(process, &born, &ended, &kernel, &user))
        word = (uint64_t)born.dwHighDateTime << 32 | born.dwLowDateTime;
    CloseHandle(process);
    return word;
}

static DWORD WINAPI wait_for_its_end(LPVOID process) {
    if (WaitForSingleObject(process, INFINITE) == WAIT_OBJECT_0)
        TerminateProcess(GetCurrentProcess(), FOLLOWED);
    return 0;
}

int pp_process_follow(int alive) {
    HANDLE thread = CreateThread(NULL, 64 * 1024, wait_for_its_end, (LPVOID)(intptr_t)alive,
                                 STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == NULL) {
        errno = EAGAIN;
        return PP_OSERROR;
    }
    CloseHandle(thread);
    return PP_OK;
}
#endif
