/* check.h - what the C tests share: a check that always counts, and worlds of processes and threads. */
#ifndef PP_TESTS_CHECK_H
#define PP_TESTS_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Not assert(): a release build must check as well. */
#define CHECK(condition)                                                                               \
    do {                                                                                               \
        if (!(condition)) {                                                                            \
            fprintf(stderr, "%s:%d: in %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition); \
            abort();                                                                                   \
        }                                                                                              \
    } while (0)

#define CHECK_EQUAL(found, expected)                                                                      \
    do {                                                                                                  \
        uint64_t found_ = (uint64_t)(found), expected_ = (uint64_t)(expected);                            \
        if (found_ != expected_) {                                                                        \
            fprintf(stderr, "%s:%d: in %s: %s is %llu, not %llu\n", __FILE__, __LINE__, __func__, #found, \
                    (unsigned long long)found_, (unsigned long long)expected_);                           \
            abort();                                                                                      \
        }                                                                                                 \
    } while (0)

#define RUN(test)                     \
    do {                              \
        test();                       \
        printf("passed %s\n", #test); \
        fflush(stdout);               \
    } while (0)

/* A small generator with its state in the caller's hands, so that threads and forks do not share one. */
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
