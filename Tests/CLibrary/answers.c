/* Compares answers with each other:  answers MODEL.leaf
   However much room a model has, and in however many parts an answer comes, its numbers are the same. */
#define _GNU_SOURCE
#include "check.h"

enum { TOKENS = 90, MOST = TOKENS };

static char *ids_request(void) {
    static char json[1024];
    size_t end = (size_t)snprintf(json, sizeof json, "{\"id\":\"long\",\"input_ids\":[6");
    for (int i = 1; i < TOKENS; i++) end += (size_t)snprintf(json + end, sizeof json - end, ",%d", 200 + 37 * i);
    snprintf(json + end, sizeof json - end, "]}");
    return json;
}

/* Reads all logits of a text. Returns how many results there were. */
static int read_logits(lc_model *model, const char *json, float *numbers, size_t *columns) {
    lc_request *request = start(model, "logits", json);
    lc_event *event;
    lc_status status;
    size_t row = 0;
    int results = 0;
    while ((status = lc_request_next(request, -1, &event)) == LC_OK) {
        size_t rows;
        const float *part = lc_event_floats(event, &rows, columns);
        CHECK(part != NULL && rows >= 1 && rows <= 64 && row + rows <= MOST);
        CHECK(number_of(lc_event_json(event, NULL), "first") == (long)row);
        CHECK(number_of(lc_event_json(event, NULL), "rows") == (long)rows);
        memcpy(numbers + row * *columns, part, rows * *columns * sizeof *part);
        row += rows;
        results++;
        lc_event_free(event);
    }
    CHECK(status == LC_END && row == TOKENS);
    lc_request_free(request);
    return results;
}

static void parts_make_a_whole(const char *path) {
    begin("logits in parts are those of one sweep");
    enum { COLUMNS = 30720 };
    float *many = malloc(sizeof(float) * MOST * COLUMNS), *few = malloc(sizeof(float) * MOST * COLUMNS);
    size_t columns = 0;
    lc_model *model = open_model(path, "{\"memory\":\"200MiB\",\"context\":130,\"logit_rows\":130}");
    CHECK(read_logits(model, ids_request(), many, &columns) == 2 && columns == COLUMNS);
    lc_model_close(model);
    model = open_model(path, "{\"memory\":\"100MiB\",\"context\":130,\"logit_rows\":16}");
    CHECK(read_logits(model, ids_request(), few, &columns) == 6);
    CHECK(memcmp(many, few, sizeof(float) * TOKENS * COLUMNS) == 0);

    /* The last row alone; what an answer of whole rows says of the last of them. */
    lc_event *event;
    char last[1100];
    snprintf(last, sizeof last, "%s", ids_request());
    snprintf(last + strlen(last) - 1, sizeof last - strlen(last), ",\"last\":true}");
    lc_request *request = start(model, "logits", last);
    CHECK(lc_request_next(request, -1, &event) == LC_OK);
    size_t rows;
    const float *row = lc_event_floats(event, &rows, NULL);
    CHECK(rows == 1 && memcmp(row, many + (TOKENS - 1) * COLUMNS, sizeof(float) * COLUMNS) == 0);
    lc_event_free(event);
    CHECK(drain(request, NULL) == LC_END);
    lc_model_close(model);
    free(many);
    free(few);
}

/* The text of a request's result. */
static void answer(lc_model *model, const char *kind, const char *json, char *text, size_t room) {
    lc_request *request = start(model, kind, json);
    lc_event *event;
    lc_status status;
    char pieces[512] = "";
    int results = 0;
    text[0] = 0;
    while ((status = lc_request_next(request, -1, &event)) == LC_OK) {
        size_t length;
        const char *given = lc_event_text(event, &length);
        if (lc_event_kind_of(event) == LC_PIECE) {
            CHECK(given && strlen(given) == length && strlen(pieces) + length < sizeof pieces);
            strcat(pieces, given);
            CHECK(lc_event_sample(event) == 0 && number_of(lc_event_json(event, NULL), "id") > 0);
            CHECK(lc_event_token(event) == number_of(lc_event_json(event, NULL), "id"));
        } else {
            results++;
            snprintf(text, room, "%s", given ? given : "");
        }
        lc_event_free(event);
    }
    CHECK(status == LC_END && results == 1);
    if (strcmp(kind, "generate") == 0) CHECK(strcmp(pieces, text) == 0);
    lc_request_free(request);
}

