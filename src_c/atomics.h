/* atomics.h - the atomic operations that the core uses, and no others.
 *
 * Every shared word of the core is touched through these names, so that the memory order of an
 * operation can be read where it is used.  Acquire loads pair with release stores of the same word;
 * where an order is relaxed, the line that uses it says why that is enough.  ThreadSanitizer of gcc 12
 * does not understand bare fences, so the only fence here is the full one of the park protocol, and
 * it is written as a read-modify-write that the sanitizer follows.
 */
#ifndef PP_ATOMICS_H
#define PP_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

typedef _Atomic uint64_t pp_a64;
typedef _Atomic uint32_t pp_a32;

_Static_assert(sizeof(pp_a64) == 8, "an atomic word must be the plain word: it lives in shared memory");
_Static_assert(sizeof(pp_a32) == 4, "an atomic word must be the plain word: it lives in shared memory");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomics with hidden locks do not work between processes");

#define pp_load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define pp_load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define pp_store_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define pp_store_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define pp_add_rlx(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define pp_add_acqrel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define pp_add_seq(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define pp_load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)
#define pp_store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

/* Strong compare-and-swap; on failure *expected holds what was found. */
static inline bool pp_cas64(pp_a64 *p, uint64_t *expected, uint64_t wanted) {
    return atomic_compare_exchange_strong_explicit(p, expected, wanted, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* The same in the one order of all sequentially consistent operations: for a change that is followed by a
 * look at another word (Dekker). */
static inline bool pp_cas64_seq(pp_a64 *p, uint64_t *expected, uint64_t wanted) {
    return atomic_compare_exchange_strong_explicit(p, expected, wanted, memory_order_seq_cst,
                                                   memory_order_acquire);
}

static inline bool pp_cas32(pp_a32 *p, uint32_t *expected, uint32_t wanted) {
    return atomic_compare_exchange_strong_explicit(p, expected, wanted, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* Tell the processor that this is a spin loop. */
static inline void pp_relax(void) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_ARM64)
    __yield();
#else
    _mm_pause();
#endif
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
