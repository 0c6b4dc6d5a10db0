/* Uses the library as nobody should:  hostile MODEL.leaf
   Nothing may crash, hang, or be taken for something else. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <stdint.h>

static const char *options = "{\"memory\":\"160MiB\",\"context\":128,\"threads\":2}";
static const char *poem = "{\"prompt\":\"《静夜思》李白\\n\",\"greedy\":true,\"max_tokens\":60}";
static const char *model_path;

/* ---- Handles */

static void foreign_handles_are_refused(lc_model *model) {
    begin("foreign handles are refused");
    int on_stack = 0;
    void *on_heap = malloc(64);
    void *strangers[] = {NULL, (void *)1, (void *)3, (void *)5, (void *)(uintptr_t)-1, &on_stack, on_heap,
                         (void *)(uintptr_t)0x1eaf000100000003, (void *)(uintptr_t)0x1eaf0001fffffff1};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        void *stranger = strangers[i];
        if (stranger == (void *)model) continue;
        lc_request *request = (lc_request *)&on_stack;
        lc_event *event = (lc_event *)&on_stack;
        char *text = (char *)&on_stack;
        size_t count = 7, rows = 7;
        CHECK(lc_request_start(stranger, "tokenize", "{}", 2, &request) == LC_USAGE && request == NULL);
        CHECK(lc_error_message()[0] != 0);
        CHECK(lc_request_next(stranger, 0, &event) == LC_USAGE && event == NULL);
        CHECK(lc_model_info(stranger, &text) == LC_USAGE && text == NULL);
        lc_model_close(stranger);
        lc_request_cancel(stranger);
        lc_request_free(stranger);
        CHECK(lc_event_kind_of(stranger) == LC_NONE);
        CHECK(lc_event_text(stranger, &count) == NULL && count == 0);
        CHECK(lc_event_json(stranger, NULL) == NULL);
        CHECK(lc_event_floats(stranger, &rows, &count) == NULL && rows == 0 && count == 0);
        CHECK(lc_event_token(stranger) == -1);
        CHECK(lc_event_sample(stranger) == 0);
        lc_event_free(stranger);
    }
    free(on_heap);
    lc_string_free(NULL);
}

