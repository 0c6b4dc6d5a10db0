/* Kernels of a forward pass: products of stored weights with quantized activations, and the float32 arithmetic around
 * them.
 *
 * There are two kinds of tables of function pointers. Float functions differ by the width of the vectors they run on,
 * products by the instruction that multiplies and by how the weights lie. An instruction set is a choice of both. Every
 * function of every table gives the same bits: integer sums are exact, and the float steps are the same IEEE operations
 * in the same order (explicit fma, no contraction, reductions over 16 lanes by element index modulo 16 and then a fixed
 * tree). A row's result never depends on the rows computed beside it. No function allocates, locks, starts threads or
 * keeps state; all may run on many threads at once.
 *
 * A function that takes n numbers reads and writes n numbers, whatever lies behind them; float rows need no alignment.
 * Callers keep rows at multiples of 64 bytes all the same, because that is faster.
 */
#ifndef LEAF_KERNELS_H
#define LEAF_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define LEAF_ALIGN_UP(n, to) (((n) + (to) - 1) / (to) * (to))
/* Output rows of a weight tile, and keys of a cache page. */
#define LEAF_TILE_ROWS 16
#define LEAF_PAGE_KEYS 16
/* Columns of stored int8 matrices are padded to a multiple of this. */
#define LEAF_COLUMN_ALIGN 64
/* A bucket that means: this key is not visible to this query. */
#define LEAF_MASKED 0xFFFFu

/* How the weights of a tile of 16 output rows lie; padded_columns is a multiple of LEAF_COLUMN_ALIGN.
 *
 * int8: [padded_columns / 4][16][4].
 *
 * q4: codes of int8 numbers, 4.25 bits each. A block of 4 rows by 8 columns has a selector, the index of its grid in
 * leaf_q4_grids, and every number of it a code, the index into that grid. 64 columns are LEAF_Q4_SECTION bytes: the
 * selectors, [8 steps of 8 columns][4 blocks of 4 rows], and then 64 bytes of codes a step. Byte i of them belongs to
 * what would be byte i of the step's two 64-byte blocks of int8: its low four bits are the code in the first block
 * (columns 0-3), its high ones that in the second (columns 4-7). So 16 bytes share a selector.
 *
 * q3: the same with leaf_q3_grids, 3.25 bits each. Of each four steps the first three have bytes of codes, in bits 0-2
 * and 4-6. Bits 3 and 7 of the three are bits 0 and 4, 1 and 5, 2 and 6 of what would be the byte of the fourth. */
typedef enum { LEAF_LAYOUT_INT8 = 0, LEAF_LAYOUT_Q4, LEAF_LAYOUT_Q3, LEAF_LAYOUT_COUNT } leaf_layout;

#define LEAF_SELECTORS 32
#define LEAF_Q4_SECTION (LEAF_SELECTORS + 512)
#define LEAF_Q3_SECTION (LEAF_SELECTORS + 384)
#define LEAF_GRIDS_COUNT 256

/* The grids, the same for all files: of q4 each 0 and 15 other int8 numbers, of q3 0 and 7 others and then zeros that
 * no code names. From 0 upwards and then from the lowest, which is not -128, upwards: so bytes of zeros are zeros. */
extern const int8_t leaf_q4_grids[LEAF_GRIDS_COUNT][16];
extern const int8_t leaf_q3_grids[LEAF_GRIDS_COUNT][16];

/* Bytes of 64 columns of a tile. */
static inline size_t leaf_section_bytes(leaf_layout layout) {
    return layout == LEAF_LAYOUT_Q4   ? LEAF_Q4_SECTION
           : layout == LEAF_LAYOUT_Q3 ? LEAF_Q3_SECTION
                                      : LEAF_COLUMN_ALIGN * LEAF_TILE_ROWS;
}

/* The int8 tile that a tile stands for. */
void leaf_decode(leaf_layout layout, const void *tile, size_t padded_columns, int8_t *int8_tile);

/* Products of a model's inputs over a text, X^T X, for a block of this many columns: the upper triangle, row after row,
 * each from the multiple of 16 at or below its own column on. */
enum { LEAF_FEEDBACK_COLUMNS = 256, LEAF_PRODUCTS_COUNT = LEAF_FEEDBACK_COLUMNS * (LEAF_FEEDBACK_COLUMNS + 16) / 2 };

