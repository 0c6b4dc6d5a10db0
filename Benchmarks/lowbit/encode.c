/* The program's own encoder, for study.py. */
#include "leaf_kernels.h"

void encode(leaf_layout layout, const int8_t *int8_tile, size_t padded_columns, const float *feedback, void *tile) {
    leaf_kernels_best()->floats->encode(layout, int8_tile, padded_columns, feedback, tile);
}

void add_products(const float *x, size_t rows, size_t columns, float *products) {
    leaf_kernels_best()->floats->add_products(x, columns, rows, columns, products);
}
