/* Weights in vectors of 64 bytes. */
#ifndef LEAF_X86_BYTES512_H
#define LEAF_X86_BYTES512_H

#include <immintrin.h>

typedef int8_t bytes __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) bytes lookup(bytes grids, bytes codes) {
    return (bytes)_mm512_shuffle_epi8((__m512i)grids, (__m512i)codes);
}

#endif
