/* The program's own encoder and decoder of q4, for study.py. */
#include "leaf_kernels.h"

void encode(const int8_t *int8_tile, size_t padded_columns, void *tile) {
    leaf_kernels_best()->floats->encode_q4(int8_tile, padded_columns, tile);
}
