/* Float functions on NEON. */
#if defined(__aarch64__)

#include "../tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_HARDWARE_BYTES 1
#define LEAF_QUERY_TILE 6

#include "../float/table.h"

LEAF_FLOAT_TABLE(leaf_floats_neon, "neon");

#endif
