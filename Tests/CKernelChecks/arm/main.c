/* Prints the digests of every instruction set that this processor has: one line "set check digest" each. */
#include <inttypes.h>
#include <stdio.h>

#include "kernel_checks.h"

int main(void) {
    for (size_t set = 0; leaf_kernels_name(set); set++) {
        const leaf_kernels *kernels = leaf_kernels_named(leaf_kernels_name(set));
        for (size_t check = 0; kernels && check < kernel_check_count(); check++)
            printf("%s %s %016" PRIx64 "\n", kernels->name, kernel_check_name(check),
                   kernel_check_digest(check, kernels));
    }
    return 0;
}