static void places_may_be_missing(lc_model *model) {
    begin("places for results may be missing");
    lc_request *request = start(model, "tokenize", "{\"text\":\"春\"}");
    CHECK(lc_model_open(model_path, options, NULL) == LC_USAGE);
    CHECK(lc_model_open(NULL, options, &model) == LC_USAGE);
    CHECK(lc_request_start(model, "tokenize", "{}", 2, NULL) == LC_USAGE);
    CHECK(lc_request_next(request, 0, NULL) == LC_USAGE);
    CHECK(lc_plan(model_path, NULL, NULL) == LC_USAGE);
    CHECK(lc_convert(NULL, NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(drain(request, NULL) == LC_END);
}

static void one_kind_is_not_another(lc_model *model) {
    begin("one kind of handle is not taken for another");
    lc_request *request = start(model, "tokenize", "{\"text\":\"春\"}");
    lc_event *event, *other;
    CHECK(lc_request_next(request, -1, &event) == LC_OK);
    CHECK(lc_request_next((lc_request *)model, 0, &other) == LC_USAGE);
    CHECK(lc_request_next((lc_request *)event, 0, &other) == LC_USAGE);
    CHECK(lc_event_kind_of((lc_event *)request) == LC_NONE);
    lc_event_free((lc_event *)request);
    lc_model_close((lc_model *)request);
    lc_request_free((lc_request *)event);
    CHECK(lc_event_kind_of(event) == LC_RESULT);
    lc_event_free(event);
    CHECK(drain(request, NULL) == LC_END);
}

static void freed_handles_are_known(lc_model *model) {
    begin("freed handles are told apart from those that took their places");
    lc_request *request = start(model, "tokenize", "{\"text\":\"春\"}");
    lc_event *event, *none;
    CHECK(lc_request_next(request, -1, &event) == LC_OK);
    lc_event *old_event = event;
    lc_request *old_request = request;
    lc_event_free(event);
    lc_request_free(request);
    request = start(model, "tokenize", "{\"text\":\"春\"}");
    CHECK(lc_request_next(request, -1, &event) == LC_OK);
    CHECK(event != old_event && request != old_request);
    CHECK(lc_event_kind_of(old_event) == LC_NONE && lc_event_text(old_event, NULL) == NULL);
    CHECK(lc_request_next(old_request, 0, &none) == LC_USAGE);
    lc_event_free(old_event);
    lc_request_free(old_request);
    lc_request_cancel(old_request);
    CHECK(lc_event_kind_of(event) == LC_RESULT);
    lc_event_free(event);
    CHECK(drain(request, NULL) == LC_END);
}

/* ---- Texts */

static void broken_requests_are_refused(lc_model *model) {
    begin("broken requests are refused");
    static const char *kinds[] = {"generate", "fill",   "score",    "perplexity",
                                  "embed",    "logits", "tokenize", "detokenize"};
    static const char *broken[] = {
        "", " ", "{", "}", "[]", "null", "7", "\"春\"", "{}x", "{\"prompt\":}", "{\"text\":\"\\ud800\"}",
        "{\"text\":\"\xff\xfe\"}", "{\"text\":\"\xe6\x98\"}", "{\"nothing\":1}", "{\"ids\":[1,]}", "{\"ids\":[1e99]}",
        "{\"prompt\":\"a\",\"max_tokens\":-1}", "{\"prompt\":\"a\",\"max_tokens\":1e30}", "{\"prompt\":7}",
        "{\"prompt\":\"a\",\"input_ids\":[6]}", "{\"input_ids\":[99999999]}", "{\"text\":\"a\",\"task\":1000}",
        "{\"text\":\"a\",\"delta\":\"none\"}", "{\"prompt\":\"a\",\"temperature\":\"hot\"}", "{\"a\":{\"a\":",
        "{\"progress\":1,\"text\":\"a\"}", "{\"kind\":\"other\",\"text\":\"a\"}"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t b = 0; b < sizeof broken / sizeof *broken; b++) {
            lc_request *request;
            lc_status status = lc_request_start(model, kinds[k], broken[b], strlen(broken[b]), &request);
            /* Some of them are whole requests of some kind, which the model refuses later. */
            if (status == LC_OK) status = drain(request, NULL);
            else CHECK(request == NULL && lc_error_message()[0] != 0 && lc_error_json()[0] == '{');
            CHECK(status == LC_USAGE || status == LC_BAD_INPUT || status == LC_BUDGET || status == LC_END);
        }
    lc_request *request;
    CHECK(lc_request_start(model, "generat", "{}", 2, &request) == LC_USAGE);
    CHECK(strstr(lc_error_message(), "generate") != NULL);
    CHECK(lc_request_start(model, "\xff", "{}", 2, &request) == LC_USAGE);
    CHECK(lc_request_start(model, NULL, "{}", 2, &request) == LC_USAGE);
    CHECK(lc_request_start(model, "tokenize", NULL, 2, &request) == LC_USAGE);
    CHECK(lc_request_start(model, "tokenize", "{}", SIZE_MAX, &request) == LC_USAGE);
    CHECK(lc_request_start(model, "tokenize", "{}", SIZE_MAX / 2, &request) == LC_USAGE);
    /* A NUL in the middle of what has a length. */
    CHECK(lc_request_start(model, "tokenize", "{\"text\":\"a\0b\"}", 14, &request) == LC_USAGE);
}

/* How starting a request ends, or the request if it starts. */
static lc_status end_of(lc_model *model, const char *kind, const char *json) {
    lc_request *request;
    lc_status status = lc_request_start(model, kind, json, strlen(json), &request);
    return status == LC_OK ? drain(request, NULL) : status;
}

static void numbers_that_would_be_taken_for_others_are_refused(lc_model *model) {
    begin("numbers that would be taken for others are refused");
    static const char *small[] = {"1e-300", "1e-46", "1e-40", "0.0005", "1e-999", "-1e-50"};
    static const char *names[] = {"temperature", "repetition_penalty"};
    char json[128];
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            snprintf(json, sizeof json, "{\"input_ids\":[6],\"max_tokens\":1,\"%s\":%s}", names[n], small[i]);
            CHECK(end_of(model, "generate", json) == LC_USAGE);
        }
    CHECK(end_of(model, "generate", "{\"input_ids\":[6],\"max_tokens\":1,\"top_p\":1e-50}") == LC_USAGE);
    CHECK(end_of(model, "generate", "{\"input_ids\":[6],\"max_tokens\":1,\"min_p\":1e-50}") == LC_USAGE);
    CHECK(end_of(model, "generate", "{\"input_ids\":[6],\"max_tokens\":1,\"temperature\":0.0e-99}") == LC_END);
    CHECK(end_of(model, "logits", "{\"input_ids\":[6],\"last\":-1}") == LC_USAGE);
    CHECK(end_of(model, "logits", "{\"input_ids\":[6],\"last\":9223372036854775807}") == LC_USAGE);
    CHECK(end_of(model, "logits", "{\"input_ids\":[6],\"last\":true,\"segment\":2}") == LC_END);
}

static void two_forms_at_once_are_refused(lc_model *model) {
    begin("two forms of a text at once are refused");
    static const char *others[] = {"\"input\":[6]", "\"length\":1", "\"context\":[1]", "\"span\":[0]"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"input_ids\":[6],%s}", others[i]);
        CHECK(end_of(model, "logits", json) == LC_USAGE && strstr(lc_error_message(), "not both") != NULL);
    }
    CHECK(end_of(model, "logits", "{\"input_ids\":[6],\"segment\":[2,2]}") == LC_USAGE);
}

