/* Float functions in plain C for any processor. */
#include "../tables.h"

#define LEAF_HARDWARE_HALF 0
#define LEAF_HARDWARE_BYTES 0
#define LEAF_QUERY_TILE 3

#include "../float/table.h"

LEAF_FLOAT_TABLE(leaf_floats_scalar, "scalar");
