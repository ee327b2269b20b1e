/* park_windows.c - WaitOnAddress inside a process, a semaphore for each shared spot between processes.
 *
 * WaitOnAddress does not cross processes.  What does are kernel objects, and a kernel object knows nothing of
 * the word.  A shared spot has a random name of 64 bits, and while somebody sleeps there, the semaphore of that
 * name exists:
 *
 *   sleeper                                    waker
 *   make or open the semaphore                 epoch += 1                       (park.c)
 *   asleep += 1            (seq_cst)           open the semaphore: none means nobody sleeps
 *   sleep unless epoch != key  (seq_cst load)  release 1, or for all as many as `asleep` says
 *   asleep -= 1, close it
 *
 * Either the waker finds the semaphore (the kernel's lock of its names orders the two) and the sleeper's count
 * (both change it by read-modify-write), or the sleeper's look sees the epoch.  A permit stays until somebody
 * takes it, so there is no gap between that look and the sleep.
 *
 * A permit may be taken by one who came later than the wake.  For a wake of one that is as good: each permit was
 * paid for with a token, and who takes it looks at the condition.  For a wake of all it is not, because the
 * one who was robbed has no token any more; therefore a sleeper looks at the epoch again every SLICE_NS.
 * That look is what correctness rests on; the semaphore makes it prompt.
 *
 * Crash of a sleeper: the kernel closes its handle, and with the last one the semaphore and its permits go.
 * `asleep` stays too high, which costs later wakes of all a spurious wake.  Crash of a waker before the release:
 * that wake is lost, as park.h says, and for no longer than SLICE_NS.
 *
 * Nothing is kept between two calls: there is no handle to inherit, to look up or to leak.
 */
#if defined(_WIN32)
#define _CRT_RAND_S /* rand_s */

#include "park.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <windows.h>

#include "clock.h"

/* As long as waiting ports sleep at a time (ring_wait.c), so that it costs them nothing. */
#define SLICE_NS 100000000u

/* No more sleepers than owners; shared memory is not believed. */
#define MOST_ASLEEP 65535u

#define NAME_CHARACTERS 32

_Static_assert(offsetof(pp_spot, epoch) == 0, "the word that is waited for leads its spot");

/* An atomic word is the plain word (atomics.h). */
static pp_a32 *asleep_at(pp_spot *spot) { return (pp_a32 *)&spot->asleep; }

static pp_spot *spot_of(pp_a32 *word) { return (pp_spot *)word; }

/* "Local": of this session, as the processes of a run are. */
static void name_of(const pp_spot *spot, WCHAR name[NAME_CHARACTERS]) {
    static const WCHAR prefix[] = L"Local\\pypeln-";
    static const WCHAR digits[] = L"0123456789abcdef";
    unsigned n = 0;
    while (prefix[n] != 0) {
        name[n] = prefix[n];
        n++;
    }
    for (int shift = 60; shift >= 0; shift -= 4) name[n++] = digits[spot->name >> shift & 15];
    name[n] = 0;
}

/* In milliseconds, rounded up: a sleep never ends before its time. */
static DWORD milliseconds(uint64_t ns) {
    uint64_t ms = ns / 1000000u + (ns % 1000000u != 0);
    return ms < INFINITE ? (DWORD)ms : INFINITE - 1;
}

static int failed(void) {
    errno = GetLastError() == ERROR_ACCESS_DENIED ? EACCES : ENOMEM;
    return PP_OSERROR;
}

static int wait_shared(pp_spot *spot, uint32_t expected, uint64_t end_ns) {
    WCHAR name[NAME_CHARACTERS];
    name_of(spot, name);
    HANDLE semaphore = CreateSemaphoreW(NULL, 0, LONG_MAX, name);
    if (semaphore == NULL) return failed();
    int status = PP_TIMEOUT;
    pp_add_seq(asleep_at(spot), 1);
    /* Crash from here on: `asleep` is one too high for ever. */
    for (;;) {
        if (pp_load_seq(&spot->epoch) != expected) {
            status = PP_OK;
            break;
        }
        uint64_t now = pp_now_ns();
        if (now >= end_ns) break;
        uint64_t left = end_ns - now;
        DWORD found = WaitForSingleObject(semaphore, milliseconds(left < SLICE_NS ? left : SLICE_NS));
        if (found == WAIT_OBJECT_0) {
            status = PP_OK;
            break;
        }
        if (found != WAIT_TIMEOUT) {
            status = failed();
            break;
        }
    }
    pp_add_seq(asleep_at(spot), UINT32_MAX);
    CloseHandle(semaphore);
    return status;
}

static void wake_shared(pp_spot *spot, bool all) {
    WCHAR name[NAME_CHARACTERS];
    name_of(spot, name);
    HANDLE semaphore = OpenSemaphoreW(SEMAPHORE_MODIFY_STATE, FALSE, name);
    if (semaphore == NULL) return; /* nobody sleeps */
    uint32_t permits = 1;
    if (all) {
        permits = pp_add_seq(asleep_at(spot), 0); /* an addition, to be ordered with the sleepers' */
        if (permits > MOST_ASLEEP) permits = MOST_ASLEEP;
    }
    /* Refused when there would be too many: then there are enough. */
    if (permits != 0) ReleaseSemaphore(semaphore, (LONG)permits, NULL);
    CloseHandle(semaphore);
}

int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared) {
    uint64_t now = pp_now_ns();
    uint64_t end_ns = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    if (shared) return wait_shared(spot_of(word), expected, end_ns);
    do {
        if (WaitOnAddress((volatile VOID *)word, &expected, sizeof expected, milliseconds(end_ns - now)))
            return PP_OK;
        if (GetLastError() != ERROR_TIMEOUT) return failed();
        now = pp_now_ns();
    } while (now < end_ns); /* its clock may be a tick ahead of ours */
    return PP_TIMEOUT;
}

void pp_os_wake(pp_a32 *word, int count, bool shared) {
    if (shared)
        wake_shared(spot_of(word), count > 1);
    else if (count > 1)
        WakeByAddressAll((PVOID)word);
    else
        WakeByAddressSingle((PVOID)word);
}

uint64_t pp_os_name(void) {
    unsigned high, low;
    /* Cannot fail on a running system. One name for all would wake sleepers for nothing and lose no wake. */
    if (rand_s(&high) != 0 || rand_s(&low) != 0) return 0;
    return (uint64_t)high << 32 | low;
}

#if !defined(CREATE_WAITABLE_TIMER_HIGH_RESOLUTION)
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x00000002
#endif

void pp_nap(uint64_t ns) {
    /* Sleep counts in ticks of up to 16 ms. Timers of high resolution are there since Windows 10 1803. */
    HANDLE timer =
        CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
    LARGE_INTEGER due = {.QuadPart = -(LONGLONG)((ns + 99) / 100)}; /* relative, in units of 100 ns */
    if (timer != NULL && SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE))
        WaitForSingleObject(timer, INFINITE);
    else
        Sleep((DWORD)(ns / 1000000u));
    if (timer != NULL) CloseHandle(timer);
}

void pp_bell_ring(int bell) {
    /* Handles have 32 significant bits. An event that is set already stays set. */
    if (bell >= 0) SetEvent((HANDLE)(intptr_t)bell);
}
#endif
