"""The C core, as Cython sees it: src_c/*.h, name by name."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "layout.h" nogil:
    enum: PP_PARTS, PP_BODY_BYTES, PP_MAX_DEPTH, PP_INLINE, PP_BLOCK, PP_OBJECT, PP_END
    enum: PP_OK, PP_EMPTY, PP_FULL, PP_CLOSED, PP_ABORTED, PP_TIMEOUT, PP_SIGNAL
    enum: PP_NOMEM, PP_TOOBIG, PP_CORRUPT, PP_OSERROR
    enum: PP_READ_ONLY
    ctypedef struct pp_head:
        uint16_t nbytes
        uint16_t refs
        uint8_t kind
        uint8_t depth
        uint16_t lane
        uint64_t index0
    ctypedef struct pp_descriptor:
        uint64_t offset
        uint64_t nbytes
    ctypedef struct pp_reference:
        uint64_t offset
        uint32_t arena
        uint32_t flags
    ctypedef struct pp_object:
        void *value
        void *index
    ctypedef union pp_body:
        unsigned char bytes[40]
        pp_descriptor block
        pp_object object
    ctypedef struct pp_slot:
        pp_head head
        pp_body body

cdef extern from "atomics.h" nogil:
    ctypedef struct pp_a64:
        pass
    ctypedef struct pp_a32:
        pass
    bint pp_cas64(pp_a64 *p, uint64_t *expected, uint64_t wanted) noexcept
    uint64_t load64 "pp_load_acq"(pp_a64 *p) noexcept
    uint32_t load32 "pp_load_acq"(pp_a32 *p) noexcept
    void store64 "pp_store_rel"(pp_a64 *p, uint64_t v) noexcept
    void store32 "pp_store_rel"(pp_a32 *p, uint32_t v) noexcept
    uint64_t add64 "pp_add_rlx"(pp_a64 *p, uint64_t v) noexcept

cdef extern from "fault_point.h" nogil:
    void PP_FAULT_POINT(const char *name) noexcept

cdef extern from "clock.h" nogil:
    uint64_t pp_now_ns() noexcept

cdef extern from "process.h" nogil:
    uint64_t pp_process_born(int64_t pid) noexcept
    int pp_process_follow(int alive) noexcept

cdef extern from "park.h" nogil:
    uint32_t PP_ARMED
    ctypedef struct pp_spot:
        pp_a32 waiters
    void pp_spot_create(pp_spot *spot, bint shared) noexcept
    uint32_t pp_spot_register(pp_spot *spot) noexcept
    int pp_spot_sleep(pp_spot *spot, uint32_t key, uint64_t timeout_ns) noexcept
    void pp_spot_arm(pp_spot *spot) noexcept
    void pp_spot_notify(pp_spot *spot, int bell) noexcept
    void pp_spot_wake_all(pp_spot *spot, int bell) noexcept
    void pp_nap(uint64_t ns) noexcept
    void pp_bell_ring(int bell) noexcept

cdef extern from "lease.h" nogil:
    enum: PP_STARTING, PP_WAITING, PP_WORKING, PP_FINISHED
    enum: PP_FATE_NONE, PP_FATE_RETRY, PP_FATE_TIMED_OUT, PP_FATE_LOST
    enum: PP_EMITTED, PP_FILTERED, PP_FAILED, PP_TIMED_OUT, PP_LOST
    enum: PP_OUT_SHIFT
    ctypedef struct pp_lease:
        pp_a64 in_hand "in"
        pp_a64 out
        pp_a64 out_ring
        pp_a64 started_ns
        pp_a32 state
        pp_a32 fate
        pp_a64 begun
        pp_a64 intent
        pp_a64 sent_before
        pp_slot element
        pp_a64 taken
        pp_a64 outcomes[5]
        pp_a64 sent
        pp_a64 retried
        pp_a64 puts
        pp_a64 restarts
        pp_a64 lending
    void pp_lease_decide(pp_lease *lease, uint32_t outcome, uint64_t puts, uint64_t sent_now) noexcept
    int pp_lease_apply(pp_lease *lease) noexcept
    uint64_t pp_lease_noted(const pp_lease *lease, const pp_a64 *word) noexcept
    void pp_lease_note(pp_lease *lease, pp_a64 *word, uint64_t value) noexcept
    bint pp_lease_undecided(const pp_lease *lease) noexcept
    bint pp_lease_undoes(const pp_lease *lease) noexcept
    int pp_lease_settle(pp_lease *lease) noexcept

cdef extern from "parts.h" nogil:
    ctypedef struct pp_tip:
        pass
    ctypedef struct pp_pack:
        pp_slot slot
        uint32_t count
    void pp_tip_begin(pp_tip *tip, const pp_head *head, uint32_t nbytes) noexcept
    void pp_pack_begin(pp_pack *pack, const pp_head *first) noexcept
    bint pp_pack_add(pp_pack *pack, const void *payload, uint32_t nbytes) noexcept
    ctypedef struct pp_cursor:
        uint32_t part
        uint32_t begin
        uint32_t end
    const unsigned char *pp_part_at(const pp_head *head, const unsigned char *body, uint32_t part,
                                    pp_cursor *cursor, uint32_t *nbytes) noexcept
    const unsigned char *pp_part(const pp_head *head, const unsigned char *body, uint32_t part,
                                 uint32_t *nbytes) noexcept

cdef extern from "ring.h" nogil:
    enum: PP_OWNER_MAX
    ctypedef struct pp_ring:
        uint32_t capacity
        uint32_t producers
        pp_a32 aborted
        uint32_t several
        pp_a64 head
        pp_a64 tail
        pp_spot not_empty
        pp_spot not_full
    ctypedef struct pp_patience:
        uint64_t most_ns
    ctypedef struct pp_port:
        pp_ring *ring
        uint32_t owner
        int bell
        uint64_t busy
        uint32_t part
        bint several
        pp_tip tip
        pp_patience patience
        pp_slot batch
        uint32_t batch_next
        uint32_t batch_count
    uint64_t pp_ring_bytes(uint32_t capacity, uint32_t producers) noexcept
    void pp_ring_allow_several(pp_ring *ring, bint sole) noexcept
    bint pp_ring_valid(const pp_ring *ring, uint64_t nbytes) noexcept
    void pp_ring_create(pp_ring *ring, uint32_t capacity, uint32_t producers, bint shared) noexcept
    int pp_port_open(pp_port *port, pp_ring *ring, uint64_t nbytes,
                     uint32_t owner, uint32_t producer) noexcept
    void pp_port_spare_wakes(pp_port *port, uint64_t most_ns) noexcept
    int pp_push_claim(pp_port *port, pp_slot **out) noexcept
    void pp_push_publish(pp_port *port, pp_slot *slot, pp_lease *lease, uint32_t outlet) noexcept
    int pp_push_small(pp_port *port, const pp_head *place, unsigned char kind, const void *payload,
                      uint32_t nbytes, pp_lease *lease, uint32_t outlet) noexcept
    int pp_push_pack(pp_port *port, const pp_pack *pack) noexcept
    void pp_push_cancel(pp_port *port, pp_slot *slot) noexcept
    void pp_push_close(pp_port *port) noexcept
    int pp_pop_claim(pp_port *port, pp_slot **out) noexcept
    void pp_pop_free(pp_port *port, pp_slot *slot) noexcept
    int pp_pop_lease(pp_port *port, pp_lease *lease) noexcept
    int pp_wait_pop(pp_port *port, uint64_t timeout_ns) noexcept
    int pp_wait_push(pp_port *port, uint64_t timeout_ns) noexcept
    int pp_wait_block(pp_port *port, uint64_t timeout_ns) noexcept
    uint64_t pp_ring_count(const pp_ring *ring) noexcept
    uint64_t pp_ring_elements(const pp_ring *ring) noexcept
    bint pp_ring_closed(pp_ring *ring) noexcept
    void pp_ring_abort(pp_ring *ring, int bell) noexcept
    void pp_ring_wake_all(pp_ring *ring, int bell) noexcept
    void pp_ring_close_for(pp_ring *ring, uint32_t producer) noexcept
    void pp_ring_settle(pp_ring *ring, pp_lease *lease, uint32_t owner) noexcept
    uint32_t pp_ring_mend(pp_ring *ring, pp_lease *lease, uint32_t owner) noexcept

cdef extern from "window.h" nogil:
    ctypedef struct pp_window:
        pp_a64 floor
        pp_a32 pressed
        pp_a32 aborted
        uint64_t span
        pp_spot spot
    bint pp_window_admits(pp_window *window, uint64_t position) noexcept
    int pp_window_wait(pp_window *window, uint64_t position, uint64_t timeout_ns) noexcept
    void pp_window_advance(pp_window *window, uint64_t floor, bint pressed, int bell) noexcept

cdef extern from "segment.h" nogil:
    ctypedef struct pp_segment:
        unsigned char *base
        uint64_t nbytes
        int fd
    int pp_segment_create(pp_segment *segment, uint64_t nbytes) noexcept
    int pp_segment_open(pp_segment *segment, int fd, uint64_t nbytes) noexcept
    int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) noexcept
    void pp_segment_close(pp_segment *segment) noexcept

cdef extern from "arena.h" nogil:
    enum: PP_BLOCK_MIN, PP_LARGE_SHARE
    const uint64_t PP_CHUNK_BYTES
    ctypedef struct pp_arena:
        uint64_t chunks
        uint64_t common
        uint64_t holdable
        uint64_t payload_offset
        uint16_t owner
    uint64_t pp_arena_segment_bytes(uint64_t capacity) noexcept
    int pp_arena_create(pp_segment *segment, uint64_t capacity) noexcept
    ctypedef struct pp_zones:
        uint64_t common, large, spare
    int pp_arena_create_zones(pp_segment *segment, pp_zones zones, bint poisons) noexcept
    uint64_t pp_arena_holdable_for(const pp_arena *arena, uint64_t nbytes) noexcept
    int pp_arena_open(pp_arena *arena, pp_segment *segment, uint16_t owner) noexcept
    int pp_arena_allocate(pp_arena *arena, uint64_t nbytes, pp_descriptor *out) noexcept
    int pp_arena_spill(pp_arena *arena, uint64_t nbytes, pp_descriptor *out) noexcept
    void *pp_arena_bytes(const pp_arena *arena, pp_descriptor block) noexcept
    int pp_arena_publish(pp_arena *arena, pp_descriptor block, uint32_t count) noexcept
    int pp_arena_retain(pp_arena *arena, pp_descriptor block) noexcept
    int pp_arena_release(pp_arena *arena, pp_descriptor block) noexcept
    uint64_t pp_arena_repair(pp_arena *arena, uint16_t dead) noexcept
    void pp_arena_usage(const pp_arena *arena, uint64_t *capacity, uint64_t *blocks_in_use,
                        uint64_t *bytes_in_use, uint64_t *bytes_reserved) noexcept

cdef extern from "holding.h" nogil:
    ctypedef unsigned char pp_bool "bool"
    enum: PP_HOLDERS
    enum:
        PP_COPIED_IN, PP_COPIED_HELD, PP_COPIED_BUSY, PP_LENT, PP_VIEWED, PP_COPIED_OUT, PP_BORN,
        PP_COPIED_TYPE, PP_FIGURES
    int pp_block_at(const pp_arena *arena, uint64_t offset, uint64_t nbytes, pp_descriptor *block) noexcept
    int pp_block_hold(const pp_arena *arena, pp_descriptor block, unsigned int holder) noexcept
    int pp_block_drop(const pp_arena *arena, pp_descriptor block,
                      unsigned int holder, pp_bool *freed) noexcept
    int pp_block_lend(const pp_arena *arena, pp_descriptor block,
                      unsigned int holder, uint16_t lender) noexcept
    int pp_block_lent(const pp_arena *arena, pp_descriptor block, uint16_t lender) noexcept
    int pp_block_return(const pp_arena *arena, pp_descriptor block,
                        uint16_t lender, pp_bool *freed) noexcept
    int pp_block_leave(const pp_arena *arena, pp_descriptor block, uint16_t leaver) noexcept
    bint pp_arena_may_hold(pp_arena *arena, unsigned int holder, uint64_t nbytes, uint64_t limit) noexcept
    void pp_arena_unhold(pp_arena *arena, unsigned int holder, uint64_t nbytes) noexcept
    bint pp_arena_is_held(const pp_arena *arena) noexcept
    void pp_arena_press(pp_arena *arena, bint pressed) noexcept
    void pp_arena_note(pp_arena *arena, int figure, uint64_t nbytes) noexcept
    void pp_arena_note_many(pp_arena *arena, int figure, uint64_t count, uint64_t nbytes) noexcept
    void pp_arena_figure(const pp_arena *arena, int figure, uint64_t *count, uint64_t *nbytes) noexcept
    void pp_arena_discard(const pp_arena *arena, unsigned int holder) noexcept
    void pp_block_discard(const pp_arena *arena, pp_descriptor block) noexcept
    void pp_arena_settle(pp_arena *arena, uint16_t dead, int holder, bint undo) noexcept
