#include "leaf_tokenizer_data.h"
