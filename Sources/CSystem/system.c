#define _GNU_SOURCE
#include "leaf_system.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

const int leaf_o_direct = O_DIRECT;

int leaf_punch_hole(int descriptor, long long offset, long long count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

leaf_memory leaf_machine_memory(void) {
    struct sysinfo facts;
    leaf_memory memory = {0, 0};
    if (sysinfo(&facts) == 0) {
        memory.total = (long long)facts.totalram * facts.mem_unit;
        memory.free = (long long)(facts.freeram + facts.bufferram) * facts.mem_unit;
    }
    return memory;
}

int leaf_processors(void) {
    /* The kernel refuses a mask that is shorter than its own, which nobody tells the length of. */
    union {
        cpu_set_t set;
        unsigned char bytes[8192];
    } mask = {.bytes = {0}};
    if (sched_getaffinity(0, sizeof mask, &mask.set) != 0) return 1;
    int count = CPU_COUNT_S(sizeof mask, &mask.set);
    return count > 0 ? count : 1;
}

long long leaf_peak_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (long long)usage.ru_maxrss * 1024 : 0;
}

void leaf_limit_malloc(int arenas) {
    (void)arenas;
#if defined(__GLIBC__)
    mallopt(M_ARENA_MAX, arenas);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
#endif
}
