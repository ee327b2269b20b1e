/* test_segment.c - segments: what they are made of, and who can open them. What only Linux has:
 * test_segment_linux.c. */
#include <string.h>

#include "check.h"
#include "layout.h"
#include "processes.h"
#include "segment.h"
#include "segment_pages.h"

/* Any system's pages are at least that large, and no larger than 64 KiB. */
#define PAGE 4096

static pp_segment memory;

static void a_fresh_segment_is_zero_and_whole_pages(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 5000), PP_OK);
    CHECK_EQUAL(segment.nbytes % PAGE, 0);
    CHECK(segment.nbytes >= 5000);
    CHECK_EQUAL(pp_segment_reserve(&segment, 0, segment.nbytes), PP_OK);
    for (uint64_t i = 0; i < segment.nbytes; i++) CHECK_EQUAL(segment.base[i], 0);
    pp_segment_close(&segment);
    CHECK(segment.base == NULL);
    pp_segment_close(&segment);
}

static void a_large_segment_has_no_pages_until_they_are_reserved(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, (uint64_t)1 << 32), PP_OK);
    CHECK_EQUAL(committed_bytes(&segment), 0);
    CHECK_EQUAL(pp_segment_reserve(&segment, (uint64_t)1 << 30, 1 << 20), PP_OK);
    memset(segment.base + ((uint64_t)1 << 30), 1, 1 << 20); /* where nothing can be reserved, this does it */
    CHECK_EQUAL(committed_bytes(&segment), 1 << 20);
    pp_segment_close(&segment);
}

static void reserving_keeps_what_was_written(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 1 << 20), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&segment, 0, PAGE), PP_OK);
    memset(segment.base, 7, 100);
    CHECK_EQUAL(pp_segment_reserve(&segment, 0, 1 << 20), PP_OK);
    CHECK_EQUAL(segment.base[99], 7);
    CHECK_EQUAL(pp_segment_reserve(&segment, segment.nbytes, 1), PP_CORRUPT);
    CHECK_EQUAL(pp_segment_reserve(&segment, 1, UINT64_MAX), PP_CORRUPT);
    pp_segment_close(&segment);
}

static void impossible_sizes_are_errors(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 0), PP_OSERROR);
    CHECK_EQUAL(pp_segment_create(&segment, UINT64_MAX), PP_OSERROR);
    CHECK(segment.base == NULL);
}

/* The other process: what it finds, and what it leaves. */
static void answer(uint32_t argument) {
    CHECK_EQUAL(memory.base[100], argument);
    CHECK_EQUAL(pp_segment_reserve(&memory, 1 << 16, 1 << 16), PP_OK);
    memory.base[1 << 16] = 43;
}

static void another_process_sees_the_same_bytes(void) {
    CHECK_EQUAL(pp_segment_create(&memory, 1 << 17), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&memory, 0, 1 << 16), PP_OK);
    memory.base[100] = 42;
    process_join(process_start(42));
    CHECK_EQUAL(memory.base[1 << 16], 43); /* in pages that it reserved */
    pp_segment_close(&memory);
}

static void more_than_there_is_cannot_be_opened(void) {
    pp_segment segment, other;
    CHECK_EQUAL(pp_segment_create(&segment, 1 << 16), PP_OK);
    CHECK_EQUAL(pp_segment_open(&other, segment.fd, 1 << 20), PP_CORRUPT);
    CHECK(other.base == NULL);
    CHECK_EQUAL(pp_segment_reserve(&segment, 0, 1 << 16), PP_OK); /* still the caller's */
    pp_segment_close(&segment);
}

int main(int argc, char **argv) {
    processes_begin(argc, argv, (process_plan){answer, {&memory}});
    RUN(a_fresh_segment_is_zero_and_whole_pages);
    RUN(a_large_segment_has_no_pages_until_they_are_reserved);
    RUN(reserving_keeps_what_was_written);
    RUN(impossible_sizes_are_errors);
    RUN(another_process_sees_the_same_bytes);
    RUN(more_than_there_is_cannot_be_opened);
    return 0;
}