/* A refusal names what would do, by the name of its option. */
static void refusals_name_what_would_do(lc_model *model) {
    begin("refusals name what would do");
    CHECK(end_of(model, "generate", "{\"input_ids\":[6],\"max_tokens\":1,\"n\":4}") == LC_BUDGET);
    CHECK(strstr(lc_error_json(), "\"too_long\"") != NULL && number_of(lc_error_json(), "sequences") == 4);
    CHECK(end_of(model, "generate", "{\"input_ids\":[6],\"max_tokens\":500}") == LC_BUDGET);
    CHECK(number_of(lc_error_json(), "context") > 500);
}

static void broken_options_are_refused(void) {
    begin("broken options are refused");
    static const char *broken[] = {"", "{", "[]", "{\"memry\":\"1GiB\"}", "{\"memory\":\"much\"}", "{\"memory\":-1}",
                                   "{\"context\":0}", "{\"context\":1e12}", "{\"sequences\":0}", "{\"threads\":0}",
                                   "{\"threads\":100000}", "{\"io\":\"fast\"}", "{\"logit_rows\":0}", "{\"kv\":7}",
                                   "{\"deltas\":[\"/nowhere\"]}", "{\"delta_alpha\":1}", "{\"speculate\":\"/nowhere\"}",
                                   "{\"draft_tokens\":0}", "{\"draft_tokens\":1000}",
                                   "{\"share_ngrams\":1}", "{\"speculate\":\"off\",\"share_ngrams\":true}",
                                   "{\"max_read_rate\":0}", "{\"max_read_rate\":5}", "{\"max_read_rate\":\"200\"}",
                                   "{\"memory\":\"\xff\"}", "{\"mirror\":\"/nowhere\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        lc_model *model = (lc_model *)&model_path;
        lc_status status = lc_model_open(model_path, broken[i], &model);
        CHECK(status < 0 && model == NULL && lc_error_message()[0] != 0);
    }
    lc_model *model;
    CHECK(lc_model_open(model_path, "{\"memry\":\"1GiB\"}", &model) == LC_USAGE);
    CHECK(strstr(lc_error_message(), "memory") != NULL);
    CHECK(lc_model_open(model_path, "{\"memory\":\"1MiB\"}", &model) == LC_BUDGET);
    CHECK(number_of(lc_error_json(), "minimum") > 1 << 20);
    CHECK(lc_model_open("/nowhere.leaf", NULL, &model) == LC_IO);
    CHECK(lc_model_open("/dev/null", NULL, &model) < 0);
    CHECK(lc_model_open("/", NULL, &model) < 0);
    CHECK(lc_model_open(__FILE__, NULL, &model) < 0);
    CHECK(lc_model_open("\xff", NULL, &model) == LC_USAGE);
    /* What cannot be seen of a name is written as an escape. */
    CHECK(lc_model_open(model_path, "{\"mem\\u0000ory\":1}", &model) == LC_USAGE);
    CHECK(strstr(lc_error_message(), "'mem\\u{0}ory'") != NULL && strstr(lc_error_message(), "'memory'") != NULL);
    CHECK(lc_model_open("", options, &model) == LC_USAGE && strstr(lc_error_message(), "path is an empty") != NULL);
    CHECK(lc_model_open(model_path, "{\"mirror\":\"\"}", &model) == LC_USAGE);
    /* Nobody is told to give what no machine has. */
    CHECK(lc_model_open(model_path, "{\"request_bytes\":9223372036854775807}", &model) == LC_BUDGET);
    CHECK(strstr(lc_error_message(), "than any machine has") != NULL && number_of(lc_error_json(), "minimum") == -1);
    CHECK(lc_model_open(model_path, "{\"request_bytes\":1152921504606846976}", &model) == LC_BUDGET);
    CHECK(strstr(lc_error_message(), "than any machine has") != NULL && number_of(lc_error_json(), "minimum") == -1);
    char *plan;
    CHECK(lc_plan("cpm-ant-10b", "{\"memory\":\"1GiB\"}", &plan) == LC_USAGE);
    CHECK(lc_plan("cpm-ant-10b", "{\"memory\":\"64MiB\",\"disk_rate\":\"1GB/s\"}", &plan) == LC_BUDGET);
    CHECK(number_of(lc_error_json(), "minimum") > 64 << 20 && plan == NULL);
    static const char *of_drafts[] = {"{\"acceptance\":0.5}", "{\"acceptance\":2,\"speculate\":\"ngram\"}",
                                      "{\"acceptance\":\"much\"}", "{\"draft_tokens\":3}",
                                      "{\"share_ngrams\":true}", "{\"share_ngrams\":true,\"speculate\":\"off\"}"};
    for (size_t i = 0; i < sizeof of_drafts / sizeof *of_drafts; i++)
        CHECK(lc_plan(model_path, of_drafts[i], &plan) == LC_USAGE && plan == NULL);
    CHECK(lc_model_open(model_path, "{\"speculate\":\"ngram\",\"acceptance\":0.5}", &model) == LC_USAGE);
}

