/* SPDX-License-Identifier: BSD-3-Clause */
/* Which kernels a call uses: the best that the processor has, unless the environment asks for less. */
#include <stdlib.h>

#include "kernels.h"

static int is_set(const char *name) {
    const char *value = getenv(name);
    return value && value[0] && strcmp(value, "0") != 0;
}

#if defined(CBN_HAVE_X86) || defined(CBN_HAVE_NEON)
static int allowed(const char *name) {
    const char *wanted = getenv("CBN_INSTRUCTION_SET");
    return !wanted || !wanted[0] || strcmp(wanted, name) == 0;
}
#endif

const cbn_kernels *cbn_kernels_select(void) {
    if (is_set("CBN_FORCE_GENERIC")) return &cbn_kernels_generic;
#ifdef CBN_HAVE_X86
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512vpopcntdq");
    if (avx512 && allowed("avx512")) return &cbn_kernels_avx512;
    if (avx2 && allowed("avx2")) return &cbn_kernels_avx2;
#elif defined(CBN_HAVE_NEON)
    if (allowed("neon")) return &cbn_kernels_neon; /* every processor of this architecture has it */
#endif
    return &cbn_kernels_generic;
}
