/* Sends requests from several threads to one model; they share its readings:  batch MODEL.leaf < REQUESTS.jsonl
   Each line is a request, {"id":1,"prompt":"...","max_tokens":8}; answers are printed in the order in which they
   come. */
#define _POSIX_C_SOURCE 200809L
#include <leafcutter.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4 };

static lc_model *model;
static pthread_mutex_t input = PTHREAD_MUTEX_INITIALIZER, output = PTHREAD_MUTEX_INITIALIZER;

/* The next line of standard input; 0 after the last one. */
static int read_line(char **line, size_t *room, size_t *length) {
    pthread_mutex_lock(&input);
    ssize_t count = getline(line, room, stdin);
    pthread_mutex_unlock(&input);
    *length = count > 0 ? (size_t)count : 0;
    return count > 0;
}

static void print(const char *text) {
    pthread_mutex_lock(&output);
    puts(text);
    pthread_mutex_unlock(&output);
}

static void answer(const char *json, size_t length) {
    lc_request *request;
    lc_event *event;
    lc_status status = lc_request_start(model, "generate", json, length, &request);
    if (status != LC_OK) {
        print(lc_error_json());
        return;
    }
    while ((status = lc_request_next(request, -1, &event)) == LC_OK) {
        if (lc_event_kind_of(event) == LC_RESULT) print(lc_event_json(event, NULL));
        lc_event_free(event);
    }
    if (status != LC_END) print(lc_error_json());
    lc_request_free(request);
}

static void *work(void *unused) {
    char *line = NULL;
    size_t room = 0, length;
    (void)unused;
    while (read_line(&line, &room, &length)) answer(line, length);
    free(line);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t workers[WORKERS];
    int started = 0;
    if (argc != 2) return fprintf(stderr, "usage: batch MODEL.leaf < REQUESTS.jsonl\n"), 2;
    if (lc_model_open(argv[1], "{\"memory\":\"160MiB\",\"context\":256,\"sequences\":4}", &model) != LC_OK)
        return fprintf(stderr, "batch: %s\n", lc_error_message()), 1;
    while (started < WORKERS && pthread_create(&workers[started], NULL, work, NULL) == 0) started++;
    if (started == 0) work(NULL);
    for (int i = 0; i < started; i++) pthread_join(workers[i], NULL);
    lc_model_close(model);
    return 0;
}
