/* lease.c - what a death in the middle of a decision leaves, and what is noted for an element: see lease.h. */
#include "lease.h"

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
