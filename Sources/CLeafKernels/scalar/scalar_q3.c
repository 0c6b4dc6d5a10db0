/* The product in plain C with q3 weights. */
#include "../tables.h"

#include "bytes.h"

#include "../product/q3.h"

#include "scalar_product.h"

LEAF_PRODUCT(leaf_q3_scalar, "scalar");
