/* Float functions on 512 bits. */
#if defined(__x86_64__)

#include "../tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_HARDWARE_BYTES 1
#define LEAF_QUERY_TILE 12

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),              \
                             apply_to = function)

#include "../float/table.h"

#pragma clang attribute pop

LEAF_FLOAT_TABLE(leaf_floats_avx512, "avx512");

#endif
