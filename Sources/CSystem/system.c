#define _GNU_SOURCE
#include "leaf_system.h"
#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

const int leaf_o_direct = O_DIRECT;

void leaf_limit_malloc(void) {
#if defined(__GLIBC__)
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
#endif
}

void leaf_start_writing(int descriptor, int64_t offset, int64_t count) {
#if defined(__linux__)
    (void)sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
#else
    (void)descriptor, (void)offset, (void)count;
#endif
}