/* The place among them where column 0 of a row would stand. */
static inline size_t leaf_products_row(size_t row) {
    size_t band = row / 16, width = LEAF_FEEDBACK_COLUMNS - 16 * band;
    return (LEAF_FEEDBACK_COLUMNS + width + 16) / 2 * band * 16 + row % 16 * width - 16 * band;
}

/* Makes feedback of the products of `columns` columns, in place: X^T X = U D U^T with ones on U's diagonal, where D
 * stands on the diagonal and U above it. If the codes of a row miss its numbers by m, the outputs miss by
 * sum_k D[k] (m[k] + sum over j < k of m[j] U[j][k])^2; so column k aims at its number plus that inner sum (LDLQ, arXiv
 * 2307.13304). 0 where the products are not finite. */
int leaf_feedback(float *products, size_t columns);

/* Activations beside int8 weights. int16: groups of 128 columns, absmax/32639; int8: groups of 64, absmax/127. */
typedef enum { LEAF_ACTIVATION_INT16 = 0, LEAF_ACTIVATION_INT8 = 1 } leaf_activation;

typedef enum { LEAF_KV_F16 = 0, LEAF_KV_F32 = 1 } leaf_kv;

/* The cached keys and values of one head of one layer of one sequence, in pages of 16 positions. Page p lies at
 * base + p * page_stride: first the keys, [align16(dim_head)][16], then the values, [16][align16(dim_head)].
 * Places that were never written hold zeros. */
typedef struct {
    leaf_kv type;
    size_t dim_head;
    size_t keys;            /* positions in use; the k-th lies in page pages[k / 16], place k % 16 */
    const uint32_t *pages;
    const void *base;
    size_t page_stride;     /* bytes */
} leaf_cache_view;

/* Float32 arithmetic, for vectors of one width. */
typedef struct {
    const char *name; /* of the instruction set that it was made for */

    /* y = x / sqrt(mean(x^2) + eps) * weight, over n numbers; y may be x. */
    void (*rms_norm)(const float *x, const float *weight, size_t n, float eps, float *y);

    /* x += y over n numbers. */
    void (*add)(float *x, const float *y, size_t n);

    /* gate = gelu(gate) * up over n numbers; gelu is the exact form, 0.5 a (1 + erf(a / sqrt 2)). */
    void (*gelu_multiply)(float *gate, const float *up, size_t n);

    /* t[k] = scale * sum_c x[c] * a[k][c] for all k < rank; strides in floats. */
    void (*low_rank_down)(const float *x, const float *a, size_t a_stride, size_t rank, size_t columns, float scale,
                          float *t);

    /* y[o] += sum_k t[k] * b[k][o] for all o < n: the sum first, by fma over k ascending, then one addition. */
    void (*low_rank_up)(const float *t, const float *b, size_t b_stride, size_t rank, size_t n, float *y);

    /* Puts one position's key and value (dim_head floats each) into a page, rounded to the cache's type. */
    void (*cache_store)(leaf_kv type, size_t dim_head, const float *key, const float *value, void *page, size_t place);

    /* Copies one position's key and value, as they are, to the same place of another page. */
    void (*cache_copy)(leaf_kv type, size_t dim_head, const void *from, void *to, size_t place);

    /* Attention of `rows` queries over one head: score = fma(q.k, score_scale, bias[bucket]), softmax over the keys
     * whose bucket is not LEAF_MASKED, weighted sum of the values. A query that sees no key gives zeros; keys that are
     * not visible, wherever they stand, change no bit. q and out have dim_head numbers a row (not padded), strides in
     * floats; buckets is [rows][bucket_stride], where bucket_stride >= align16(keys) and the places beyond `keys` are
     * LEAF_MASKED. `scratch` has room for rows * align16(keys) + 16 * align16(dim_head) floats, aligned to 64 bytes. */
    void (*attention)(const leaf_cache_view *cache, const float *q, size_t q_stride, size_t rows,
                      const uint16_t *buckets, size_t bucket_stride, const float *bias, float score_scale,
                      float *out, size_t out_stride, float *scratch);

    /* y = exp(x), y = erf(x) over n numbers; y may be x; bounds in Documentation/numerics.md. */
    void (*exp)(const float *x, float *y, size_t n);
    void (*erf)(const float *x, float *y, size_t n);

    /* Softmax in place over n numbers; -inf becomes 0. */
    void (*softmax)(float *x, size_t n);

    void (*f16_to_f32)(const uint16_t *x, float *y, size_t n);
    void (*f32_to_f16)(const float *x, uint16_t *y, size_t n); /* to nearest even, overflow to infinity */
    void (*bf16_to_f32)(const uint16_t *x, float *y, size_t n);

    /* Index of the largest number; of equals the smallest index; NaN never wins. n if all are NaN. */
    size_t (*argmax)(const float *x, size_t n);

    /* Largest magnitude over n numbers, NaN if there is one. And rounding to int8 for a weight row of finite numbers:
     * q = round_half_even(x / scale) clamped to +-127, all zeros for scale 0. */
    float (*absmax)(const float *x, size_t n);
    void (*quantize_weights)(const float *x, size_t n, float scale, int8_t *q);

    /* products += X^T X over `rows` rows of a block of columns, a multiple of 16 and LEAF_FEEDBACK_COLUMNS at most. */
    void (*add_products)(const float *x, size_t x_stride, size_t rows, size_t columns, float *products);

    /* The tile of a layout that stands for an int8 one. Without feedback (NULL) it is the nearest: for each block the
     * grid and codes of the least error, weighted with w^2 + mean(w^2); of equals the smallest index. With the feedback
     * of each LEAF_FEEDBACK_COLUMNS columns it is the one that makes the least of the outputs' error where the inputs
     * are like those of the products. Blocks that lie on a grid decode to themselves either way. Takes 180 KiB of
     * stack. */
    void (*encode)(leaf_layout layout, const int8_t *int8_tile, size_t padded_columns, const float *feedback,
                   void *tile);
} leaf_float_kernels;

