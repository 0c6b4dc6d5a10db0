/* Float functions on 256 bits: AVX2, FMA and F16C. */
#if defined(__x86_64__)

#include "../tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_HARDWARE_BYTES 1
#define LEAF_QUERY_TILE 6

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../float/table.h"

#pragma clang attribute pop

LEAF_FLOAT_TABLE(leaf_floats_avx2, "avx2");

#endif
