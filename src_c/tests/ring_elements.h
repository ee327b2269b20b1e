/* ring_elements.h - elements for the tests of the ring, which show when one was torn or mixed up. */
#ifndef PP_TESTS_RING_ELEMENTS_H
#define PP_TESTS_RING_ELEMENTS_H

#include <string.h>

#include "check.h"
#include "ring.h"

#if defined(_WIN32)
#include <malloc.h>
#endif

/* Memory as a ring of threads has it. */
static inline void *aligned_zeros(uint64_t nbytes) {
    nbytes = (nbytes + PP_FAR - 1) / PP_FAR * PP_FAR;
#if defined(_WIN32)
    void *memory = _aligned_malloc((size_t)nbytes, PP_FAR);
#else
    void *memory = aligned_alloc(PP_FAR, (size_t)nbytes);
#endif
    CHECK(memory != NULL);
    return memset(memory, 0, (size_t)nbytes);
}

static inline void free_aligned(void *memory) {
#if defined(_WIN32)
    _aligned_free(memory);
#else
    free(memory);
#endif
}

static inline int push(pp_port *port, uint64_t element, pp_lease *lease) {
    uint64_t payload = ~element;
    pp_head head = {.kind = PP_INLINE, .depth = 1, .nbytes = sizeof payload, .index0 = element};
    return pp_push_small(port, &head, head.kind, &payload, sizeof payload, lease, 0);
}

static inline int pop(pp_port *port, uint64_t *element) {
    uint32_t nbytes = 0;
    uint64_t payload = 0;
    pp_slot *slot;
    int status = pp_pop_claim(port, &slot);
    if (status != PP_OK) return status;
    const unsigned char *at = pp_part(&slot->head, slot->body.bytes, port->part, &nbytes);
    CHECK(at != NULL && nbytes == sizeof payload);
    memcpy(&payload, at, sizeof payload);
    *element = slot->head.index0 + port->part;
    CHECK_EQUAL(payload, ~*element);
    pp_pop_free(port, slot);
    return PP_OK;
}

#endif