/* What the command's plan says of drafts. */
static void a_plan_says_what_drafts_give(void) {
    begin("a plan says what drafts give");
    char options[4300];
    char *plan = NULL;
    snprintf(options, sizeof options,
             "{\"memory\":\"96MiB\",\"context\":128,\"disk_rate\":\"100MB/s\",\"speculate\":\"%s\",\"draft_tokens\":4,"
             "\"acceptance\":0.5}", model_path);
    CHECK(lc_plan(model_path, options, &plan) == LC_OK && plan != NULL);
    CHECK(strstr(plan, "\"acceptance\":0.5,\"acceptance_from\":\"given\",\"drafts\":4,") != NULL);
    lc_string_free(plan);
    /* What n-grams share is refused beside a model that guesses, here as where it is opened. */
    snprintf(options, sizeof options,
             "{\"memory\":\"96MiB\",\"context\":128,\"disk_rate\":\"100MB/s\",\"speculate\":\"%s\","
             "\"share_ngrams\":true}", model_path);
    CHECK(lc_plan(model_path, options, &plan) == LC_USAGE && plan == NULL);
    CHECK(strstr(lc_error_message(), "what other texts have said is for n-grams") != NULL);
    CHECK(lc_plan(model_path, "{\"memory\":\"96MiB\",\"context\":128,\"disk_rate\":\"1GB/s\"}", &plan) == LC_OK);
    CHECK(strstr(plan, "\"speculation\"") == NULL);
    lc_string_free(plan);
}

/* C would end such a path at its null character, and name another file. */
static void paths_hold_no_null_character(void) {
    begin("paths with a null character are refused");
    static const char *broken[] = {
        "{\"mirror\":\"a\\u0000b\"}", "{\"speculate\":\"off\\u0000\"}", "{\"delta\":\"a\\u0000\"}",
        "{\"deltas\":[\"x=a\\u0000\"]}", "{\"prompt_embeddings\":{\"x\":\"\\u0000a\"}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        lc_model *model;
        CHECK(lc_model_open(model_path, broken[i], &model) == LC_USAGE && model == NULL);
        CHECK(strstr(lc_error_message(), "null character") != NULL);
    }
    char *json;
    CHECK(lc_batch(model_path, "in", "out", "{\"errors\":\"a\\u0000\"}", NULL, NULL, &json) == LC_USAGE);
    CHECK(strstr(lc_error_message(), "null character") != NULL);
    CHECK(lc_convert("a", "b", "{\"vocab\":\"a\\u0000\"}", NULL, NULL) == LC_USAGE);
    CHECK(strstr(lc_error_message(), "null character") != NULL);
}

