#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "leaf_system.h"

/* SIGBUS is a matter of the whole process, so this is the one place with state of its own: which mappings are
   guarded. */
enum { most_guards = 64, page_bytes = 4096 };

static struct {
    /* Even while the two addresses belong together; odd while somebody changes them. */
    atomic_uint version;
    _Atomic uintptr_t begin; /* 0: free */
    _Atomic uintptr_t end;
    atomic_int file_faults;
    atomic_int memory_faults;
} guards[most_guards];

static struct sigaction previous;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void set_range(int number, uintptr_t begin, uintptr_t end) {
    atomic_fetch_add(&guards[number].version, 1);
    atomic_store(&guards[number].begin, begin);
    atomic_store(&guards[number].end, end);
    atomic_fetch_add(&guards[number].version, 1);
}

/* Whoever reads a mapping keeps its guard: a slot that changes meanwhile is about another one. */
static int guard_of(uintptr_t address) {
    for (int i = 0; i < most_guards; i++) {
        unsigned version = atomic_load(&guards[i].version);
        uintptr_t begin = atomic_load(&guards[i].begin);
        uintptr_t end = atomic_load(&guards[i].end);
        if (version % 2 != 0 || version != atomic_load(&guards[i].version)) continue;
        if (begin != 0 && address >= begin && address < end) return i;
    }
    return -1;
}

/* A page of zeros takes the place of the one that cannot be read. */
static int replace_page(uintptr_t address) {
    int code = errno;
    void *page = (void *)(address & ~(uintptr_t)(page_bytes - 1));
    void *got = mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = code;
    return got != MAP_FAILED;
}

/* As it would have been without us. */
static void pass_on(int number, siginfo_t *info, void *context, int is_fault) {
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else if (is_fault || previous.sa_handler == SIG_DFL) {
        /* The process ends: a fault happens again when the access is tried again, a signal that was sent comes
           again. */
        signal(SIGBUS, SIG_DFL);
        if (!is_fault) raise(SIGBUS);
    }
}

static void handle(int number, siginfo_t *info, void *context) {
    /* Only the kernel knows an address; what a process sent has a code of 0 or less. */
    int is_fault = info->si_code > 0;
    int found = is_fault ? guard_of((uintptr_t)info->si_addr) : -1;
    if (found >= 0 && replace_page((uintptr_t)info->si_addr)) {
        int is_memory = info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO;
        atomic_fetch_add(is_memory ? &guards[found].memory_faults : &guards[found].file_faults, 1);
        return;
    }
    pass_on(number, info, context, is_fault);
}

/* Again when somebody took it away. A handler that was installed over ours is left there: it knows of ours, and calling
   each other we would never end. */
static int install(void) {
    struct sigaction current;
    if (sigaction(SIGBUS, NULL, &current) != 0) return 0;
    int is_ours = (current.sa_flags & SA_SIGINFO) && current.sa_sigaction == handle;
    static int was_installed;
    int is_free = !(current.sa_flags & SA_SIGINFO) && (current.sa_handler == SIG_DFL || current.sa_handler == SIG_IGN);
    if (is_ours || (was_installed && !is_free)) return 1;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    previous = current;
    was_installed = sigaction(SIGBUS, &action, NULL) == 0;
    return was_installed;
}

int leaf_guard_mapping(const void *base, size_t count) {
    pthread_mutex_lock(&lock);
    int number = -1;
    for (int i = 0; number < 0 && i < most_guards; i++) {
        if (atomic_load(&guards[i].begin) == 0) number = i;
    }
    if (number >= 0 && install()) {
        atomic_store(&guards[number].file_faults, 0);
        atomic_store(&guards[number].memory_faults, 0);
        set_range(number, (uintptr_t)base, (uintptr_t)base + count);
    } else {
        number = -1;
    }
    pthread_mutex_unlock(&lock);
    return number;
}

leaf_mapping_faults leaf_guarded_faults(int number) {
    leaf_mapping_faults faults = {
        .file = atomic_load(&guards[number].file_faults), .memory = atomic_load(&guards[number].memory_faults)};
    return faults;
}

void leaf_unguard_mapping(int number) {
    pthread_mutex_lock(&lock);
    set_range(number, 0, 0);
    pthread_mutex_unlock(&lock);
}
