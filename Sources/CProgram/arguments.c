#include "leaf_program.h"

static int count;
static char **arguments;

/* glibc hands every constructor what it hands main. */
__attribute__((constructor)) static void keep(int argc, char **argv, char **environment)
{
    (void)environment;
    count = argc;
    arguments = argv;
}

int leaf_argument_count(void) { return count; }

const char *leaf_argument(int index) { return index >= 0 && index < count ? arguments[index] : 0; }
