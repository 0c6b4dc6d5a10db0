/* The product of many rows by tdpbssd of AMX. 64 columns of a weight tile, as int8, are its second operand as they lie;
 * the first is 64 columns of 16 rows, of one plane.
 *
 * Tiles 0 to 3 are sums: two tiles of values (4 and 5) by two of weights (6 and 7). With 16-bit activations the values
 * are both planes of 16 rows, with 8-bit ones they are 32 rows. At the end of each group the sums go to memory, because
 * the group's scale is a float. They are scaled and added to y while the tiles multiply what comes next, so that both
 * units have work: a stretch of columns is multiplied section by section, and after each section a quarter of the
 * stretch before is finished.
 *
 * The including file has a layout, the instructions (x86/amx_tiles.h), and FEW_ROWS, the product that takes fewer rows.
 * No thread keeps tiles when a call has ended. */
#ifndef LEAF_X86_AMX_PRODUCT_H
#define LEAF_X86_AMX_PRODUCT_H

#include "../product/byte_planes.h"

#include "../product/decoded.h"
#include "../product/table.h"

enum {
    /* From how many rows on the tiles are expected to be faster; not measured. */
    ROWS_FOR_TILES_INT16 = 8,
    ROWS_FOR_TILES_INT8 = 12,
    TILE_ROWS = 16,
    TILE_ROW_BYTES = 64,
    /* Columns of a stretch: two groups of 128, or four of 64. */
    STRETCH_SECTIONS = 4,
    STRETCH_COLUMNS = STRETCH_SECTIONS * SECTION_COLUMNS,
    /* Of a decoded panel; int8 needs none. */
    PANEL_BYTES = HAS_PANELS ? PANEL_COLUMNS * LEAF_TILE_ROWS : 1,
    /* Planes of rows whose values stay in L2 while the tiles pass by, PANEL_COLUMNS of them: 512 KiB. */
    PLANES_IN_L2 = 512,
};

/* What ldtilecfg reads. */
typedef struct {
    uint8_t palette, first_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

/* Some columns of one or two weight tiles by one or two tiles of values, and the rows that these begin with. */
typedef struct {
    const uint8_t *weights[2]; /* int8 */
    const uint8_t *ahead[2];   /* what is fetched meanwhile; NULL for nothing */
    size_t begin, end;
    size_t row, output;
    size_t value_tiles, weight_tiles;
} stretch;

typedef struct {
    stretch of;
    i32x16 sums[STRETCH_SECTIONS][4][TILE_ROWS]; /* [group][2 * tile of values + weight tile][row] */
} stretch_sums;

/* A call, and what it has multiplied last: `before`, NULL for nothing, is one of `two`. */
typedef struct {
    linear_task call;
    size_t rows;
    stretch_sums two[2];
    const stretch_sums *before;
} tile_task;

static void shape_tiles(size_t rows) {
    tile_shapes shapes = {.palette = 1};
    for (size_t tile = 0; tile < 8; tile++) {
        shapes.row_bytes[tile] = TILE_ROW_BYTES;
        shapes.rows[tile] = tile < 6 && rows < TILE_ROWS ? (uint8_t)rows : TILE_ROWS;
    }
    tile_configure(&shapes);
}

/* The first row of the tile of values that row `row` is to begin: the last one begins earlier, so that it ends with the
 * rows. */
LEAF_INLINE size_t tile_row(size_t row, size_t rows) {
    if (rows < TILE_ROWS) return 0;
    return row < rows - TILE_ROWS ? row : rows - TILE_ROWS;
}

/* Columns of a group of activations that have so many planes. */
LEAF_INLINE size_t group_of(size_t planes) {
    return group_columns(planes == 2 ? LEAF_ACTIVATION_INT16 : LEAF_ACTIVATION_INT8);
}

LEAF_INLINE void zero_sums(void) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
}

LEAF_INLINE void multiply_section(const stretch *of, const char *const values[2], size_t stride, size_t section) {
    tile_load(4, values[0] + SECTION_COLUMNS * section, stride);
    tile_load(6, of->weights[0] + INT8_SECTION_BYTES * section, TILE_ROW_BYTES);
    tile_dot(0, 4, 6);
    if (of->weight_tiles == 2) {
        tile_load(7, of->weights[1] + INT8_SECTION_BYTES * section, TILE_ROW_BYTES);
        tile_dot(1, 4, 7);
    }
    if (of->value_tiles == 1) return;
    tile_load(5, values[1] + SECTION_COLUMNS * section, stride);
    tile_dot(2, 5, 6);
    if (of->weight_tiles == 2) tile_dot(3, 5, 7);
}

