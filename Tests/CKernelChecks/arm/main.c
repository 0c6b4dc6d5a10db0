/* Prints the digests of every table that this processor has: one line "table check digest" each. */
#include <inttypes.h>
#include <stdio.h>

#include "kernel_checks.h"

int main(void) {
    for (int isa = LEAF_ISA_SCALAR; isa <= LEAF_ISA_NEON; isa++) {
        const leaf_kernels *kernels = leaf_kernels_for((leaf_isa)isa);
        for (size_t check = 0; kernels && check < kernel_check_count(); check++)
            printf("%s %s %016" PRIx64 "\n", kernels->name, kernel_check_name(check), kernel_check_digest(check, kernels));
    }
    return 0;
}
