#include "heap_peak.h"

// Of the sanitizer's runtime. A program without it does not link this file.
int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void *, size_t), void (*freed)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *);

static _Thread_local int is_counting;
static _Thread_local long live, peak;

// The C library rounds up and keeps a length in front.
static long cost(size_t size) { return size <= 24 ? 32 : (long)((size + 8 + 15) & ~(size_t)15); }

static void note_allocation(const volatile void *memory, size_t size) {
    (void)memory;
    if (!is_counting) return;
    live += cost(size);
    if (live > peak) peak = live;
}

static void note_free(const volatile void *memory) {
    if (is_counting && memory) live -= cost(__sanitizer_get_allocated_size(memory));
}

void heap_peak_begin(void) {
    static int is_installed;
    if (!is_installed) is_installed = __sanitizer_install_malloc_and_free_hooks(note_allocation, note_free);
    live = peak = 0;
    is_counting = 1;
}

size_t heap_peak_end(void) {
    is_counting = 0;
    return (size_t)peak;
}
