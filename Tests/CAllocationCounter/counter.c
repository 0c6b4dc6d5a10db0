#include "allocation_counter.h"

#include <errno.h>
#include <stddef.h>

#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic int is_counting;
static _Atomic long allocations, bytes;

static void note(size_t size) {
    if (!is_counting) return;
    allocations++;
    bytes += (long)size;
}

void *malloc(size_t size) { return note(size), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return note(count * size), __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return note(size), __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return note(size), __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

int allocation_counter_works(void) { return 1; }

void allocation_counter_begin(void) {
    allocations = bytes = 0;
    is_counting = 1;
}

allocation_count allocation_counter_end(void) {
    is_counting = 0;
    return (allocation_count){allocations, bytes};
}

#else

int allocation_counter_works(void) { return 0; }
void allocation_counter_begin(void) {}
allocation_count allocation_counter_end(void) { return (allocation_count){0, 0}; }

#endif
