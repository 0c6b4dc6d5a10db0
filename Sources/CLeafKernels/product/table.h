/* The product of one instruction with tiles of one layout, from what its file has included. */
#ifndef LEAF_PRODUCT_TABLE_H
#define LEAF_PRODUCT_TABLE_H

#include "quantize.h"

#define LEAF_PRODUCT(symbol, label)                                                                                    \
    const leaf_product symbol = {                                                                                      \
        .name = label,                                                                                                 \
        .layout = LAYOUT,                                                                                              \
        .quantize_row = quantize_row,                                                                                  \
        .linear = linear,                                                                                              \
        .embed_row = embed_row,                                                                                        \
    }

#endif