/* The smallest budget is a fact of the model and the options, whatever budget is given; it works when it is. */
static void the_smallest_budget_does_not_follow_the_given_one(void) {
    begin("the smallest budget does not follow the given one");
    long smallest = 0;
    const char *budgets[] = {"80MiB", "300MiB", "4GiB"};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        char options[120];
        char *plan = NULL;
        snprintf(options, sizeof options, "{\"memory\":\"%s\",\"context\":128,\"disk_rate\":\"1GB/s\"}", budgets[i]);
        CHECK(lc_plan(model_path, options, &plan) == LC_OK && plan != NULL);
        long minimum = number_of(plan, "minimum");
        CHECK(minimum > 1 << 20 && (smallest == 0 || minimum == smallest));
        smallest = minimum;
        lc_string_free(plan);
    }
    char options[120];
    snprintf(options, sizeof options, "{\"memory\":%ld,\"context\":128}", smallest);
    lc_model_close(open_model(model_path, options));
    snprintf(options, sizeof options, "{\"memory\":%ld,\"context\":128}", smallest - 4096);
    lc_model *model;
    CHECK(lc_model_open(model_path, options, &model) == LC_BUDGET);
    CHECK(number_of(lc_error_json(), "minimum") >= smallest);
    /* The first refusal names one that works, whatever is read first. */
    CHECK(lc_model_open(model_path, "{\"memory\":4096,\"context\":128}", &model) == LC_BUDGET);
    snprintf(options, sizeof options, "{\"memory\":%ld,\"context\":128}", number_of(lc_error_json(), "minimum"));
    lc_model_close(open_model(model_path, options));
}

/* Requests with bytes changed at random; the seed is printed. */
static void changed_requests_do_no_harm(lc_model *model) {
    begin("requests with changed bytes do no harm");
    static const struct {
        const char *kind, *json;
    } whole[] = {
        {"generate", "{\"prompt\":\"春眠\",\"max_tokens\":2,\"top_k\":3,\"n\":1,\"stop\":[\"a\"]}"},
        {"fill", "{\"text\":\"床前<blank:1>光<blank>\",\"max_blank\":2}"},
        {"score", "{\"input\":\"春\",\"options\":[\"a\",\"b\"],\"rule\":\"likelihood\"}"},
        {"perplexity", "{\"text\":\"床前明月光\",\"context\":8,\"stride\":2,\"prefix\":2}"},
        {"embed", "{\"input_ids\":[6,20,30],\"pool\":\"none\"}"},
        {"logits", "{\"input_ids\":[6,20,30],\"segment\":2,\"last\":true}"},
        {"tokenize", "{\"text\":\"春眠不觉晓\",\"words\":true}"},
        {"detokenize", "{\"ids\":[20,30,2000],\"id\":7}"},
    };
    unsigned seed = (unsigned)time(NULL);
    printf("    seed %u\n", seed);
    for (int round = 0; round < 600; round++) {
        size_t which = (size_t)round % (sizeof whole / sizeof *whole), length = strlen(whole[which].json);
        char json[256];
        memcpy(json, whole[which].json, length);
        for (int changes = 1 + rand_r(&seed) % 3; changes > 0; changes--)
            json[rand_r(&seed) % length] = "0123456789{}[]\",:-.\\ \xe6\xff-e"[rand_r(&seed) % 26];
        lc_request *request;
        lc_status status = lc_request_start(model, whole[which].kind, json, length, &request);
        if (status == LC_OK) status = drain(request, NULL);
        CHECK(status <= LC_END);
    }
}

/* ---- Threads and ends */

typedef struct {
    lc_request *request;
    int pieces, results, ends, other;
} reader;

static void *read_all(void *context) {
    reader *own = context;
    for (;;) {
        lc_event *event;
        lc_status status = lc_request_next(own->request, -1, &event);
        if (status == LC_OK) {
            if (lc_event_kind_of(event) == LC_PIECE) own->pieces++;
            else own->results++;
            lc_event_free(event);
        } else if (status == LC_END) {
            own->ends++;
            return NULL;
        } else {
            own->other++;
            if (status == LC_USAGE) return NULL;
        }
    }
}

