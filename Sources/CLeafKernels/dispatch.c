#include "leaf_kernels.h"
