/* AVX-512 with VNNI. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "../tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_QUERY_TILE 12

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))),   \
                             apply_to = function)

#include "../byte_planes.h"

LEAF_INLINE i32x16 dot_bytes(i32x16 sums, i32x16 weights, i32x16 activations) {
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, (__m512i)activations);
}

#include "vnni.h"

#pragma clang attribute pop

LEAF_KERNEL_TABLE(leaf_kernels_avx512, LEAF_ISA_AVX512, "avx512");

#endif
