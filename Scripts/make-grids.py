#!/usr/bin/env python3
"""Makes the grids of a low-bit layout, and what the encoder searches them with.

Needs numpy. Deterministic; the grids are a part of the file format and must never change.

    python3 Scripts/make-grids.py q4 > Sources/CLeafKernels/product/q4_grids.c
    python3 Scripts/make-grids.py q3 > Sources/CLeafKernels/product/q3_grids.c
"""

import sys

import numpy as np

COUNT, WIDEST = 256, 127


class Layout:
    """The grids of one layout.

    A shape: how much shorter the positive side is, the entries below zero, and the powers by which the entries of
    either side grow. Each is used as it is and mirrored. Found by a random search on blocks of the demo model's even
    layers and of rows with normal, Laplace, Student's t and outlying numbers; the odd layers and other rows judged."""

    def __init__(self, bits, shapes, narrowest, denser_below, tried, slack=0, before=()):
        self.shapes, self.entries = shapes, 1 << bits
        # Grids that are tried for a block, by their largest magnitude in units of the block's; and how much less than
        # that it may be.
        self.tried, self.slack = tried, slack
        # Narrower grids than the scales have, and their mirror images.
        self.before = before
        # Scales are geometric, but for the power by which they lie denser below.
        self.narrowest, self.denser_below = narrowest, denser_below
        self.table = self.grids()
        assert self.table.shape == (COUNT, self.entries) and abs(self.table).max() <= 127
        self.check_misses()

    def rounded(self, grid):
        """Ascending integers with 0 among them, all different."""
        entries = np.round(grid).astype(int)
        zero = int(np.argmin(np.abs(grid)))
        entries[zero] = 0
        for i in range(zero + 1, self.entries):
            entries[i] = max(entries[i], entries[i - 1] + 1)
        for i in range(zero - 1, -1, -1):
            entries[i] = min(entries[i], entries[i + 1] - 1)
        return entries

    def grids(self):
        """All grids, from the narrowest to the widest scale; of each scale every shape and its mirror image."""
        scales = COUNT // (2 * len(self.shapes))
        steps = (np.arange(scales) / (scales - 1)) ** self.denser_below
        result = [grid for first in self.before for grid in (np.array(first), -np.array(first)[::-1])]
        for reach in self.narrowest * (WIDEST / self.narrowest) ** steps:
            for ratio, below, power_below, power_above in self.shapes:
                above = self.entries - 1 - below
                negative = -reach * (np.arange(below, 0, -1) / below) ** power_below
                positive = reach * ratio * (np.arange(1, above + 1) / above) ** power_above
                grid = np.concatenate([negative, [0.0], positive])
                result += [self.rounded(grid), self.rounded(-grid[::-1])]
        return np.array(result)

    def thresholds(self, grid):
        """The largest integer that is at least as near to each entry as to the next, in the order of a heap from place
        1 on. Place 0 is what turns an entry's place in ascending order into its code, modulo the number of entries."""
        between = (grid[1:] + grid[:-1]) // 2
        heap = [self.entries - zero_place(grid)] + [0] * (self.entries - 1)
        for place in range(1, self.entries):
            level = place.bit_length() - 1
            heap[place] = between[(2 * (place - (1 << level)) + 1) * (self.entries // 2 >> level) - 1]
        return heap

    def holders(self, number):
        """Which grids hold a number, as four words of 64 bits."""
        bits = sum(1 << i for i, grid in enumerate(self.table) if number in grid)
        return [bits >> (64 * i) & (2**64 - 1) for i in range(COUNT // 64)]

    def search(self, absmax):
        """The first and the number of the grids that are tried for a block; at 0 all."""
        if absmax == 0:
            return [0, COUNT]
        reach = np.abs(self.table).max(axis=1)
        least, most = self.tried[0] * absmax - self.slack, max(self.tried[1] * absmax, reach[0])
        tried = np.flatnonzero((reach >= least) & (reach <= most))
        return [tried[0], tried[-1] - tried[0] + 1]

    def check_misses(self):
        """No number may be missed by more than 64: the encoder's sums have 32 bits."""
        for absmax in range(1, 128):
            first, count = self.search(absmax)
            numbers = np.arange(-absmax, absmax + 1)[:, None]
            assert max(abs(numbers - grid).min(axis=1).max() for grid in self.table[first:first + count]) <= 64


LAYOUTS = {
    # At 8 a grid of 16 is the integers, and narrower ones would do nothing.
    "q4": lambda: Layout(4, [(1.000, 8, 1.086, 1.086), (0.800, 8, 1.255, 1.038), (0.895, 8, 1.159, 1.323),
                             (0.613, 9, 1.186, 1.135)], 8, 0.968, tried=(0.92, 1.25)),
    "q3": lambda: Layout(3, [(1.000, 4, 1.076, 1.053), (0.756, 4, 1.189, 1.014), (0.877, 4, 1.088, 1.312),
                             (0.655, 4, 1.001, 1.073), (0.554, 4, 1.381, 1.106), (0.846, 3, 1.258, 1.163)],
                         7.502, 0.745, tried=(0.92, 1.25), slack=3,
                         before=[range(-4, 4), (-6, -4, -2, -1, 0, 1, 3, 5)]),
}


def zero_place(grid):
    return int(np.flatnonzero(grid == 0)[0])


def coded(grid):
    """The grid by codes, from 0 upwards and then the negative numbers, so that bytes of zeros are zeros."""
    return np.roll(grid, -zero_place(grid))


def show(kind, rows, literal=str, end="\n"):
    print(f"const {kind} = {{")
    for row in rows:
        print("    {" + ", ".join(literal(int(x)) for x in row) + "},")
    print("};" + end)


def main():
    name = sys.argv[1]
    layout = LAYOUTS[name]()
    print("/* Made by Scripts/make-grids.py. */\n#include \"../tables.h\"\n\n/* clang-format off */")
    show(f"int8_t leaf_{name}_grids[LEAF_GRIDS_COUNT][16]", [coded(grid) for grid in layout.table])
    show(f"int8_t leaf_{name}_thresholds[LEAF_GRIDS_COUNT][16]", [layout.thresholds(grid) for grid in layout.table])
    bytes_in_order = list(range(128)) + list(range(-128, 0))
    show(f"uint64_t leaf_{name}_holders[256][LEAF_GRIDS_COUNT / 64]", [layout.holders(n) for n in bytes_in_order],
         lambda x: f"0x{x:x}")
    show(f"leaf_grid_range leaf_{name}_search[128]", [layout.search(n) for n in range(128)], end="")


if __name__ == "__main__":
    main()
