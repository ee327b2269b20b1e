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

static uint64_t round_to_pages(uint64_t nbytes) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (nbytes + info.dwPageSize - 1) / info.dwPageSize * info.dwPageSize;
}

static int map(pp_segment *segment, HANDLE handle, uint64_t nbytes) {
    void *base = MapViewOfFile(handle, FILE_MAP_ALL_ACCESS, 0, 0, (SIZE_T)nbytes);
    if (base == NULL) return failed();
    segment->base = base;
    segment->nbytes = nbytes;
    segment->fd = (int)(intptr_t)handle;
    return PP_OK;
}

int pp_segment_create(pp_segment *segment, uint64_t nbytes) {
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
    if (nbytes == 0 || nbytes > INT64_MAX / 2) {
        errno = EINVAL;
        return PP_OSERROR;
    }
    nbytes = round_to_pages(nbytes);
    HANDLE handle = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE,
                                       (DWORD)(nbytes >> 32), (DWORD)nbytes, NULL);
    if (handle == NULL) return failed();
    int status = map(segment, handle, nbytes);
    if (status != PP_OK) CloseHandle(handle);
    return status;
}

int pp_segment_open(pp_segment *segment, int fd, uint64_t nbytes) {
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
    nbytes = round_to_pages(nbytes);
    if (nbytes == 0) return PP_CORRUPT;
    /* A view larger than the mapping is refused, which is the check of the size. */
    int status = map(segment, handle_of(fd), nbytes);
    return status == PP_OSERROR && errno == EACCES ? PP_CORRUPT : status;
}

int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) {
    if (offset > segment->nbytes || nbytes > segment->nbytes - offset) return PP_CORRUPT;
    if (nbytes == 0) return PP_OK;
    /* Pages committed through one view are committed in all of them; committing twice is allowed. */
    if (VirtualAlloc(segment->base + offset, (SIZE_T)nbytes, MEM_COMMIT, PAGE_READWRITE) == NULL)
        return failed();
    return PP_OK;
}

void pp_segment_close(pp_segment *segment) {
    if (segment->base == NULL) return;
    UnmapViewOfFile(segment->base);
    CloseHandle(handle_of(segment->fd));
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
}
#endif
