/* The product of one instruction with int8 tiles, from what its file has included and its own `linear`. */
#ifndef LEAF_PRODUCT_TABLE_H
#define LEAF_PRODUCT_TABLE_H

#include "quantize.h"

#define LEAF_INT8_PRODUCT(symbol, label)                                                                               \
    const leaf_product symbol = {                                                                                      \
        .name = label,                                                                                                 \
        .layout = LEAF_LAYOUT_INT8,                                                                                    \
        .quantize_row = quantize_row,                                                                                  \
        .linear = linear,                                                                                              \
        .embed_row = embed_row,                                                                                        \
    }

#endif
