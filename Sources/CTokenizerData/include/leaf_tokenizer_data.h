// CPM-Ant's vocabulary and jieba's dictionary, as they are put into a model file.
#ifndef LEAF_TOKENIZER_DATA_H
#define LEAF_TOKENIZER_DATA_H

#include <stddef.h>

/// Bytes that live as long as the program.
typedef struct {
    const unsigned char *bytes;
    size_t count;
} leaf_data;

/// vocab.txt: UTF-8, one token a line, 30720 tokens (OpenBMB/CPM-Live, Apache-2.0).
leaf_data leaf_vocabulary(void);

/// segmenter.bin: jieba 0.42.1's dictionary and HMM tables (MIT), made by Scripts/make-segmenter-data.py.
leaf_data leaf_segmenter(void);

#endif
