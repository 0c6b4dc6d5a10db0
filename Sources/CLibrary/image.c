#define _GNU_SOURCE
#include "leaf_library.h"
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <unistd.h>

enum { PAGE = 4096, ENTRIES = 512 };

typedef struct {
    uintptr_t inside; /* an address of the library */
    uintptr_t first, last;
} image;

static int find(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    image *own = context;
    uintptr_t first = UINTPTR_MAX, last = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD) continue;
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        if (begin < first) first = begin;
        if (begin + part->p_memsz > last) last = begin + part->p_memsz;
    }
    if (own->inside < first || own->inside >= last) return 0;
    own->first = first / PAGE * PAGE;
    own->last = last;
    return 1;
}

long leaf_library_image_bytes(void) {
    image own = {.inside = (uintptr_t)&leaf_library_image_bytes};
    dl_iterate_phdr(find, &own);
    long pages = (long)((own.last - own.first + PAGE - 1) / PAGE);
    int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    /* Where the kernel does not say it, all of it. */
    if (map < 0) return pages * PAGE;
    uint64_t entries[ENTRIES];
    long present = 0;
    for (long page = 0; page < pages; page += ENTRIES) {
        long count = pages - page < ENTRIES ? pages - page : ENTRIES;
        ssize_t bytes = pread(map, entries, (size_t)count * 8, (off_t)((own.first / PAGE + (uintptr_t)page) * 8));
        if (bytes < 0) {
            present += count;
            continue;
        }
        for (long i = 0; i < bytes / 8; i++) present += (long)(entries[i] >> 63);
    }
    close(map);
    return present * PAGE;
}
