/* bench_arena.c - prints what the arena's operations cost; medians of several rounds, in nanoseconds. */
#include <string.h>

#include "arena.h"
#include "check.h"
#include "clock.h"

#define MIB ((uint64_t)1 << 20)

enum { ROUNDS = 9, STEPS = 200000 };

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_median(const char *what, double *rounds) {
    qsort(rounds, ROUNDS, sizeof *rounds, ascending);
    printf("%-60s %10.1f ns\n", what, rounds[ROUNDS / 2]);
}

static void bench_creation(uint64_t capacity) {
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        pp_segment segment;
        pp_arena arena;
        uint64_t start = pp_now_ns();
        CHECK_EQUAL(pp_segment_create(&segment, pp_arena_segment_bytes(capacity)), PP_OK);
        CHECK_EQUAL(pp_arena_create(&segment, capacity), PP_OK);
        CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_OK);
        rounds[round] = (double)(pp_now_ns() - start);
        pp_segment_close(&segment);
    }
    print_median("create segment and arena of 1 GiB, open", rounds);
}

/* `in_flight` blocks are in use all the time; the oldest is released first, as a queue does. */
static void bench_cycle(uint64_t nbytes, uint64_t in_flight, uint64_t capacity) {
    pp_segment segment;
    pp_arena arena;
    CHECK_EQUAL(pp_segment_create(&segment, pp_arena_segment_bytes(capacity)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&segment, capacity), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_OK);
    pp_descriptor *blocks = malloc(in_flight * sizeof *blocks);
    CHECK(blocks != NULL);
    for (uint64_t i = 0; i < in_flight; i++) {
        CHECK_EQUAL(pp_arena_allocate(&arena, nbytes, &blocks[i]), PP_OK);
        CHECK_EQUAL(pp_arena_publish(&arena, blocks[i], 1), PP_OK);
    }
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = pp_now_ns(), at = 0;
        for (int step = 0; step < STEPS; step++) {
            CHECK_EQUAL(pp_arena_release(&arena, blocks[at]), PP_OK);
            CHECK_EQUAL(pp_arena_allocate(&arena, nbytes, &blocks[at]), PP_OK);
            CHECK_EQUAL(pp_arena_publish(&arena, blocks[at], 1), PP_OK);
            if (++at == in_flight) at = 0;
        }
        rounds[round] = (double)(pp_now_ns() - start) / STEPS;
    }
    char what[100];
    snprintf(what, sizeof what, "allocate, publish, release: %llu B, %llu in flight",
             (unsigned long long)nbytes, (unsigned long long)in_flight);
    print_median(what, rounds);
    free(blocks);
    pp_segment_close(&segment);
}

/* What an arena that is full answers, and how soon. */
static void bench_full(uint64_t nbytes, uint64_t capacity) {
    pp_segment segment;
    pp_arena arena;
    pp_descriptor block;
    CHECK_EQUAL(pp_segment_create(&segment, pp_arena_segment_bytes(capacity)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&segment, capacity), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_OK);
    while (pp_arena_allocate(&arena, nbytes, &block) == PP_OK) {
    }
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = pp_now_ns();
        for (int step = 0; step < 1000; step++)
            CHECK_EQUAL(pp_arena_allocate(&arena, nbytes, &block), PP_FULL);
        rounds[round] = (double)(pp_now_ns() - start) / 1000;
    }
    char what[100];
    snprintf(what, sizeof what, "allocate in a full arena of %llu MiB: %llu B",
             (unsigned long long)(capacity / MIB), (unsigned long long)nbytes);
    print_median(what, rounds);
    pp_segment_close(&segment);
}

int main(void) {
    bench_creation(1024 * MIB);
    bench_cycle(256, 1, 64 * MIB);
    bench_cycle(256, 100, 64 * MIB);
    bench_cycle(256, 9000, 64 * MIB);
    bench_cycle(65536, 100, 64 * MIB);
    bench_cycle(524288, 3, 64 * MIB);
    bench_cycle(8 * MIB, 3, 64 * MIB);
    bench_cycle(256, 4095, MIB); /* one block is free at any time */
    bench_full(256, 64 * MIB);
    bench_full(65536, 64 * MIB);
    return 0;
}
