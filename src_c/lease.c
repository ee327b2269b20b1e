/* lease.c - the decision about an element, and what a death in the middle of it leaves: see lease.h. */
#include "lease.h"

void pp_lease_decide(pp_lease *lease, uint32_t outcome, uint64_t puts, uint64_t sent_now) {
    /* Only this worker writes its counters. Values and not increments, so that storing them twice is
     * storing them once. */
    pp_store_rlx(&lease->outcome, outcome);
    pp_store_rlx(&lease->puts, puts);
    pp_store_rlx(&lease->count, pp_load_rlx(&lease->outcomes[outcome]) + 1);
    pp_store_rlx(&lease->sent_now, sent_now);
    /* Crash before this store: undecided, executed again or lost. Crash after it: settle counts. */
    pp_store_rel(&lease->decided, pp_load_rlx(&lease->in));
}

int pp_lease_apply(pp_lease *lease) {
    uint64_t outcome = pp_load_rlx(&lease->outcome);
    if (outcome >= PP_OUTCOMES) return PP_CORRUPT;
    pp_store_rel(&lease->outcomes[outcome], pp_load_rlx(&lease->count));
    pp_store_rel(&lease->sent, pp_load_rlx(&lease->sent_now));
    return PP_OK;
}

uint64_t pp_lease_noted(const pp_lease *lease, const pp_a64 *word) {
    uint64_t noted = pp_load_acq(word);
    uint64_t in = pp_load_acq(&lease->in);
    return in != 0 && (noted >> PP_BEGUN_SHIFT) == (in << PP_BEGUN_SHIFT) >> PP_BEGUN_SHIFT
               ? noted & PP_BEGUN_MASK
               : 0;
}

void pp_lease_note(pp_lease *lease, pp_a64 *word, uint64_t value) {
    if (value > PP_BEGUN_MASK) value = PP_BEGUN_MASK;
    pp_store_rel(word, pp_load_rlx(&lease->in) << PP_BEGUN_SHIFT | value);
}

bool pp_lease_undecided(const pp_lease *lease) {
    uint64_t in = pp_load_acq(&lease->in);
    return in != 0 && pp_load_acq(&lease->decided) != in;
}

int pp_lease_settle(pp_lease *lease) {
    uint64_t in = pp_load_acq(&lease->in);
    int status = in != 0 && pp_load_acq(&lease->decided) == in ? pp_lease_apply(lease) : PP_OK;
    /* The worker counts what it takes after it has taken it; its end is known better. */
    bool has_element = pp_lease_undecided(lease) && !(lease->element.head.kind & PP_END);
    uint64_t ended = 0;
    for (int i = 0; i < PP_OUTCOMES; i++) ended += pp_load_acq(&lease->outcomes[i]);
    pp_store_rel(&lease->taken, ended + has_element);
    return status;
}

bool pp_lease_undoes(const pp_lease *lease) {
    uint64_t in = pp_load_acq(&lease->in);
    if (in == 0) return true; /* it was releasing, and nobody else will */
    /* It was releasing, and whoever takes its place will. */
    if (pp_load_acq(&lease->decided) == in || lease->element.head.kind & PP_END) return false;
    return pp_load_acq(&lease->out) >> PP_OUT_SHIFT != pp_load_acq(&lease->lending);
}
