/* Does a job whole and line by line, and uses jobs as nobody should:  jobs MODEL.leaf */
#define _GNU_SOURCE
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

enum { LINES = 12, ROOM = 1 << 16 };

static const char *model_path;
/* Of the job that was done whole. */
static long whole_tokens;
static const char *options = "{\"memory\":\"160MiB\",\"threads\":2,\"seed\":7}";

static void write_requests(const char *path) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (int i = 1; i <= LINES; i++)
        if (i % 3)
            fprintf(file, "{\"id\":%d,\"kind\":\"generate\",\"prompt\":\"春🦀%d\",\"max_tokens\":5}\n", i, i);
        else
            fprintf(file, "{\"id\":%d,\"kind\":\"embed\",\"text\":\"秋风\"}\n", i);
    fclose(file);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The lines of a file, sorted. Returns how many there are. */
static int sorted_lines(const char *path, char *text, char **lines) {
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    size_t length = fread(text, 1, ROOM - 1, file);
    fclose(file);
    text[length] = 0;
    int count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        CHECK(count < LINES);
        lines[count++] = line;
    }
    qsort(lines, (size_t)count, sizeof *lines, by_bytes);
    return count;
}

static void check_same_lines(const char *path, const char *other) {
    static char text[2][ROOM];
    char *lines[2][LINES];
    CHECK(sorted_lines(path, text[0], lines[0]) == LINES && sorted_lines(other, text[1], lines[1]) == LINES);
    for (int i = 0; i < LINES; i++) CHECK(strcmp(lines[0][i], lines[1][i]) == 0);
}

typedef struct {
    uint64_t done, total;
    int stops_at;
} seen;

static int watch(uint64_t done, uint64_t total, void *user) {
    seen *now = user;
    CHECK(done >= now->done && total >= now->total && total <= LINES);
    now->done = done;
    now->total = total;
    return now->stops_at >= 0 && done >= (uint64_t)now->stops_at && total == LINES;
}

static void a_job_is_done_whole(void) {
    begin("a job is done in one call, which says how far it is");
    char *json;
    seen now = {.stops_at = -1};
    CHECK(lc_batch(model_path, "in.jsonl", "whole.jsonl", options, watch, &now, &json) == LC_OK);
    CHECK(now.done == LINES && now.total == LINES && number_of(json, "done") == LINES);
    CHECK(number_of(json, "failed") == 0 && number_of(json, "done_before") == 0);
    CHECK(strstr(json, "\"speculation\":{\"mode\":") != NULL && strstr(json, "\"warnings\":[]") != NULL);
    whole_tokens = number_of(json, "tokens");
    CHECK(whole_tokens > LINES);
    lc_string_free(json);
    CHECK(lc_batch(model_path, "in.jsonl", "whole.jsonl", options, NULL, NULL, &json) == LC_USAGE && json == NULL);
    CHECK(lc_batch(model_path, "in.jsonl", "whole.jsonl", "{\"resume\":true}", NULL, NULL, NULL) == LC_OK);
}

static void a_job_is_stopped_and_goes_on(void) {
    begin("a job is stopped, also while nothing is read, and goes on");
    char *json;
    seen now = {.stops_at = 0};
    const char *slow = "{\"memory\":\"64MiB\",\"batch\":1,\"threads\":1,\"seed\":7,\"max_read_rate\":20000}";
    double before = seconds();
    CHECK(lc_batch(model_path, "in.jsonl", "out.jsonl", slow, watch, &now, &json) == LC_CANCELLED && json == NULL);
    /* A reading takes ten minutes. */
    CHECK(seconds() - before < 120);
    now = (seen){.stops_at = 3};
    const char *go_on = "{\"memory\":\"160MiB\",\"resume\":true,\"batch\":2}";
    lc_status status = lc_batch(model_path, "in.jsonl", "out.jsonl", go_on, watch, &now, NULL);
    CHECK(status == LC_CANCELLED || status == LC_OK);
    CHECK(lc_batch(model_path, "in.jsonl", "out.jsonl", go_on, NULL, NULL, &json) == LC_OK);
    CHECK(number_of(json, "done") == LINES && number_of(json, "done_before") >= 3);
    lc_string_free(json);
    check_same_lines("whole.jsonl", "out.jsonl");
}