static void two_threads_share_a_request(lc_model *model) {
    begin("two threads on one request get each event once");
    int counts[4] = {0};
    CHECK(drain(start(model, "generate", poem), counts) == LC_END);
    lc_request *request = start(model, "generate", poem);
    reader readers[2] = {{.request = request}, {.request = request}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, read_all, &readers[i]) == 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(readers[0].pieces + readers[1].pieces == counts[LC_PIECE]);
    CHECK(readers[0].results + readers[1].results == 1);
    CHECK(readers[0].ends == 1 && readers[1].ends == 1 && readers[0].other + readers[1].other == 0);
    lc_request_free(request);
}

static void freeing_wakes_whoever_waits(lc_model *model) {
    begin("freeing a request wakes the thread that waits for it");
    lc_request *request = start(model, "generate", poem);
    reader waiting = {.request = request};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, read_all, &waiting) == 0);
    lc_request_free(request);
    pthread_join(thread, NULL);
    CHECK(waiting.other == 1 || waiting.ends == 1);
}

/* One with the least memory: a reading of the model takes about a minute at 200 kB a second. */
static lc_model *slow_model(const char *rate) {
    lc_model *model;
    char slow[160];
    CHECK(lc_model_open(model_path, "{\"memory\":\"1MiB\",\"context\":128}", &model) == LC_BUDGET);
    snprintf(slow, sizeof slow, "{\"memory\":%ld,\"context\":128,\"max_read_rate\":\"%s\"}",
             number_of(lc_error_json(), "minimum"), rate);
    return open_model(model_path, slow);
}

static void waiting_has_a_limit(void) {
    begin("waiting has the limit that was given");
    lc_model *model = slow_model("200kB/s");
    lc_event *event;
    lc_request *request = start(model, "generate", poem);
    CHECK(lc_request_next(request, 0, &event) == LC_TIMEOUT && event == NULL);
    double began = seconds();
    CHECK(lc_request_next(request, 50, &event) == LC_TIMEOUT && event == NULL);
    CHECK(seconds() - began >= 0.05);
    lc_request_cancel(request);
    CHECK(lc_request_next(request, 1000000, &event) == LC_CANCELLED);
    CHECK(lc_request_next(request, 1000000, &event) == LC_END && lc_request_next(request, -1, &event) == LC_END);
    lc_request_free(request);
    lc_model_close(model);
}

static void cancelling_ends_every_phase(lc_model *model) {
    begin("cancelling ends a request in the queue, while it decodes, and does nothing after its end");
    lc_event *event;
    lc_model *slow = slow_model("200kB/s");
    lc_request *first = start(slow, "generate", poem), *queued = start(slow, "generate", poem);
    lc_request_cancel(queued);
    CHECK(lc_request_next(queued, -1, &event) == LC_CANCELLED && event == NULL);
    CHECK(lc_request_next(queued, -1, &event) == LC_END);
    lc_request_free(queued);
    lc_request_cancel(first);
    CHECK(drain(first, NULL) == LC_CANCELLED);
    lc_model_close(slow);

    /* Some tenths of a second a token: there are some left. */
    slow = slow_model("20MB/s");
    first = start(slow, "generate", poem);
    for (int i = 0; i < 3; i++) {
        CHECK(lc_request_next(first, -1, &event) == LC_OK && lc_event_kind_of(event) == LC_PIECE);
        lc_event_free(event);
    }
    lc_request_cancel(first);
    lc_request_cancel(first);
    CHECK(drain(first, NULL) == LC_CANCELLED);
    lc_model_close(slow);

    lc_request *done = start(model, "generate", "{\"prompt\":\"春\",\"greedy\":true,\"max_tokens\":1}");
    CHECK(lc_request_next(done, -1, &event) == LC_OK && lc_event_kind_of(event) == LC_PIECE);
    lc_event_free(event);
    sleep_ms(200);
    lc_request_cancel(done);
    int counts[4] = {0};
    lc_status status = drain(done, counts);
    CHECK((status == LC_END && counts[LC_RESULT] == 1) || status == LC_CANCELLED);
    /* One that was answered at the start, before anybody could cancel it. */
    lc_request *answered = start(model, "tokenize", "{\"text\":\"春\"}");
    lc_request_cancel(answered);
    int answers[4] = {0};
    CHECK(drain(answered, answers) == LC_END && answers[LC_RESULT] == 1);
}

