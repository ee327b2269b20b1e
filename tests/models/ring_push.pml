/* ring_push.pml - the producers of ring.pml: claim a slot, or open the one published last again, and publish. */

inline push_claim(w) {
    do
    :: at = tail;
        look(at);
        if
        :: lead_is_zero && state == FREE ->
            swap(at, lap, WRITING, OWNER(w), 0, 0);
            if
            :: won -> help(tail); break
            :: else
            fi
        :: lead_is_positive || (lead_is_zero && state != FREE) -> help(tail)
        :: lead_is_negative ->
            /* Full: wait until trying again makes sense (can_push). */
            (tail != at || SLOT(at).lap >= LAP(at))
        fi
    od
}

/* `won` says whether the slot can be added to. */
inline push_reopen(w) {
    if
    :: written != 0 ->
        d_step {
            at = written - 1; lap = LAP(at); state = READY; owner = NOBODY; count = written_count; taken = 0;
            written = 0; written_count = 0
        };
        if
        :: count < MOST -> swap(at, lap, ADDING, OWNER(w), count, taken)
        :: else
        fi
    :: else
    fi
}

inline push_publish(w) {
    SLOT(at).holds.part[count] = hand[w];
    d_step { out[w] = at + 1; emitted[w] = 0 };
    store(at, LAP(at), READY, NOBODY, count + 1, taken);
    d_step {
        emitted[w] = 1; out[w] = 0;
#if MOST > 1
        written = at + 1; written_count = count + 1
#endif
    }
}

proctype producer(byte w) {
    SEEN, part;
    byte written, written_count; /* position + 1 of the slot that was published last, and what it held then */
    bit won;
    {
        do
        :: in[w] == 0 && answered[w] < EACH ->
            d_step { hand[w] = w * EACH + answered[w] + 1; emitted[w] = 0 };
            in[w] = 1
        :: in[w] != 0 ->
            if
            :: !emitted[w] ->
                push_reopen(w);
                if
                :: !won -> push_claim(w)
                :: else
                fi;
                push_publish(w)
            :: else
            fi;
progress_producer: skip;
            d_step { in[w] = 0; hand[w] = NOTHING; answered[w]++; forget() }
        :: in[w] == 0 && answered[w] == EACH -> break
        od;
        closed[w] = 1;
        running[w] = 0
    } unless { atomic { dead[w] -> gone[w] = 1; forget(); written = 0; written_count = 0 } }
}
