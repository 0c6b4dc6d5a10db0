#include "leaf_tokenizer_data.h"

// #embed came with C23; clang offers it in every mode and warns outside of C23.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char vocabulary[] = {
#embed "data/vocab.txt"
};

static const unsigned char segmenter[] = {
#embed "data/segmenter.bin"
};

leaf_data leaf_vocabulary(void) {
    return (leaf_data){vocabulary, sizeof vocabulary};
}

leaf_data leaf_segmenter(void) {
    return (leaf_data){segmenter, sizeof segmenter};
}