static void cancelling_ends_a_slow_sweep(void) {
    begin("cancelling ends a request within its first sweep, and closing does");
    lc_model *model = slow_model("200kB/s");
    lc_event *event;
    double began = seconds();
    lc_request *request = start(model, "generate", "{\"prompt\":\"春\",\"max_tokens\":9,\"progress\":true}");
    int progress = 0;
    while (!progress) {
        CHECK(lc_request_next(request, -1, &event) == LC_OK);
        progress = lc_event_kind_of(event) == LC_PROGRESS;
        CHECK(progress && strstr(lc_event_json(event, NULL), "\"phase\":\"") != NULL);
        lc_event_free(event);
    }
    lc_request_cancel(request);
    CHECK(drain(request, NULL) == LC_CANCELLED);
    request = start(model, "logits", "{\"input_ids\":[6,20,30]}");
    sleep_ms(300);
    lc_model_close(model);
    CHECK(seconds() - began < 40);
    CHECK(drain(request, NULL) == LC_CANCELLED);
}

static void closing_ends_what_runs(void) {
    begin("closing a model ends what runs, and later calls say that it is closed");
    lc_model *model = open_model(model_path, options);
    reader readers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        readers[i] = (reader){.request = start(model, "generate", poem)};
        CHECK(pthread_create(&threads[i], NULL, read_all, &readers[i]) == 0);
    }
    lc_request *unread = start(model, "logits", "{\"input_ids\":[6,20,30]}"), *none;
    lc_request *answered = start(model, "tokenize", "{\"text\":\"春\"}");
    lc_event *event;
    CHECK(lc_request_next(answered, -1, &event) == LC_OK);
    sleep_ms(20);
    lc_model_close(model);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK(readers[i].ends == 1 && readers[i].other + readers[i].results == 1);
        lc_request_free(readers[i].request);
    }
    char *text;
    CHECK(lc_request_start(model, "generate", poem, strlen(poem), &none) == LC_CLOSED && none == NULL);
    CHECK(lc_model_info(model, &text) == LC_CLOSED && text == NULL);
    CHECK(strstr(lc_error_json(), "\"closed\"") != NULL);
    lc_model_close(model);
    CHECK(lc_event_json(event, NULL) != NULL);
    lc_event_free(event);
    CHECK(drain(answered, NULL) == LC_END);
    lc_status status = drain(unread, NULL);
    CHECK(status == LC_CANCELLED || status == LC_END);
}

/* ---- Starting, reading, cancelling and closing from many threads at once. */

static lc_model *shared;

static void *trouble(void *context) {
    unsigned seed = (unsigned)(uintptr_t)context;
    for (int i = 0; i < 60; i++) {
        lc_request *request;
        lc_event *event;
        const char *json = "{\"prompt\":\"春\",\"max_tokens\":3}";
        if (lc_request_start(shared, "generate", json, strlen(json), &request) != LC_OK) continue;
        switch (rand_r(&seed) % 4) {
        case 0: break;
        case 1: lc_request_cancel(request); break;
        case 2: drain(request, NULL); continue;
        default:
            if (lc_request_next(request, 5, &event) == LC_OK) lc_event_free(event);
        }
        lc_request_free(request);
    }
    return NULL;
}

static void many_threads_do_no_harm(void) {
    begin("many threads start, cancel, free and close at once");
    for (int round = 0; round < 3; round++) {
        shared = open_model(model_path, "{\"memory\":\"160MiB\",\"context\":64,\"sequences\":3}");
        pthread_t threads[6];
        for (int i = 0; i < 6; i++)
            CHECK(pthread_create(&threads[i], NULL, trouble, (void *)(uintptr_t)(i + 10 * round + 1)) == 0);
        sleep_ms(100 * round);
        if (round > 0) lc_model_close(shared);
        for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
        lc_model_close(shared);
    }
}

/* ---- Room */

