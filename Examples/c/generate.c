/* Continues a text, and prints it as it comes:  generate MODEL.leaf PROMPT */
#include <leafcutter.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    lc_model *model;
    lc_request *request;
    lc_event *event;
    lc_status status;
    char json[4096];

    if (argc != 3) return fprintf(stderr, "usage: generate MODEL.leaf PROMPT\n"), 2;
    /* A real program has a library that writes JSON; this one takes prompts as they stand in JSON: '《江雪》柳宗元\n'. */
    int length = snprintf(json, sizeof json, "{\"prompt\":\"%s\",\"greedy\":true,\"max_tokens\":40}", argv[2]);
    if (length < 0 || (size_t)length >= sizeof json) return fprintf(stderr, "the prompt is too long\n"), 2;

    if (lc_model_open(argv[1], "{\"memory\":\"128MiB\",\"context\":256}", &model) != LC_OK ||
        lc_request_start(model, "generate", json, (size_t)length, &request) != LC_OK)
        return fprintf(stderr, "generate: %s\n", lc_error_message()), 1;

    while ((status = lc_request_next(request, -1, &event)) == LC_OK) {
        if (lc_event_kind_of(event) == LC_PIECE) fputs(lc_event_text(event, NULL), stdout);
        fflush(stdout);
        lc_event_free(event);
    }
    putchar('\n');
    if (status != LC_END) fprintf(stderr, "generate: %s\n", lc_error_message());
    lc_request_free(request);
    lc_model_close(model);
    return status == LC_END ? 0 : 1;
}
