/* The product of NEON with q3 weights. */
#if defined(__aarch64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "bytes.h"

#include "../product/q3.h"

#include "neon_dot.h"
#include "neon_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q3_neon, "neon");

#endif
