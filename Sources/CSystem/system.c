#define _GNU_SOURCE
#include "leaf_system.h"
#include <fcntl.h>

const int leaf_o_direct = O_DIRECT;
