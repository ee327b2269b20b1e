/* segment_pages.h - how much memory a segment really has. */
#ifndef PP_TESTS_SEGMENT_PAGES_H
#define PP_TESTS_SEGMENT_PAGES_H

#include "check.h"
#include "segment.h"

#if defined(_WIN32)

#include <windows.h>

static inline uint64_t committed_bytes(const pp_segment *segment) {
    uint64_t committed = 0;
    MEMORY_BASIC_INFORMATION part;
    for (uint64_t at = 0; at < segment->nbytes; at += part.RegionSize) {
        CHECK(VirtualQuery(segment->base + at, &part, sizeof part) == sizeof part);
        if (part.State == MEM_COMMIT) committed += part.RegionSize;
    }
    return committed;
}

#elif defined(__APPLE__)

#include <sys/mman.h>
#include <unistd.h>

/* There it is the pages that were touched: nothing is committed before. */
static inline uint64_t committed_bytes(const pp_segment *segment) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), committed = 0;
    for (uint64_t at = 0; at < segment->nbytes; at += page) {
        char resident;
        CHECK_EQUAL(mincore(segment->base + at, page, &resident), 0);
        if (resident & MINCORE_INCORE) committed += page;
    }
    return committed;
}

#else

#include <sys/stat.h>

static inline uint64_t committed_bytes(const pp_segment *segment) {
    struct stat found;
    CHECK_EQUAL(fstat(segment->fd, &found), 0);
    return (uint64_t)found.st_blocks * 512;
}

#endif

#endif
