/* SPDX-License-Identifier: MIT */
/* bcryptprimitives.dll for Wine 8, which has none: the one function that Rust's standard library imports, so that wheels
 * with Rust inside (cryptography) load in the Windows test-bed. Guarantees: random bytes of Wine's own generator, as
 * RtlGenRandom (SystemFunction036 of advapi32) gives them. Never shipped, and never loaded on real Windows. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void *buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(unsigned char *buffer, SIZE_T length);

BOOL WINAPI ProcessPrng(unsigned char *buffer, SIZE_T length) {
    const SIZE_T step_max = 0x40000000;
    while (length > 0) {
        SIZE_T step = length < step_max ? length : step_max;
        if (!SystemFunction036(buffer, (ULONG)step)) {
            return FALSE;
        }
        buffer += step;
        length -= step;
    }
    return TRUE;
}
