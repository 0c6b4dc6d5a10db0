/* Weights in vectors of 32 bytes. */
#ifndef LEAF_X86_BYTES256_H
#define LEAF_X86_BYTES256_H

#include <immintrin.h>

typedef int8_t bytes __attribute__((vector_size(32)));

static inline __attribute__((always_inline)) bytes lookup(bytes grids, bytes codes) {
    return (bytes)_mm256_shuffle_epi8((__m256i)grids, (__m256i)codes);
}

#endif
