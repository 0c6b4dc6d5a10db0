#define LEAF_QUERY_TILE 12
#define LEAF_DOT_SUMS 24
#define LEAF_DOTS_IN_FLIGHT 8
#include "vnni_model.h"

const leaf_kernels *kernel_check_avx512_model(void) { return model(); }
