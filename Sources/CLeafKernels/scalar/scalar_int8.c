/* The product in plain C with int8 weights. */
#include "../tables.h"

#include "bytes.h"

#include "../product/int8.h"

#include "scalar_product.h"

LEAF_PRODUCT(leaf_int8_scalar, "scalar");
