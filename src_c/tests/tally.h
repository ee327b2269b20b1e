/* tally.h - what came of every point at which something was killed or stopped. */
#ifndef PP_TESTS_TALLY_H
#define PP_TESTS_TALLY_H

#include <stdarg.h>

#include "check.h"

/* Of one point, or the sum of many. */
typedef struct {
    uint64_t points;
    uint64_t stuck;   /* points after which a queue, a slot or a waiter did not go on */
    uint64_t lost;    /* elements that are nowhere */
    uint64_t doubled; /* elements that are there twice */
    uint64_t leaked;  /* blocks that are in use and carry nothing */
} tally;

static tally total;
static unsigned complaints;

static inline void complain(const char *format, ...) {
    if (complaints++ >= 20) return; /* the first ones tell what is wrong */
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static inline void tally_add(tally *sum, const tally *one) {
    sum->points += one->points;
    sum->stuck += one->stuck;
    sum->lost += one->lost;
    sum->doubled += one->doubled;
    sum->leaked += one->leaked;
}

static inline void print_row(const char *operation, const char *queue, const tally *t) {
    printf("%-34s %-34s %7llu %5llu %5llu %7llu %6llu\n", operation, queue, (unsigned long long)t->points,
           (unsigned long long)t->stuck, (unsigned long long)t->lost, (unsigned long long)t->doubled,
           (unsigned long long)t->leaked);
    fflush(stdout);
}

static inline void print_heading(void) {
    printf("%-34s %-34s %7s %5s %5s %7s %6s\n", "operation", "queue", "points", "stuck", "lost", "doubled",
           "leaked");
}

/* One line of the table; what it says is part of the total. */
static inline void report(const char *operation, const char *queue, const tally *t) {
    print_row(operation, queue, t);
    tally_add(&total, t);
}

/* The last line, and the exit status of the program. Leaks are for the caller to judge, point by point:
 * those that a death is allowed to leave are counted, and any other is a complaint. */
static inline int report_total(void) {
    print_row("total", "", &total);
    CHECK(total.points > 0);
    return total.stuck || total.lost || total.doubled || complaints ? 1 : 0;
}

/* Every n-th instruction: 1 is all of them. Programs that would take minutes have another default, and try
 * the instructions after which shared memory has changed in any case; PYPELN_STEPS_EVERY overrules it. */
static inline uint64_t steps_every(uint64_t by_default) {
    const char *text = getenv("PYPELN_STEPS_EVERY");
    uint64_t every = text == NULL ? by_default : strtoull(text, NULL, 10);
    CHECK(every > 0);
    return every;
}

/* Whether the n-th of the rows that take longest is to be tried: all are, unless PYPELN_STEPS_PART says "0/3", "1/3"
 * or "2/3" for a third of them, or as many parts as it names. */
static inline bool steps_part(unsigned n) {
    const char *text = getenv("PYPELN_STEPS_PART");
    if (text == NULL) return true;
    char *rest;
    unsigned long part = strtoul(text, &rest, 10), parts = *rest == '/' ? strtoul(rest + 1, NULL, 10) : 0;
    CHECK(part < parts);
    return n % parts == part;
}

#endif
