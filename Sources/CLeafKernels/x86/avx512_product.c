/* The product by vpdpbusd on 512 bits: AVX-512 with VNNI. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "../tables.h"

#define LEAF_DOT_SUMS 24
#define LEAF_DOTS_IN_FLIGHT 8

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))),   \
                             apply_to = function)

#include "../product/byte_planes.h"

LEAF_INLINE i32x16 dot_bytes(i32x16 sums, i32x16 weights, i32x16 activations) {
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, (__m512i)activations);
}

#include "vnni.h"

#pragma clang attribute pop

LEAF_INT8_PRODUCT(leaf_int8_avx512, "avx512");

#endif
