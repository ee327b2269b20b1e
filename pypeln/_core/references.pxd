"""How many references to an object there are, where that decides who may write to it."""

from cpython.object cimport PyObject

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PP_OTHERS_RUN 1
    /* Without the GIL an object has two counts, one of the thread that made it and one of all others, and who
       reads them one after the other may miss a reference that moves between the two. Exact is only what this
       thread's own objects have, whose first count nobody else changes, and what objects without a thread of
       their own have, which is in the second. Of all others somebody may have a reference. Acquire: who gave
       its reference up has read what is now written. */
    static inline Py_ssize_t pp_references_to(PyObject *value) {
        Py_ssize_t shared;
        if (_Py_IsOwnedByCurrentThread(value)) {
            uint32_t local = _Py_atomic_load_uint32_relaxed(&value->ob_ref_local);
            if (local == UINT32_MAX) return PY_SSIZE_T_MAX; /* immortal */
            shared = _Py_atomic_load_ssize_acquire(&value->ob_ref_shared);
            return (Py_ssize_t)local + Py_ARITHMETIC_RIGHT_SHIFT(Py_ssize_t, shared, _Py_REF_SHARED_SHIFT);
        }
        shared = _Py_atomic_load_ssize_acquire(&value->ob_ref_shared);
        if ((shared & _Py_REF_SHARED_FLAG_MASK) != _Py_REF_MERGED) return PY_SSIZE_T_MAX;
        return Py_ARITHMETIC_RIGHT_SHIFT(Py_ssize_t, shared, _Py_REF_SHARED_SHIFT);
    }
    /* A thread that starts is put at the head of the list, by a thread that runs: one that finds only itself
       stays alone while it starts none. No other thread's state is looked into, which may just go. */
    static inline int pp_is_alone(void) {
        PyThreadState *own = PyThreadState_Get();
        return PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own)) == own &&
            PyThreadState_Next(own) == NULL;
    }
    #else
    #define pp_is_alone() 1
    #define PP_OTHERS_RUN 0
    #define pp_references_to(value) Py_REFCNT(value)
    #endif
    """
    # Whether other threads may run while this one holds the GIL: free-threaded builds.
    const bint OTHERS_RUN "PP_OTHERS_RUN"
    # Whether no other thread runs Python code before this one does.
    bint is_alone "pp_is_alone" () noexcept
    # As many as there are, or more than anybody compares with when that cannot be said.
    Py_ssize_t references_to "pp_references_to" (PyObject *value) noexcept
