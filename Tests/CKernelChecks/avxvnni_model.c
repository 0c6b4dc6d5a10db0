#define LEAF_QUERY_TILE 6
#define LEAF_DOT_SUMS 4
#define LEAF_DOTS_IN_FLIGHT 4
#include "vnni_model.h"

const leaf_kernels *kernel_check_avxvnni_model(void) { return model(); }