LEAF_INLINE void store_sums(const stretch *of, i32x16 sums[4][TILE_ROWS]) {
    tile_store(0, sums[0], TILE_ROW_BYTES);
    if (of->weight_tiles == 2) tile_store(1, sums[1], TILE_ROW_BYTES);
    if (of->value_tiles == 1) return;
    tile_store(2, sums[2], TILE_ROW_BYTES);
    if (of->weight_tiles == 2) tile_store(3, sums[3], TILE_ROW_BYTES);
}

/* Into L2: it is wanted after all rows have met these columns. */
LEAF_INLINE void fetch_ahead(const stretch *of, size_t section) {
    for (size_t t = 0; t < of->weight_tiles && of->ahead[t]; t++)
        for (size_t byte = 0; byte < SECTION_BYTES; byte += 64)
            __builtin_prefetch(section_of(of->ahead[t], SECTION_COLUMNS * section) + byte, 0, 2);
}

/* Scales the sums of the rows `row` to `end` of a tile of values, which begins with row `start`, and adds them to y;
 * `planes`, `weight_tiles` and, for whole stretches, `groups` are constants. */
LEAF_INLINE void finish_rows(const linear_task *task, const stretch_sums *done, size_t tile, size_t start, size_t row,
                             size_t end, size_t planes, size_t weight_tiles, size_t groups) {
    const stretch of = done->of;
    const int is_first = of.begin == 0, is_last = of.end == task->padded_columns;
    const size_t y_stride = task->y_stride, stride = task->stride;
    const float *row_scales = task->row_scales + of.output;
    const char *scales = values_of(task, row) + scales_offset(task->padded_columns);
    scales += of.begin / group_of(planes) * sizeof(float);
    float *y = output_of(task, row, of.output);
    for (; row < end; row++, scales += stride, y += y_stride) {
        f32x16 acc[2];
        for (size_t t = 0; t < weight_tiles; t++) acc[t] = is_first ? (f32x16){0} : load16(y + TILE_ROWS * t);
        for (size_t group = 0; group < groups; group++) {
            f32x16 scale = spread(((const float *)scales)[group]);
            for (size_t t = 0; t < weight_tiles; t++) {
                i32x16 total = done->sums[group][2 * tile + t][row - start];
                if (planes == 2) total = (total << 8) + done->sums[group][2 + t][row - start];
                acc[t] = fma16(__builtin_convertvector(total, f32x16), scale, acc[t]);
            }
        }
        for (size_t t = 0; t < weight_tiles; t++) {
            if (is_last) acc[t] *= load16(row_scales + TILE_ROWS * t);
            store16(y + TILE_ROWS * t, acc[t]);
        }
    }
}

/* A quarter of the rows of the stretch before. */
LEAF_INLINE void finish_quarter(const tile_task *task, size_t quarter, size_t planes) {
    const linear_task *call = &task->call;
    const stretch_sums *done = task->before;
    const size_t count = 2 * TILE_ROWS / planes / STRETCH_SECTIONS, first = quarter * count;
    const size_t tile = first / TILE_ROWS, wanted = done->of.row + TILE_ROWS * tile;
    const size_t start = tile_row(wanted, task->rows);
    if (tile == done->of.value_tiles) return;
    size_t row = start + first % TILE_ROWS, end = row + count < task->rows ? row + count : task->rows;
    if (row < wanted) row = wanted;
    const size_t columns = group_of(planes), most = STRETCH_COLUMNS / columns;
    const size_t groups = (done->of.end - done->of.begin + columns - 1) / columns;
    if (done->of.weight_tiles == 1)
        finish_rows(call, done, tile, start, row, end, planes, 1, groups);
    else if (groups == most)
        finish_rows(call, done, tile, start, row, end, planes, 2, most);
    else
        finish_rows(call, done, tile, start, row, end, planes, 2, groups);
}

