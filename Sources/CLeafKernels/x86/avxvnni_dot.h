/* vpdpbusd on 256 bits: AVX-VNNI, which processors without AVX-512 have too. */
#ifndef LEAF_X86_AVXVNNI_DOT_H
#define LEAF_X86_AVXVNNI_DOT_H

#include <immintrin.h>

#include "../product/byte_planes.h"

#define LEAF_DOT_SUMS 4
#define LEAF_DOTS_IN_FLIGHT 4

typedef union {
    i32x16 whole;
    __m256i half[2];
} two_halves;

LEAF_INLINE i32x16 dot_bytes(i32x16 sums, i32x16 weights, i32x16 activations) {
    two_halves s = {sums}, w = {weights}, a = {activations};
    for (int i = 0; i < 2; i++) s.half[i] = _mm256_dpbusd_avx_epi32(s.half[i], w.half[i], a.half[i]);
    return s.whole;
}

#endif
