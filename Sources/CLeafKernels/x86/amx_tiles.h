/* The instructions of AMX that a product takes. A tile is named by a constant, 0 to 7; `stride` is the bytes from one
 * of its rows in memory to the next. */
#ifndef LEAF_X86_AMX_TILES_H
#define LEAF_X86_AMX_TILES_H

#include <immintrin.h>

#define tile_configure(shapes) _tile_loadconfig(shapes)
#define tile_release() _tile_release()
#define tile_zero(tile) _tile_zero(tile)
#define tile_load(tile, from, stride) _tile_loadd(tile, from, stride)
#define tile_store(tile, to, stride) _tile_stored(tile, to, stride)
/* sums += the dot products of four signed bytes of a row of `a` and four of a column of `b`. */
#define tile_dot(sums, a, b) _tile_dpbssd(sums, a, b)

#endif
