/* Weights in vectors of 64 bytes, looked up one by one. */
#ifndef LEAF_SCALAR_BYTES_H
#define LEAF_SCALAR_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef int8_t bytes __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) bytes lookup(bytes grids, bytes codes) {
    bytes found;
    for (size_t i = 0; i < sizeof found; i++) found[i] = grids[i / 16 * 16 + (size_t)codes[i]];
    return found;
}

#endif