/* What is no answer to a line: it has another line's id, a field too few, or a value of another kind. */
static void check_forgeries(lc_job *job, const char *answer) {
    long line = number_of(answer, "line");
    const char *forms[] = {"{}", "{\\\"id\\\":%ld}", "{\\\"id\\\":%ld,\\\"error\\\":\\\"no\\\"}",
                           "{\\\"id\\\":99,\\\"embedding\\\":[],\\\"tokens\\\":1}", "[%ld]",
                           "{\\\"id\\\":%ld,\\\"embedding\\\":\\\"no\\\",\\\"tokens\\\":null}",
                           "{\\\"id\\\":%ld,\\\"embedding\\\":[[1]],\\\"tokens\\\":1}",
                           "{\\\"id\\\":%ld,\\\"embedding\\\":[1],\\\"tokens\\\":1,\\\"more\\\":1}",
                           "{\\\"id\\\":%ld,\\r\\\"embedding\\\":[1],\\\"tokens\\\":1}",
                           "{\\\"id\\\":%ld,\\\"text\\\":5,\\\"ids\\\":[],\\\"finish_reason\\\":\\\"stop\\\","
                           "\\\"prompt_tokens\\\":1,\\\"completion_tokens\\\":1,\\\"seed\\\":1}"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char form[256], forged[512];
        snprintf(form, sizeof form, forms[i], line);
        snprintf(forged, sizeof forged, "{\"line\":%ld,\"failed\":false,\"answer\":\"%s\"}", line, form);
        CHECK(lc_job_answer(job, forged, strlen(forged), NULL) == LC_USAGE);
    }
}

/* What a model answers to a line of a job; to be freed. */
static char *answer_to(lc_model *model, const char *line) {
    lc_request *request = start(model, "line", line);
    lc_event *event;
    char *answer = NULL;
    while (lc_request_next(request, -1, &event) == LC_OK) {
        if (lc_event_kind_of(event) == LC_RESULT) answer = strdup(lc_event_json(event, NULL));
        lc_event_free(event);
    }
    lc_request_free(request);
    CHECK(answer != NULL);
    return answer;
}

static void lines_are_answered_one_by_one(void) {
    begin("lines that a model answers become the answers of the whole job");
    lc_job *job;
    char *line, *last = NULL, *info;
    int is_new;
    CHECK(lc_job_open(model_path, "in.jsonl", "lines.jsonl", options, NULL, NULL, &job) == LC_OK);
    CHECK(lc_job_info(job, &info) == LC_OK);
    CHECK(number_of(info, "requests") == LINES && number_of(info, "context") > 4 && number_of(info, "sequences") == 1);
    lc_string_free(info);
    lc_model *model = open_model(model_path, "{\"memory\":\"160MiB\",\"context\":64,\"threads\":2}");
    lc_status status;
    while ((status = lc_job_next(job, &line)) == LC_OK) {
        free(last);
        last = answer_to(model, line);
        lc_string_free(line);
        check_forgeries(job, last);
        CHECK(lc_job_answer(job, last, strlen(last), &is_new) == LC_OK && is_new == 1);
        CHECK(lc_job_answer(job, last, strlen(last), &is_new) == LC_OK && is_new == 0);
    }
    CHECK(status == LC_END && line == NULL && lc_job_next(job, &line) == LC_END);
    CHECK(lc_job_info(job, &info) == LC_OK && number_of(info, "done") == LINES);
    CHECK(number_of(info, "tokens") == whole_tokens);
    lc_string_free(info);
    CHECK(lc_job_sync(job) == LC_OK);
    check_same_lines("whole.jsonl", "lines.jsonl");
    /* The other machine has computed another number. */
    char *digit = strpbrk(strstr(last, "answer"), "123456789");
    CHECK(digit != NULL);
    *digit = *digit == '9' ? '1' : (char)(*digit + 1);
    CHECK(lc_job_answer(job, last, strlen(last), &is_new) < 0 && is_new == 0);
    free(last);
    lc_job_close(job);
    check_same_lines("whole.jsonl", "lines.jsonl");
    lc_model_close(model);
}

