/* From products of inputs to what a miss in one column is worth and how much of it the columns behind it can take. */
#include "../include/leaf_kernels.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

/* Of the mean square of the columns: what a column counts that the text never used. */
static const float damping = 0.01f;

int leaf_feedback(float *products, size_t columns) {
    float sum = 0;
    for (size_t j = 0; j < columns; j++) sum += products[leaf_products_row(j) + j];
    if (!isfinite(sum)) return 0;
    // Where the text used no column at all, all are worth the same.
    float added = sum > 0 ? damping * (sum / (float)columns) : 1;
    for (size_t j = 0; j < columns; j++) products[leaf_products_row(j) + j] += added;

    for (size_t k = columns; k-- > 0;) {
        float *own = products + leaf_products_row(k) + k, worth = *own;
        // Rounding may leave less than was added.
        if (!(worth >= added)) *own = worth = added;
        float passed[LEAF_FEEDBACK_COLUMNS];
        for (size_t j = 0; j < k; j++) {
            float *row = products + leaf_products_row(j);
            passed[j] = row[k] = row[k] / worth;
        }
        for (size_t i = 0; i < k; i++) {
            float *row = products + leaf_products_row(i), factor = passed[i] * worth;
            for (size_t j = i; j < k; j++) row[j] -= factor * passed[j];
        }
    }
    return 1;
}
