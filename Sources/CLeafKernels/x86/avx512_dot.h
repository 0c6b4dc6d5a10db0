/* vpdpbusd on 512 bits: AVX-512 with VNNI. */
#ifndef LEAF_X86_AVX512_DOT_H
#define LEAF_X86_AVX512_DOT_H

#include <immintrin.h>

#include "../product/byte_planes.h"

#define LEAF_DOT_SUMS 24
#define LEAF_DOTS_IN_FLIGHT 8

LEAF_INLINE i32x16 dot_bytes(i32x16 sums, i32x16 weights, i32x16 activations) {
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, (__m512i)activations);
}

#endif
