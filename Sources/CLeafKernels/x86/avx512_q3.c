/* The product of AVX-512 with VNNI with q3 weights. */
#if defined(__x86_64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))),   \
                             apply_to = function)

#include "bytes512.h"
#include "avx512_dot.h"

#include "../product/q3.h"

#include "vnni.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q3_avx512, "avx512");

#endif
