#!/usr/bin/env python3
"""Makes Sources/CLeafKernels/product/q4_grids.c: the 256 grids of q4, and what the encoder searches them with.

Needs numpy. Deterministic; the grids are a part of the file format and must never change.

    python3 Scripts/make-grids.py > Sources/CLeafKernels/product/q4_grids.c
"""

import numpy as np

# A shape: how much shorter the positive side is, the entries below zero, and the powers by which the entries of either
# side grow. Each is used as it is and mirrored. Found by a random search on blocks of the demo model's even layers and
# of rows with normal, Laplace, Student's t and outlying numbers; the odd layers and other rows judged.
SHAPES = [(1.000, 8, 1.086, 1.086), (0.800, 8, 1.255, 1.038), (0.895, 8, 1.159, 1.323), (0.613, 9, 1.186, 1.135)]
SCALES = 32
# The widest grid reaches 127. At 8 a grid is the integers, and narrower ones would do nothing.
NARROWEST, WIDEST, DENSER_BELOW = 8, 127, 0.968
# Grids that are tried for a block, by their largest magnitude in units of the block's.
SEARCH = 0.92, 1.25


def rounded(grid):
    """Sixteen ascending integers with 0 among them, all different."""
    entries = np.round(grid).astype(int)
    zero = int(np.argmin(np.abs(grid)))
    entries[zero] = 0
    for i in range(zero + 1, 16):
        entries[i] = max(entries[i], entries[i - 1] + 1)
    for i in range(zero - 1, -1, -1):
        entries[i] = min(entries[i], entries[i + 1] - 1)
    return entries


def grids():
    """All grids, from the narrowest to the widest scale; of each scale every shape and its mirror image."""
    steps = (np.arange(SCALES) / (SCALES - 1)) ** DENSER_BELOW
    result = []
    for reach in NARROWEST * (WIDEST / NARROWEST) ** steps:
        for ratio, below, power_below, power_above in SHAPES:
            negative = -reach * (np.arange(below, 0, -1) / below) ** power_below
            positive = reach * ratio * (np.arange(1, 16 - below) / (15 - below)) ** power_above
            grid = np.concatenate([negative, [0.0], positive])
            result += [rounded(grid), rounded(-grid[::-1])]
    return np.array(result)


def zero_place(grid):
    return int(np.flatnonzero(grid == 0)[0])


def coded(grid):
    """The grid by codes, from 0 upwards and then the negative numbers, so that bytes of zeros are zeros."""
    return np.roll(grid, -zero_place(grid))


def thresholds(grid):
    """The largest integer that is at least as near to each entry as to the next, in the order of a heap from place 1
    on. Place 0 is what turns an entry's place in ascending order into its code, modulo 16."""
    between = (grid[1:] + grid[:-1]) // 2
    heap = [16 - zero_place(grid)] + [0] * 15
    for place in range(1, 16):
        level = place.bit_length() - 1
        heap[place] = between[(2 * (place - (1 << level)) + 1) * (8 >> level) - 1]
    return heap


def holders(grids, number):
    """Which grids hold a number, as four words of 64 bits."""
    bits = sum(1 << i for i, grid in enumerate(grids) if number in grid)
    return [bits >> (64 * i) & (2**64 - 1) for i in range(4)]


def search(grids, absmax):
    """The first and the number of the grids that are tried for a block; at 0 all."""
    if absmax == 0:
        return [0, len(grids)]
    reach = np.abs(grids).max(axis=1)
    tried = np.flatnonzero((reach >= SEARCH[0] * absmax) & (reach <= max(SEARCH[1] * absmax, NARROWEST)))
    return [tried[0], tried[-1] - tried[0] + 1]


def show(kind, name, rows, literal=str):
    print(f"const {kind} = {{")
    for row in rows:
        print("    {" + ", ".join(literal(int(x)) for x in row) + "},")
    print("};\n" if name else "};")


def main():
    table = grids()
    assert table.shape == (256, 16) and abs(table).max() <= 127
    print("/* Made by Scripts/make-grids.py. */\n#include \"../tables.h\"\n\n/* clang-format off */")
    show("int8_t leaf_q4_grids[LEAF_Q4_GRIDS][16]", 1, [coded(grid) for grid in table])
    show("int8_t leaf_q4_thresholds[LEAF_Q4_GRIDS][16]", 1, [thresholds(grid) for grid in table])
    bytes_in_order = list(range(128)) + list(range(-128, 0))
    show("uint64_t leaf_q4_holders[256][4]", 1, [holders(table, n) for n in bytes_in_order], lambda x: f"0x{x:x}")
    show("leaf_q4_range leaf_q4_search[128]", 0, [search(table, n) for n in range(128)])


if __name__ == "__main__":
    main()
