/* Says what a model needs, before anything is allocated:  plan MODEL.leaf|PRESET MEMORY
   For example:  plan cpm-ant-10b 2GiB */
#include <leafcutter.h>
#include <stdio.h>

int main(int argc, char **argv) {
    char options[256];
    char *plan;
    if (argc != 3) return fprintf(stderr, "usage: plan MODEL.leaf|PRESET MEMORY\n"), 2;
    int length = snprintf(options, sizeof options, "{\"memory\":\"%s\",\"disk_rate\":\"1GB/s\"}", argv[2]);
    if (length < 0 || (size_t)length >= sizeof options) return fprintf(stderr, "plan: no such memory\n"), 2;
    switch (lc_plan(argv[1], options, &plan)) {
    case LC_OK:
        puts(plan);
        lc_string_free(plan);
        return 0;
    case LC_BUDGET: /* {"code","message","minimum"} */
        puts(lc_error_json());
        return 3;
    default:
        fprintf(stderr, "plan: %s\n", lc_error_message());
        return 1;
    }
}
