/* window.h - how far a source may run ahead of an `ordered` stage that waits for its oldest element.
 *
 * `ordered` keeps what arrives early until its turn comes.  What bounds that memory is that no source
 * element is let in while it is more than `span` positions ahead of the oldest one not yet released,
 * or, while the stage holds more than it should (`pressed`), ahead of that one at all.  The oldest
 * element itself is always let in, so this can delay but never stop a pipeline.
 *
 * One writer (the ordered stage), any number of waiting sources.
 */
#ifndef PP_WINDOW_H
#define PP_WINDOW_H

#include "park.h"

typedef struct pp_window {
    pp_a64 floor;   /* every source position below has been released */
    pp_a32 pressed; /* 1: the ordered stage holds more than its share */
    pp_a32 aborted;
    uint64_t span;
    pp_spot spot;
    unsigned char pad[PP_FAR - 24 - sizeof(pp_spot)];
} pp_window;

_Static_assert(sizeof(pp_window) == PP_FAR, "windows share no line");

static inline bool pp_window_admits(pp_window *window, uint64_t position) {
    uint64_t floor = atomic_load_explicit(&window->floor, memory_order_seq_cst);
    if (position <= floor) return true;
    return position - floor < window->span && !pp_load_seq(&window->pressed);
}

/* PP_OK when it may be admitted now, PP_TIMEOUT, PP_SIGNAL, PP_ABORTED. */
static inline int pp_window_wait(pp_window *window, uint64_t position, uint64_t timeout_ns) {
    if (pp_window_admits(window, position)) return PP_OK;
    uint32_t key = pp_spot_register(&window->spot);
    if (pp_window_admits(window, position)) return PP_OK;
    if (pp_load_seq(&window->aborted)) return PP_ABORTED;
    int rc = pp_spot_sleep(&window->spot, key, timeout_ns);
    if (pp_load_seq(&window->aborted)) return PP_ABORTED;
    return rc;
}

static inline void pp_window_advance(pp_window *window, uint64_t floor, bool pressed, int bell) {
    atomic_store_explicit(&window->floor, floor, memory_order_seq_cst);
    atomic_store_explicit(&window->pressed, pressed, memory_order_seq_cst);
    if (pp_load_seq(&window->spot.waiters) != 0) pp_spot_wake_all(&window->spot, bell);
}

#endif
