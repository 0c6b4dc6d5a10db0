#define _GNU_SOURCE
#include "leaf_system.h"
#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

const int leaf_o_direct = O_DIRECT;

int leaf_punch_hole(int descriptor, long long offset, long long count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

void leaf_limit_malloc(void) {
#if defined(__GLIBC__)
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
#endif
}
