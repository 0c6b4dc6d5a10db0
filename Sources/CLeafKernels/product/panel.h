/* Products that take weights as int8: straight from a tile for as many rows as the registers hold at once, for more of
 * them from panels of the tile, which are decoded once for all. The sums of a row lie in y between two panels.
 *
 * The including file gives
 *     rows_at_once(rows, planes)                        how many of `rows` rows come next
 *     span_rows(task, span, output, row, planes, count) their product, for a count that rows_at_once gives
 * where `planes` is a constant. */
#ifndef LEAF_PRODUCT_PANEL_H
#define LEAF_PRODUCT_PANEL_H

#include "decoded.h"
#include "quantized_row.h"

/* Columns begin to end of a tile. While a section of them is computed, one of what lies `ahead` is fetched. */
typedef struct {
    const uint8_t *sections, *ahead;
    size_t begin, end;
    int is_decoded;
} column_span;

LEAF_INLINE size_t rows_at_once(size_t rows, size_t planes);
LEAF_INLINE void span_rows(const linear_task *task, column_span span, size_t output, size_t row, size_t planes,
                           size_t count);

LEAF_INLINE const uint8_t *span_section(const column_span *span, size_t column) {
    size_t sections = (column - span->begin) / SECTION_COLUMNS;
    return span->sections + sections * (span->is_decoded ? INT8_SECTION_BYTES : SECTION_BYTES);
}

LEAF_INLINE void load_span_step(const column_span *span, size_t column, size_t step, size_t part, bytes w[2]) {
    if (span->is_decoded)
        load_int8_step(span_section(span, column), step, part, w);
    else
        load_step(span_section(span, column), step, part, w);
}

LEAF_INLINE void fetch_span_step(const column_span *span, size_t column, size_t step) {
    fetch_step(section_of(span->ahead, column - span->begin), step);
}

/* One tile for rows `row` to `end`. */
LEAF_INLINE void tile_rows(const linear_task *task, const uint8_t *tile, size_t output, size_t row, size_t end,
                           size_t planes) {
    const size_t columns = task->padded_columns;
    if (!HAS_PANELS || rows_at_once(end - row, planes) == end - row) {
        for (size_t count; row < end; row += count) {
            count = rows_at_once(end - row, planes);
            span_rows(task, (column_span){tile, tile + PREFETCH_BYTES, 0, columns, 0}, output, row, planes, count);
        }
        return;
    }
    _Alignas(64) uint8_t panel[PANEL_COLUMNS * LEAF_TILE_ROWS];
    for (size_t begin = 0, last; begin < columns; begin = last) {
        last = columns - begin < PANEL_COLUMNS ? columns : begin + PANEL_COLUMNS;
        decode_columns(section_of(tile, begin), last - begin, panel);
        column_span span = {panel, section_of(tile, last), begin, last, 1};
        for (size_t next = row, count; next < end; next += count) {
            count = rows_at_once(end - next, planes);
            span_rows(task, span, output, next, planes, count);
            span.ahead = panel; /* nothing new: the first rows have had the next panel fetched */
        }
    }
}

#endif
