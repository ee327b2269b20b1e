/* clock.h - the monotonic clock, in nanoseconds: of all processes of a system the same. */
#ifndef PP_CLOCK_H
#define PP_CLOCK_H

#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
static inline uint64_t pp_now_ns(void) {
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    uint64_t whole = (uint64_t)(count.QuadPart / frequency.QuadPart);
    uint64_t rest = (uint64_t)(count.QuadPart % frequency.QuadPart);
    return whole * 1000000000u + rest * 1000000000u / (uint64_t)frequency.QuadPart;
}
#elif defined(__APPLE__)
#include <time.h>
/* CLOCK_MONOTONIC goes on there while the machine sleeps, and counts in microseconds. */
static inline uint64_t pp_now_ns(void) { return clock_gettime_nsec_np(CLOCK_UPTIME_RAW); }
#else
#include <time.h>
static inline uint64_t pp_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif

#endif
