/* What the tests of the C library share: checks that name what failed, and calls that must succeed. */
#ifndef CHECK_H
#define CHECK_H

#include <leafcutter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition) check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

static inline void check(int holds, const char *what, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: %s does not hold; the last error is: %s\n", file, line, what, lc_error_message());
    exit(1);
}

/* Prints a test's name, so that a crash says where it was. */
static inline void begin(const char *name) {
    printf("  %s\n", name);
    fflush(stdout);
}

static inline lc_model *open_model(const char *path, const char *options) {
    lc_model *model;
    CHECK(lc_model_open(path, options, &model) == LC_OK);
    CHECK(model != NULL);
    return model;
}

static inline lc_request *start(lc_model *model, const char *kind, const char *json) {
    lc_request *request;
    CHECK(lc_request_start(model, kind, json, strlen(json), &request) == LC_OK);
    CHECK(request != NULL);
    return request;
}

/* Reads a request to its end, and frees it. Returns what it ended with; counts its events by kind. */
static inline lc_status drain(lc_request *request, int counts[4]) {
    lc_event *event;
    lc_status status, last = LC_END;
    while ((status = lc_request_next(request, -1, &event)) != LC_END) {
        if (status != LC_OK) {
            CHECK(status < 0 && event == NULL);
            last = status;
            continue;
        }
        lc_event_kind kind = lc_event_kind_of(event);
        CHECK(kind >= LC_PIECE && kind <= LC_RESULT);
        if (counts) counts[kind]++;
        lc_event_free(event);
    }
    lc_request_free(request);
    return last;
}

/* The number behind "name": in a JSON object; -1 if it is not there. */
static inline long number_of(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = json ? strstr(json, key) : NULL;
    return found ? strtol(found + strlen(key), NULL, 10) : -1;
}

static inline void sleep_ms(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A field of /proc/self/status: "VmRSS" and "VmHWM" in KiB, "Threads". */
static inline long status_field(const char *name) {
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return -1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            value = strtol(line + strlen(name) + 1, NULL, 10);
            break;
        }
    fclose(file);
    return value;
}

#endif
