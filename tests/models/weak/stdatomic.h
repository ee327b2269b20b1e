/* stdatomic.h - what the core uses of <stdatomic.h>, carried out by Relacy's model of the C11 memory.
 *
 * Found before the compiler's own header when the core is compiled as C++ for the checker.  Every operation
 * is also a place where the thread may die: see mortal.h.
 */
#ifndef PP_WEAK_STDATOMIC_H
#define PP_WEAK_STDATOMIC_H

#include "mortal.h"

#define memory_order_relaxed rl::mo_relaxed
#define memory_order_acquire rl::mo_acquire
#define memory_order_release rl::mo_release
#define memory_order_acq_rel rl::mo_acq_rel
#define memory_order_seq_cst rl::mo_seq_cst

#define atomic_load_explicit(p, order) (weak::step(), (p)->load((order), $))
#define atomic_store_explicit(p, value, order) (weak::step(), (p)->store((value), (order), $))
#define atomic_exchange_explicit(p, value, order) (weak::step(), (p)->exchange((value), (order), $))
#define atomic_fetch_add_explicit(p, value, order) (weak::step(), (p)->fetch_add((value), (order), $))
#define atomic_fetch_sub_explicit(p, value, order) (weak::step(), (p)->fetch_sub((value), (order), $))
#define atomic_fetch_or_explicit(p, value, order) (weak::step(), (p)->fetch_or((value), (order), $))
#define atomic_compare_exchange_strong_explicit(p, expected, wanted, order, failed) \
    (weak::step(), (p)->compare_exchange_strong(*(expected), (wanted), (order), $, (failed), $))

#define ATOMIC_LLONG_LOCK_FREE 2

/* What the copies of the core call instead: the same operations, in the order that their site has now.  A
 * compare-and-swap has two sites, success and failure.  Relacy follows C11 in that a failure is never
 * stronger than the success. */
#include "orders.h"

#define pp_load_seq_at(site, p) atomic_load_explicit(p, orders[site])
#define pp_load_acq_at(site, p) atomic_load_explicit(p, orders[site])
#define pp_store_seq_at(site, p, value) atomic_store_explicit(p, value, orders[site])
#define pp_store_rel_at(site, p, value) atomic_store_explicit(p, value, orders[site])
#define pp_add_seq_at(site, p, value) atomic_fetch_add_explicit(p, value, orders[site])
#define pp_add_acqrel_at(site, p, value) atomic_fetch_add_explicit(p, value, orders[site])
#define pp_cas64_at(site, p, expected, wanted) \
    atomic_compare_exchange_strong_explicit(p, expected, wanted, orders[site], orders[(site) + 1])
#define pp_cas64_seq_at pp_cas64_at
#define pp_cas32_at pp_cas64_at
#define atomic_load_explicit_at(site, p, order) atomic_load_explicit(p, orders[site])
#define atomic_store_explicit_at(site, p, value, order) atomic_store_explicit(p, value, orders[site])
#define atomic_exchange_explicit_at(site, p, value, order) atomic_exchange_explicit(p, value, orders[site])
#define atomic_fetch_or_explicit_at(site, p, value, order) atomic_fetch_or_explicit(p, value, orders[site])
#define atomic_fetch_add_explicit_at(site, p, value, order) atomic_fetch_add_explicit(p, value, orders[site])
#define atomic_fetch_sub_explicit_at(site, p, value, order) atomic_fetch_sub_explicit(p, value, orders[site])

#endif
