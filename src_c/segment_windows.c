/* segment_windows.c - an unnamed mapping of the paging file, reserved first and committed in parts.
 *
 * `fd` carries the mapping's HANDLE: Windows guarantees that handles have 32 significant bits, so that
 * an int holds one.  A child inherits it or the parent duplicates it into the child (DuplicateHandle).  The
 * system frees the mapping with its last handle and view, whatever ends the processes, and nobody can change
 * its size.
 */
#if defined(_WIN32)
#include "segment.h"

#include <windows.h>

#include <errno.h>

#include "layout.h"

static HANDLE handle_of(int fd) { return (HANDLE)(intptr_t)fd; }

/* The rest of the core reads errno after PP_OSERROR. */
static int failed(void) {
    DWORD error = GetLastError();
    if (error == ERROR_COMMITMENT_LIMIT || error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_OUTOFMEMORY)
        return PP_NOMEM;
    errno = error == ERROR_INVALID_HANDLE ? EBADF : error == ERROR_ACCESS_DENIED ? EACCES : EINVAL;
    return PP_OSERROR;
}

uint64_t pp_os_page_nbytes(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

int pp_os_segment_new(int *fd, uint64_t nbytes) {
    HANDLE handle = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE,
                                       (DWORD)(nbytes >> 32), (DWORD)nbytes, NULL);
    if (handle == NULL) return failed();
    *fd = (int)(intptr_t)handle;
    return PP_OK;
}

int pp_os_segment_map(pp_segment *segment, int fd, uint64_t nbytes) {
    void *base = MapViewOfFile(handle_of(fd), FILE_MAP_ALL_ACCESS, 0, 0, (SIZE_T)nbytes);
    if (base == NULL) {
        int status = failed();
        /* A view larger than the mapping is refused, which is the check of the size. */
        return status == PP_OSERROR && errno == EACCES ? PP_CORRUPT : status;
    }
    *segment = (pp_segment){.base = base, .nbytes = nbytes, .fd = fd};
    return PP_OK;
}

void pp_os_segment_unmap(pp_segment *segment) { UnmapViewOfFile(segment->base); }

void pp_os_segment_drop(int fd) { CloseHandle(handle_of(fd)); }

int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) {
    if (offset > segment->nbytes || nbytes > segment->nbytes - offset) return PP_CORRUPT;
    if (nbytes == 0) return PP_OK;
    /* Pages committed through one view are committed in all of them; committing twice is allowed. */
    if (VirtualAlloc(segment->base + offset, (SIZE_T)nbytes, MEM_COMMIT, PAGE_READWRITE) == NULL)
        return failed();
    return PP_OK;
}
#endif
