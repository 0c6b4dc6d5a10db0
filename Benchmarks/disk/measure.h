/* What the programs of this folder share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline _Noreturn void fail(const char *what, int code) {
    fprintf(stderr, "%s: %s\n", what, strerror(code));
    exit(1);
}

/* Memory that is there already, in huge pages or in ordinary ones. In a huge page a request is one piece of memory, not one for
 * each 4 KiB, which virtual disks feel. */
static inline char *touched(size_t bytes, int in_huge_pages) {
    void *memory;
    int code = posix_memalign(&memory, 2 << 20, bytes);
    if (code) fail("posix_memalign", code);
    madvise(memory, bytes, in_huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return memset(memory, 1, bytes);
}
