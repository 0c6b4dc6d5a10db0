/* What Swift cannot see of the C library: macros, variadic and GNU-only calls, one function or constant each. */
#ifndef LEAF_SYSTEM_H
#define LEAF_SYSTEM_H

/* O_DIRECT, which differs between processors. */
extern const int leaf_o_direct;

/* Keeps the allocator's own share small and bounded: at most two arenas however many threads there are, and pieces of
   128 KiB and more always mapped apart and given back when freed (by default that threshold grows with use).
   Call once, before other threads start. Nothing happens where the C library is not GNU's. */
void leaf_limit_malloc(void);

#endif
