/* Weights in vectors of 64 bytes, looked up one by one. */
#ifndef LEAF_SCALAR_BYTES_H
#define LEAF_SCALAR_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int8_t bytes __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) bytes lookup(bytes grids, bytes codes) {
    const int8_t *grid = (const int8_t *)&grids, *code = (const int8_t *)&codes;
    int8_t found[sizeof(bytes)];
#pragma clang loop unroll(disable) vectorize(disable)
    for (size_t i = 0; i < sizeof found; i++) found[i] = grid[i / 16 * 16 + (size_t)code[i]];
    bytes numbers;
    memcpy(&numbers, found, sizeof numbers);
    return numbers;
}

#endif
