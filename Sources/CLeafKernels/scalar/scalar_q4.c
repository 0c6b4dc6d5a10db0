/* The product in plain C with q4 weights. */
#include "../tables.h"

#include "bytes.h"

#include "../product/q4.h"

#include "scalar_product.h"

LEAF_PRODUCT(leaf_q4_scalar, "scalar");