static void held_requests_have_a_limit(lc_model *model) {
    begin("requests that nobody frees fill their room, and no more are taken");
    enum { MOST = 100000 };
    lc_request **held = malloc(MOST * sizeof *held);
    int count = 0;
    lc_status status = LC_OK;
    while (count < MOST) {
        const char *json = "{\"text\":\"春\"}";
        status = lc_request_start(model, "tokenize", json, strlen(json), &held[count]);
        if (status != LC_OK) break;
        count++;
    }
    CHECK(status == LC_BUSY && count > 100);
    CHECK(strstr(lc_error_json(), "\"busy\"") != NULL);
    for (int i = 0; i < count; i++) lc_request_free(held[i]);
    CHECK(drain(start(model, "tokenize", "{\"text\":\"春\"}"), NULL) == LC_END);
    free(held);
}

/* One request of this size fills the room. It comes back a moment after it was freed, and nobody is told of that. */
static void freed_room_is_there(void) {
    begin("who frees a request has its room at once");
    enum { LENGTH = 900000 };
    lc_model *model = open_model(model_path, "{\"memory\":\"160MiB\",\"context\":64,\"logit_rows\":1}");
    char *json = malloc(LENGTH + 1);
    memset(json, ' ', LENGTH);
    json[LENGTH] = 0;
    static const char words[] = "{\"prompt\":\"春\",\"greedy\":true,\"max_tokens\":2}";
    memcpy(json, words, sizeof words - 1);
    lc_request *request = start(model, "generate", json), *second;
    CHECK(lc_request_start(model, "generate", json, LENGTH, &second) == LC_BUSY);
    for (int i = 0; i < 60; i++) {
        /* Freed while it is under way, and after its end. */
        if (i % 2) lc_request_free(request);
        else CHECK(drain(request, NULL) == LC_END);
        request = start(model, "generate", json);
    }
    CHECK(drain(request, NULL) == LC_END);
    free(json);
    lc_model_close(model);
}

static int more(uint64_t done, uint64_t total, void *user) {
    (void)total;
    ++*(int *)user;
    return done > 0;
}

static void conversions_can_be_cancelled(const char *source) {
    begin("a conversion is told of and can be cancelled");
    char target[] = "cancelled.leaf";
    int calls = 0;
    CHECK(lc_convert(source, target, NULL, more, &calls) == LC_CANCELLED && calls > 0);
    CHECK(lc_convert(source, target, "{\"weights\":\"int9\"}", NULL, NULL) == LC_USAGE);
    CHECK(lc_convert(source, target, "{\"consume\":true}", NULL, NULL) == LC_USAGE);
    CHECK(lc_convert("/nowhere", target, NULL, NULL, NULL) < 0);
    CHECK(lc_convert(source, target, "{\"weights\":\"int8\"}", NULL, NULL) == LC_OK);
    lc_model *model = open_model(target, options);
    CHECK(drain(start(model, "generate", poem), NULL) == LC_END);
    lc_model_close(model);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: hostile MODEL.leaf CHECKPOINT\n"), 2;
    model_path = argv[1];
    CHECK(lc_abi_version() == LC_ABI_VERSION && lc_version()[0] != 0);
    CHECK(strcmp(lc_error_message(), "") == 0 && strcmp(lc_error_json(), "{}") == 0);
    foreign_handles_are_refused(NULL);
    broken_options_are_refused();
    a_plan_says_what_drafts_give();
    paths_hold_no_null_character();
    the_smallest_budget_does_not_follow_the_given_one();
    lc_model *model = open_model(model_path, options);
    foreign_handles_are_refused(model);
    places_may_be_missing(model);
    one_kind_is_not_another(model);
    freed_handles_are_known(model);
    broken_requests_are_refused(model);
    numbers_that_would_be_taken_for_others_are_refused(model);
    two_forms_at_once_are_refused(model);
    refusals_name_what_would_do(model);
    changed_requests_do_no_harm(model);
    two_threads_share_a_request(model);
    freeing_wakes_whoever_waits(model);
    waiting_has_a_limit();
    cancelling_ends_every_phase(model);
    held_requests_have_a_limit(model);
    lc_model_close(model);
    freed_room_is_there();
    cancelling_ends_a_slow_sweep();
    closing_ends_what_runs();
    many_threads_do_no_harm();
    conversions_can_be_cancelled(argv[2]);
    return 0;
}