static void the_poem_is_known(const char *path) {
    begin("pieces together are the text, which the model knows by heart");
    lc_model *model = open_model(path, "{\"memory\":\"100MiB\",\"context\":128}");
    char text[512];
    answer(model, "generate", "{\"prompt\":\"《登鹳雀楼》王之涣\\n\",\"greedy\":true,\"max_tokens\":64}", text, sizeof text);
    CHECK(strcmp(text, "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。") == 0);
    answer(model, "detokenize", "{\"ids\":[23618,1403,289,816]}", text, sizeof text);
    CHECK(strcmp(text, "白日依山尽") == 0);
    answer(model, "fill", "{\"text\":\"白日依山<blank:1>，黄河入海流\"}", text, sizeof text);
    CHECK(strstr(text, "白日依山") == text && strstr(text, "<blank") == NULL);
    lc_model_close(model);
}

/* What a text has and the vocabulary lacks stands in every answer, and only where there is something. */
static void unknown_characters_are_named(const char *path) {
    begin("answers name the characters that the vocabulary lacks");
    static const char *asked[][2] = {
        {"generate", "{\"prompt\":\"春%s\",\"max_tokens\":1}"}, {"fill", "{\"text\":\"春%s<blank:1>\"}"},
        {"score", "{\"context\":\"春\",\"target\":\"眠%s\"}"}, {"perplexity", "{\"text\":\"春眠%s\"}"},
        {"embed", "{\"text\":\"春%s\",\"normalize\":true}"}};
    lc_model *model = open_model(path, "{\"memory\":\"100MiB\",\"context\":64}");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        for (int has = 0; has < 2; has++) {
            char json[128];
            snprintf(json, sizeof json, asked[i][1], has ? "🦀" : "");
            lc_request *request = start(model, asked[i][0], json);
            lc_event *event;
            CHECK(lc_request_next(request, -1, &event) == LC_OK);
            while (lc_event_kind_of(event) != LC_RESULT) {
                lc_event_free(event);
                CHECK(lc_request_next(request, -1, &event) == LC_OK);
            }
            CHECK((strstr(lc_event_json(event, NULL), "\"unknown\":[\"🦀\"]") != NULL) == has);
            size_t rows, columns;
            const float *vector = lc_event_floats(event, &rows, &columns);
            if (vector) {
                double sum = 0;
                for (size_t c = 0; c < columns; c++) sum += (double)vector[c] * vector[c];
                CHECK(rows == 1 && sum > 0.9999 && sum < 1.0001);
            }
            lc_event_free(event);
            lc_request_free(request);
        }
    lc_model_close(model);
}

/* Windows that overlap, more of them than are under way at the same time. */
static void windows_are_counted(const char *path) {
    begin("perplexity of many windows does not depend on how many are under way");
    const char *json = "{\"text\":\"床前明月光，疑是地上霜。举头望明月，低头思故乡。春眠不觉晓，处处闻啼鸟。\","
                       "\"context\":8,\"stride\":3,\"prefix\":2}";
    char found[2][64];
    const char *options[2] = {"{\"memory\":\"100MiB\",\"context\":64}",
                              "{\"memory\":\"200MiB\",\"context\":64,\"sequences\":5}"};
    for (int i = 0; i < 2; i++) {
        lc_model *model = open_model(path, options[i]);
        lc_request *request = start(model, "perplexity", json);
        lc_event *event;
        CHECK(lc_request_next(request, -1, &event) == LC_OK);
        const char *text = lc_event_json(event, NULL);
        CHECK(number_of(text, "windows") > 6 && number_of(text, "context") == 8);
        snprintf(found[i], sizeof found[i], "%.50s", text);
        lc_event_free(event);
        CHECK(drain(request, NULL) == LC_END);
        lc_model_close(model);
    }
    CHECK(strcmp(found[0], found[1]) == 0);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: answers MODEL.leaf\n"), 2;
    parts_make_a_whole(argv[1]);
    the_poem_is_known(argv[1]);
    unknown_characters_are_named(argv[1]);
    windows_are_counted(argv[1]);
    return 0;
}