static void wrong_calls_are_refused(void) {
    begin("wrong calls for jobs are refused");
    int on_stack = 0;
    lc_job *job = (lc_job *)&on_stack;
    char *text = (char *)&on_stack;
    CHECK(lc_batch(NULL, "in.jsonl", "o", NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, NULL, "o", NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, "in.jsonl", NULL, NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, "in.jsonl", "o", "{\"context\":9}", NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, "in.jsonl", "in.jsonl", NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, "in.jsonl", "\xff", NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_batch(model_path, "/nowhere", "o", NULL, NULL, NULL, NULL) == LC_IO);
    CHECK(lc_batch(model_path, "in.jsonl", "/nowhere/o", NULL, NULL, NULL, NULL) < 0);
    CHECK(lc_batch(model_path, "in.jsonl", "o", "{\"memory\":1000000}", NULL, NULL, NULL) == LC_BUDGET);
    CHECK(access("o", F_OK) != 0 && access("o.job", F_OK) != 0);
    CHECK(lc_job_open(model_path, "in.jsonl", "o", NULL, NULL, NULL, NULL) == LC_USAGE);
    CHECK(lc_job_open("/nowhere", "in.jsonl", "o", NULL, NULL, NULL, &job) < 0 && job == NULL);
    void *strangers[] = {NULL, (void *)7, (void *)(uintptr_t)-1, &on_stack};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        CHECK(lc_job_info(strangers[i], &text) == LC_USAGE && text == NULL);
        CHECK(lc_job_next(strangers[i], &text) == LC_USAGE && text == NULL);
        CHECK(lc_job_answer(strangers[i], "{}", 2, NULL) == LC_USAGE);
        CHECK(lc_job_sync(strangers[i]) == LC_USAGE);
        lc_job_close(strangers[i]);
    }
    CHECK(lc_job_open(model_path, "in.jsonl", "o", NULL, NULL, NULL, &job) == LC_OK);
    CHECK(lc_job_answer(job, NULL, 5, NULL) == LC_USAGE && lc_job_answer(job, "{}", (size_t)-1, NULL) == LC_USAGE);
    CHECK(lc_job_next(job, NULL) == LC_USAGE && lc_job_info(job, NULL) == LC_USAGE);
    CHECK(lc_job_next(job, &text) == LC_OK);
    lc_string_free(text);
    lc_job *other;
    CHECK(lc_job_open(model_path, "in.jsonl", "o", "{\"resume\":true}", NULL, NULL, &other) == LC_IO && other == NULL);
    pid_t child = fork();
    if (child == 0) _exit(lc_job_next(job, &text) == LC_CLOSED && text == NULL ? 0 : 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    lc_job_close(job);
    lc_job_close(job);
    CHECK(lc_job_sync(job) == LC_USAGE);
    lc_model *model = open_model(model_path, "{\"memory\":\"160MiB\"}");
    lc_request *request;
    const char *lines[] = {"", "{}", "[]", "{\"line\":1}",
                           "{\"line\":1,\"seed\":1,\"origin\":\"\",\"request\":\"{}\"}"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CHECK(lc_request_start(model, "line", lines[i], strlen(lines[i]), &request) < 0 && request == NULL);
    lc_model_close(model);
}

static void files_are_verified(void) {
    begin("a model file is verified");
    CHECK(lc_verify(model_path, NULL, NULL) == LC_OK);
    CHECK(lc_verify("in.jsonl", NULL, NULL) == LC_BAD_INPUT);
    CHECK(lc_verify("/nowhere", NULL, NULL) == LC_IO && lc_verify(NULL, NULL, NULL) == LC_USAGE);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: jobs MODEL.leaf\n"), 2;
    model_path = argv[1];
    write_requests("in.jsonl");
    a_job_is_done_whole();
    a_job_is_stopped_and_goes_on();
    lines_are_answered_one_by_one();
    wrong_calls_are_refused();
    files_are_verified();
    return 0;
}