/* Products with weights of one layout, by one instruction. */
typedef struct {
    const char *name; /* of the instruction set that it was made for */
    leaf_layout layout;

    /* Quantizes one float row of `columns` numbers to a row of leaf_activation_row_bytes(type, padded_columns), aligned
     * to 64 bytes; columns beyond count as zeros. padded_columns is a multiple of 64. A group whose scale is zero or
     * below the normal floats becomes zeros; one that holds a NaN or an infinity gets scale NaN, so that the damage
     * shows in the result. Rows are laid out for the instruction set that made them: do not mix sets. The products of
     * one set, of whichever layout, read the same rows. */
    void (*quantize_row)(leaf_activation type, const float *x, size_t columns, size_t padded_columns, void *row);

    /* y[r][16 t + o] = row_scales[16 t + o] * sum_g activationScale[g] * sum_k w[16 t + o][k] * q[r][k]
     * for all tiles t and rows r. `tiles` is tile_count tiles of the product's layout; `activations` is `rows`
     * quantized rows, one behind the other; y_stride is in floats. Per row the group sums are added in group order by
     * fma, the row scale is multiplied at the end. Writes all 16 outputs of every tile; y may hold anything before. */
    void (*linear)(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride);

    /* y = fma(q, scale, addend) over n columns of row `row_in_tile` of one weight tile. */
    void (*embed_row)(const void *tile, size_t row_in_tile, float scale, const float *addend, size_t n, float *y);
} leaf_product;

/* The kernels of one instruction set. */
typedef struct {
    const char *name;
    const leaf_float_kernels *floats;
    const leaf_product *products[LEAF_LAYOUT_COUNT];
} leaf_kernels;

/* Bytes of one quantized row, a multiple of 64: the same for every product, so that a memory plan does not depend on
 * the processor. */
size_t leaf_activation_row_bytes(leaf_activation type, size_t padded_columns);

/* Names of all instruction sets, slowest first, here or not: "scalar", "avx2", ... NULL past the last. */
const char *leaf_kernels_name(size_t index);
/* NULL when unknown, or when this build or this processor lacks it. AMX is lacking until the process has the system's
 * permission. */
const leaf_kernels *leaf_kernels_named(const char *name);
/* The fastest that this processor has; never NULL. */
const leaf_kernels *leaf_kernels_best(void);

/* Asks the system to permit this process what some instruction set of the processor needs, and the system gives to
 * those who ask: the tiles of AMX, on Linux. From then on it refuses signal stacks that are too small for them. Gives
 * 0, also where nothing is to be asked for, or errno where the system refuses. */
int leaf_kernels_permit(void);

/* NULL where the set has no product for the layout. */
static inline const leaf_product *leaf_kernels_product(const leaf_kernels *kernels, leaf_layout layout) {
    return kernels->products[layout];
}

/* Tells the processor that this thread spins, and lets some nanoseconds pass. */
static inline void leaf_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

#endif
