/* The program's own encoder, for study.py. */
#include "leaf_kernels.h"

void encode(leaf_layout layout, const int8_t *int8_tile, size_t padded_columns, void *tile) {
    leaf_kernels_best()->floats->encode(layout, int8_tile, padded_columns, tile);
}