/* Multiplies one stretch while the one before is finished. */
LEAF_INLINE void multiply_stretch(tile_task *task, const stretch *of, size_t planes) {
    const linear_task *call = &task->call;
    const size_t sections = (of->end - of->begin) / SECTION_COLUMNS;
    const size_t group_sections = group_of(planes) / SECTION_COLUMNS;
    const char *first = values_of(call, tile_row(of->row, task->rows)) + of->begin;
    const char *second = planes == 2 ? first + call->padded_columns
                                     : values_of(call, tile_row(of->row + TILE_ROWS, task->rows)) + of->begin;
    const char *const values[2] = {first, second};
    stretch_sums *next = &task->two[task->before == task->two];
    next->of = *of;
    for (size_t section = 0; section < STRETCH_SECTIONS; section++) {
        if (section < sections) {
            if (section % group_sections == 0) zero_sums();
            multiply_section(of, values, call->stride, section);
            fetch_ahead(of, section);
            if ((section + 1) % group_sections == 0 || section + 1 == sections)
                store_sums(of, next->sums[section / group_sections]);
        }
        if (task->before) finish_quarter(task, section, planes);
    }
    task->before = next;
}

/* The columns begin to end of one or two tiles for the rows `row` to `end_row`. */
LEAF_INLINE void multiply_panel(tile_task *task, stretch panel, size_t row, size_t end_row, size_t planes) {
    const size_t rows = 2 * TILE_ROWS / planes;
    for (size_t begin = panel.begin; begin < panel.end; begin += STRETCH_COLUMNS) {
        stretch next = panel;
        next.begin = begin;
        if (panel.end - begin > STRETCH_COLUMNS) next.end = begin + STRETCH_COLUMNS;
        for (size_t t = 0; t < panel.weight_tiles; t++) {
            next.weights[t] += (begin - panel.begin) * LEAF_TILE_ROWS;
            next.ahead[t] = section_of(panel.ahead[t], begin - panel.begin);
        }
        for (next.row = row; next.row < end_row; next.row += rows) {
            next.value_tiles = planes == 2 || end_row - next.row > TILE_ROWS ? 2 : 1;
            multiply_stretch(task, &next, planes);
            next.ahead[0] = next.ahead[1] = NULL;
        }
    }
}

/* One or two tiles from `tile` on. */
LEAF_INLINE stretch tiles_from(const linear_task *task, const void *tiles, size_t tile, size_t tile_count,
                               size_t column, uint8_t panels[2][PANEL_BYTES]) {
    const size_t columns = task->padded_columns;
    stretch of = {.begin = column, .end = columns - column < PANEL_COLUMNS ? columns : column + PANEL_COLUMNS};
    of.output = tile * LEAF_TILE_ROWS;
    of.weight_tiles = tile_count - tile < 2 ? 1 : 2;
    for (size_t t = 0; t < of.weight_tiles; t++) {
        const uint8_t *sections = section_of(tile_of(tiles, tile + t, columns), column);
        if (HAS_PANELS) decode_columns(sections, of.end - column, panels[t]);
        of.weights[t] = HAS_PANELS ? panels[t] : sections;
        of.ahead[t] = sections + 2 * tile_bytes(columns);
    }
    return of;
}

LEAF_INLINE void amx_product(tile_task *task, const void *tiles, size_t tile_count, size_t planes) {
    _Alignas(64) uint8_t panels[2][PANEL_BYTES];
    for (size_t row = 0, end; row < task->rows; row = end) {
        end = task->rows - row < PLANES_IN_L2 / planes ? task->rows : row + PLANES_IN_L2 / planes;
        for (size_t column = 0; column < task->call.padded_columns; column += PANEL_COLUMNS) {
            for (size_t tile = 0; tile < tile_count; tile += 2) {
                stretch panel = tiles_from(&task->call, tiles, tile, tile_count, column, panels);
                multiply_panel(task, panel, row, end, planes);
            }
        }
    }
    for (size_t quarter = 0; task->before && quarter < STRETCH_SECTIONS; quarter++)
        finish_quarter(task, quarter, planes);
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    if (rows < (type == LEAF_ACTIVATION_INT16 ? ROWS_FOR_TILES_INT16 : ROWS_FOR_TILES_INT8)) {
        FEW_ROWS.linear(type, tiles, tile_count, padded_columns, row_scales, activations, rows, y, y_stride);
        return;
    }
    tile_task task;
    task.call = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    task.rows = rows;
    task.before = NULL;
    shape_tiles(rows);
    if (plane_count(type) == 2)
        amx_product(&task, tiles, tile_count, 2);
    else
        amx_product(&task, tiles, tile_count, 1);
    tile_release();
}

#endif
