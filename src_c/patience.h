/* patience.h - whether a consumer naps until several elements have come, or is woken for each.
 *
 * Where as many processes compute as there are cores, who is woken takes the core from one of them: two switches and
 * a system call for an element, which may be a fifth of the time that a core has for it.  A nap in which many come
 * costs that once.  Whether it does no harm is found out by trying: as long as elements come no slower, from nap to
 * nap, than they did to a consumer that was woken for each, one nap follows another.  A source that waits for the
 * results that are napped over slows down; then there is no nap for 32 waits, then 64, up to 4096.
 */
#ifndef PP_PATIENCE_H
#define PP_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* The first nap is for so many elements, each that did no harm is followed by one for a few more, and none is for fewer
 * than the least, whatever the time that they take. */
#define PP_NAP_FIRST 16u
#define PP_NAP_LEAST 4u
/* Naps do no harm that make elements later by less than one part in so many. */
#define PP_MAY_LOSE 32u
#define PP_LEAST_AWAKE 32u
#define PP_LONGEST_AWAKE 4096u
/* After so many naps it is found out anew how fast elements come without. */
#define PP_NAPS_MOST 256u

typedef struct pp_patience {
    uint64_t most_ns;  /* a nap at most; 0: none at all */
    uint64_t since;    /* when the waits below began, or the last nap ended: ns */
    uint64_t apart_ns; /* from one element to the next, when each was waited for */
    uint64_t came;     /* elements since then */
    uint64_t there;    /* after the last nap: they came before it ended, and have been counted */
    int64_t lost_ns;   /* by how much naps have made them later, beyond one part in PP_MAY_LOSE */
    uint32_t waits;    /* since the last nap */
    uint32_t awake;    /* so many waits without a nap */
    uint32_t naps;     /* in a row that did no harm */
} pp_patience;

static inline void pp_patience_begin(pp_patience *p, uint64_t most_ns) {
    *p = (pp_patience){.most_ns = most_ns, .awake = PP_LEAST_AWAKE};
}

static inline void pp_patience_wake_for_each(pp_patience *p, uint64_t now) {
    p->came = 0;
    p->lost_ns = 0;
    p->waits = p->naps = 0;
    p->since = now;
}

/* A wait begins, and so many elements have been taken since the one before: how long to nap first, 0 for not at all. */
static inline uint64_t pp_patience_ask(pp_patience *p, uint64_t came, uint64_t now) {
    if (p->most_ns == 0) return 0;
    came = came > p->there ? came - p->there : 0;
    p->there = 0;
    if (p->naps == 0) {
        /* The first was on its way for as long as everything took to start. */
        if (p->since == 0) {
            if (came != 0) pp_patience_wake_for_each(p, now);
            return 0;
        }
        p->came += came;
        if (++p->waits <= p->awake || p->came == 0) return 0;
        p->apart_ns = (now - p->since) / p->came;
        pp_patience_wake_for_each(p, now);
        if (p->apart_ns * PP_NAP_LEAST > p->most_ns) return 0;
    }
    if (p->naps != 0) p->lost_ns -= (int64_t)(came * p->apart_ns);
    uint64_t nap_ns = p->apart_ns * (PP_NAP_FIRST + 4 * p->naps);
    return nap_ns < p->most_ns ? nap_ns : p->most_ns;
}

/* A nap is over, and so many elements are there: all that came since the last one ended, or since it began.
 *
 * One nap tells little: in one of sixteen elements there are some more or less.  What is lost is added up over naps,
 * and never less than nothing, so that what is lost now counts no less for what was gained before (a CUSUM chart, Page,
 * "Continuous inspection schemes", Biometrika 41, 1954). */
static inline void pp_patience_judge(pp_patience *p, uint64_t came, uint64_t now) {
    uint64_t span = now - p->since;
    p->there = came;
    p->lost_ns += (int64_t)(span - span / PP_MAY_LOSE) - (int64_t)(came * p->apart_ns);
    if (p->lost_ns < 0) p->lost_ns = 0;
    bool harmless = p->lost_ns < (int64_t)span / 2;
    if (harmless && p->naps < PP_NAPS_MOST) {
        p->naps++;
        p->since = now;
        return;
    }
    if (harmless)
        p->awake = PP_LEAST_AWAKE;
    else if (p->awake < PP_LONGEST_AWAKE)
        p->awake *= 2;
    pp_patience_wake_for_each(p, now);
}

#endif
