/* Counts the heap of the library alone: it is linked with --wrap, so that calls of its own code, and of the Swift
   runtime in it, come here, and those of its host do not. What the C library allocates in calls such as realpath, and
   is freed here, makes the sum too small by as much. */
#include "leaf_library.h"
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

void *__real_malloc(size_t) __attribute__((weak));
void *__real_calloc(size_t, size_t) __attribute__((weak));
void *__real_realloc(void *, size_t) __attribute__((weak));
void *__real_aligned_alloc(size_t, size_t) __attribute__((weak));
int __real_posix_memalign(void **, size_t, size_t) __attribute__((weak));
void __real_free(void *) __attribute__((weak));

static atomic_long held;
static atomic_long most;

long leaf_library_heap_bytes(void) {
    long bytes = atomic_load_explicit(&held, memory_order_relaxed);
    return bytes < 0 ? 0 : bytes;
}

long leaf_library_heap_peak_bytes(void) { return atomic_load_explicit(&most, memory_order_relaxed); }

static void *count(void *block) {
    if (!block) return NULL;
    long size = (long)malloc_usable_size(block);
    long now = atomic_fetch_add_explicit(&held, size, memory_order_relaxed) + size;
    long peak = atomic_load_explicit(&most, memory_order_relaxed);
    while (now > peak &&
           !atomic_compare_exchange_weak_explicit(&most, &peak, now, memory_order_relaxed, memory_order_relaxed)) {
    }
    return block;
}

static void discount(void *block) {
    if (block) atomic_fetch_sub_explicit(&held, (long)malloc_usable_size(block), memory_order_relaxed);
}

void *__wrap_malloc(size_t size) { return count(__real_malloc(size)); }

void *__wrap_calloc(size_t number, size_t size) { return count(__real_calloc(number, size)); }

void *__wrap_aligned_alloc(size_t alignment, size_t size) { return count(__real_aligned_alloc(alignment, size)); }

int __wrap_posix_memalign(void **block, size_t alignment, size_t size) {
    int status = __real_posix_memalign(block, alignment, size);
    if (status == 0) count(*block);
    return status;
}

void *__wrap_realloc(void *block, size_t size) {
    long before = block ? (long)malloc_usable_size(block) : 0;
    void *moved = __real_realloc(block, size);
    /* What was refused is as it was. */
    if (moved || size == 0) {
        atomic_fetch_sub_explicit(&held, before, memory_order_relaxed);
        count(moved);
    }
    return moved;
}

void __wrap_free(void *block) {
    discount(block);
    __real_free(block);
}
