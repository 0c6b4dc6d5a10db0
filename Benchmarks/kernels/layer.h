/* A 512-token prompt through one layer of the 10B shape. */
#ifndef LAYER_H
#define LAYER_H

#include "leaf_kernels.h"

/* Prints what everything beside the linear layers takes, as shares of the linear layers, on one thread. */
void print_layer(const leaf_kernels *kernels, leaf_activation type);

#endif
