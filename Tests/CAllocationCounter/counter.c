#define _GNU_SOURCE
#include "allocation_counter.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static _Atomic int is_counting;
static _Atomic long allocations, bytes, live, peak;

static void add(long size) {
    long now = (live += size), before = peak;
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) {}
}

static void *note(void *memory, size_t size) {
    if (memory) add((long)malloc_usable_size(memory));
    if (is_counting) {
        allocations++;
        bytes += (long)size;
    }
    return memory;
}

void *malloc(size_t size) { return note(__libc_malloc(size), size); }
void *calloc(size_t count, size_t size) { return note(__libc_calloc(count, size), count * size); }
void *memalign(size_t alignment, size_t size) { return note(__libc_memalign(alignment, size), size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

void *realloc(void *old, size_t size) {
    long before = old ? (long)malloc_usable_size(old) : 0;
    void *memory = __libc_realloc(old, size);
    if (memory || size == 0) live -= before;
    return note(memory, size);
}

void free(void *memory) {
    if (!memory) return;
    live -= (long)malloc_usable_size(memory);
    __libc_free(memory);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
    void *memory = (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
    if (memory != MAP_FAILED && !(flags & MAP_FIXED)) add((long)size);
    return memory;
}

void *mmap64(void *address, size_t size, int protection, int flags, int file, off_t offset) {
    return mmap(address, size, protection, flags, file, offset);
}

int munmap(void *address, size_t size) {
    int result = (int)syscall(SYS_munmap, address, size);
    if (result == 0) live -= (long)size;
    return result;
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

long allocation_live_bytes(void) { return live; }
long allocation_peak_bytes(void) { return peak; }
void allocation_peak_reset(void) { peak = live; }

#else

int allocation_counter_works(void) { return 0; }
void allocation_counter_begin(void) {}
allocation_count allocation_counter_end(void) { return (allocation_count){0, 0}; }
long allocation_live_bytes(void) { return 0; }
long allocation_peak_bytes(void) { return 0; }
void allocation_peak_reset(void) {}

#endif
