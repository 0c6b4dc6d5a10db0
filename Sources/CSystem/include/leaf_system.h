/* What Swift cannot see of the C library: macros, variadic and GNU-only calls, one function or constant each. */
#ifndef LEAF_SYSTEM_H
#define LEAF_SYSTEM_H

extern const int leaf_o_direct;

#endif
