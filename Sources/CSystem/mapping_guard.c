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

/* SIGBUS is a matter of the whole process, so this is the one place with state of its own: which mappings are guarded. */
enum { most_guards = 64, page_bytes = 4096 };

static struct {
    _Atomic uintptr_t begin; /* 0: free */
    _Atomic uintptr_t end;
    atomic_int faults;
} guards[most_guards];

static struct sigaction previous;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int is_installed;

/* A page of zeros takes the place of the one that the file has no longer, and the fault is counted. */
static void handle(int number, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;
    for (int i = 0; i < most_guards; i++) {
        if (address < atomic_load(&guards[i].begin) || address >= atomic_load(&guards[i].end)) continue;
        int code = errno;
        void *page = (void *)(address & ~(uintptr_t)(page_bytes - 1));
        void *got = mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        errno = code;
        if (got == MAP_FAILED) break;
        atomic_fetch_add(&guards[i].faults, 1);
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        /* The access is tried again and ends the process, as it would have without us. */
        signal(SIGBUS, SIG_DFL);
    } else {
        previous.sa_handler(number);
    }
}

int leaf_guard_mapping(const void *base, size_t count) {
    pthread_mutex_lock(&lock);
    if (!is_installed) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        is_installed = sigaction(SIGBUS, &action, &previous) == 0;
    }
    int number = -1;
    for (int i = 0; is_installed && number < 0 && i < most_guards; i++) {
        if (atomic_load(&guards[i].begin) != 0) continue;
        atomic_store(&guards[i].faults, 0);
        atomic_store(&guards[i].end, (uintptr_t)base + count);
        atomic_store(&guards[i].begin, (uintptr_t)base);
        number = i;
    }
    pthread_mutex_unlock(&lock);
    return number;
}

int leaf_guarded_faults(int number) { return atomic_load(&guards[number].faults); }

void leaf_unguard_mapping(int number) {
    if (number < 0) return;
    atomic_store(&guards[number].end, 0);
    atomic_store(&guards[number].begin, 0);
}
