/* The product of NEON's i8mm with q3 weights. */
#if defined(__aarch64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)

#include "bytes.h"

#include "../product/q3.h"

#include "i8mm_dot.h"
#include "neon_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q3_i8mm, "i8mm");

#endif
