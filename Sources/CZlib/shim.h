// <sys/types.h> first: a library header that defines _GNU_SOURCE would clash with Glibc's module.
#include <sys/types.h>
#include <zlib.h>
