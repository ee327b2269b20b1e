/* park_windows.c - WaitOnAddress. It does not cross processes: a shared spot is refused. */
#if defined(_WIN32)
#include <windows.h>

#include "park.h"

int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared) {
    if (shared) return PP_OSERROR;
    if (WaitOnAddress((volatile VOID *)word, &expected, sizeof expected, (DWORD)(timeout_ns / 1000000u)))
        return PP_OK;
    return GetLastError() == ERROR_TIMEOUT ? PP_TIMEOUT : PP_OSERROR;
}

void pp_os_wake(pp_a32 *word, int count, bool shared) {
    if (shared) return;
    if (count > 1)
        WakeByAddressAll((PVOID)word);
    else
        WakeByAddressSingle((PVOID)word);
}
#endif
