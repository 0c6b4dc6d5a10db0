/* What Swift cannot see of the C library: macros, variadic and GNU-only calls, one function or constant each. */
#ifndef LEAF_SYSTEM_H
#define LEAF_SYSTEM_H

#include <stddef.h>

/* O_DIRECT, which differs between processors. */
extern const int leaf_o_direct;

/* Gives the disk space of a range back; the file keeps its size and reads zeros there. 0, or -1 and errno. */
int leaf_punch_hole(int descriptor, long long offset, long long count);

/* The machine's memory in bytes and what of it nobody uses, by a call and not by a file; zeros if it is refused. */
typedef struct {
    long long total;
    long long free;
} leaf_memory;
leaf_memory leaf_machine_memory(void);

/* How many processors this process may run on; at least one. */
int leaf_processors(void);

/* The largest resident size of this process in bytes, or of the program that became it; 0 if it is refused. */
long long leaf_peak_bytes(void);

/* Keeps the allocator's own share small and bounded: at most this many arenas however many threads there are, of which
   all but the first reserve addresses of 64 MiB, and pieces of 128 KiB and more always mapped apart and given back when
   freed (by default that threshold grows with use).
   Call once, before other threads start. Nothing happens where the C library is not GNU's. */
void leaf_limit_malloc(int arenas);

/* Guards a mapped file of 4096-byte pages: a page that cannot be read when it is looked at reads as zeros instead of
   raising SIGBUS, and is counted, so that whoever used it can find out. The first call installs a handler of SIGBUS for
   the whole process; what is not about a guarded mapping, and what another process sent, goes on to the handler that
   was there before. Returns a number for the calls below, or -1 when there are too many or the handler is refused. */
int leaf_guard_mapping(const void *base, size_t count);

/* Pages of a guarded mapping that could not be read, by what the kernel says: the file does not have them any more or
   the disk does not give them, or the machine's memory has failed. */
typedef struct {
    int file;
    int memory;
} leaf_mapping_faults;
leaf_mapping_faults leaf_guarded_faults(int number);

/* Before the mapping is unmapped. */
void leaf_unguard_mapping(int number);

#endif
