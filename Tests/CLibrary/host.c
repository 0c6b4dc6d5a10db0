/* Looks at its own process before and after it has used the library:  host MODEL.leaf CHECKPOINT
   What was the host's must be as it was. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *poem = "{\"prompt\":\"《静夜思》李白\\n\",\"greedy\":true,\"max_tokens\":40}";

/* ---- What the library must leave alone */

typedef struct {
    struct sigaction actions[65];
    sigset_t mask;
    stack_t stack;
    struct rlimit limits[RLIMIT_NLIMITS];
    mode_t creation;
    char folder[4096];
    char **environment;
    size_t variables;
} host_state;

static void look(host_state *state) {
    memset(state, 0, sizeof *state);
    for (int number = 1; number < 65; number++) sigaction(number, NULL, &state->actions[number]);
    pthread_sigmask(SIG_BLOCK, NULL, &state->mask);
    sigaltstack(NULL, &state->stack);
    for (int i = 0; i < RLIMIT_NLIMITS; i++) getrlimit((__rlimit_resource_t)i, &state->limits[i]);
    state->creation = umask(022);
    umask(state->creation);
    CHECK(getcwd(state->folder, sizeof state->folder) != NULL);
    state->environment = environ;
    while (environ[state->variables]) state->variables++;
}

static int same(const host_state *a, const host_state *b) {
    for (int number = 1; number < 65; number++)
        if (a->actions[number].sa_handler != b->actions[number].sa_handler ||
            a->actions[number].sa_flags != b->actions[number].sa_flags)
            return fprintf(stderr, "the action of signal %d has changed\n", number), 0;
    return memcmp(&a->mask, &b->mask, sizeof a->mask) == 0 && a->stack.ss_sp == b->stack.ss_sp &&
           memcmp(a->limits, b->limits, sizeof a->limits) == 0 && a->creation == b->creation &&
           strcmp(a->folder, b->folder) == 0 && a->environment == b->environment && a->variables == b->variables;
}

static int entries(const char *path) {
    int count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count;
}

/* A freed block of a megabyte raises the size from which malloc maps blocks apart, unless somebody has set that. */
static int malloc_is_as_it_comes(void) {
    free(malloc(1 << 20));
    size_t before = mallinfo2().hblks;
    void *block = malloc(512 << 10);
    size_t after = mallinfo2().hblks;
    free(block);
    return before == after;
}

static atomic_int arrived, elsewhere;
static pthread_t main_thread;

static void count_signal(int number) {
    (void)number;
    atomic_fetch_add(pthread_equal(pthread_self(), main_thread) ? &arrived : &elsewhere, 1);
}

static void use(const char *path, const char *options) {
    lc_model *model = open_model(path, options);
    int counts[4] = {0};
    lc_request *request = start(model, "generate", poem);
    for (int i = 0; i < 20; i++) {
        kill(getpid(), SIGUSR1);
        sleep_ms(2);
    }
    CHECK(drain(request, counts) == LC_END && counts[LC_PIECE] > 0 && counts[LC_RESULT] == 1);
    CHECK(drain(start(model, "score", "{\"context\":\"床前明月\",\"target\":\"光\"}"), NULL) == LC_END);
    lc_model_close(model);
}

static void the_process_is_as_it_was(const char *path) {
    begin("signals, malloc, environment, descriptors and threads are as they were");
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    main_thread = pthread_self();
    int own_malloc = malloc_is_as_it_comes();
    host_state before, after;
    look(&before);
    int descriptors = entries("/proc/self/fd");
    long threads = status_field("Threads");
    use(path, "{\"memory\":\"160MiB\",\"context\":128}");
    use(path, "{\"memory\":\"160MiB\",\"context\":128,\"io\":\"map\"}");
    look(&after);
    CHECK(same(&before, &after));
    CHECK(malloc_is_as_it_comes() == own_malloc);
    // A thread that has been told to end holds its file until it does; one of an earlier model may have been counted.
    for (int i = 0; i < 2000 && status_field("Threads") > threads; i++) sleep_ms(10);
    CHECK(status_field("Threads") <= threads);
    for (int i = 0; i < 2000 && entries("/proc/self/fd") > descriptors; i++) sleep_ms(10);
    CHECK(entries("/proc/self/fd") <= descriptors);
    CHECK(arrived > 0 && elsewhere == 0);
    CHECK(dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD) == NULL);
}

static void a_guard_is_asked_for(const char *path) {
    begin("a mapped model has a handler of SIGBUS only if that is asked for");
    struct sigaction action;
    lc_model_close(open_model(path, "{\"memory\":\"160MiB\",\"context\":128,\"io\":\"map\"}"));
    sigaction(SIGBUS, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
    lc_model_close(open_model(path, "{\"memory\":\"160MiB\",\"context\":128,\"io\":\"map\",\"guard\":true}"));
    sigaction(SIGBUS, NULL, &action);
    CHECK(action.sa_handler != SIG_DFL);
}

/* ---- Memory */

static void growth_stays_under_the_budget(const char *path) {
    begin("what the process grows by stays under the budget and what is reported");
    long before = status_field("VmRSS");
    lc_model *model = open_model(path, "{\"memory\":\"80MiB\",\"context\":256,\"sequences\":2}");
    lc_request *first = start(model, "generate", poem), *second = start(model, "generate", poem);
    CHECK(drain(first, NULL) == LC_END && drain(second, NULL) == LC_END);
    CHECK(drain(start(model, "logits", "{\"input_ids\":[6,20,30,40,50]}"), NULL) == LC_END);
    char *info;
    CHECK(lc_model_info(model, &info) == LC_OK);
    long grown = (status_field("VmHWM") - before) * 1024, peak = number_of(strstr(info, "\"memory\":"), "peak");
    printf("    grown by %.1f MiB, reported %.1f MiB\n", grown / 1048576.0, peak / 1048576.0);
    CHECK(grown < 80L << 20);
    CHECK(peak > 0 && peak < 80L << 20);
    CHECK(strstr(info, "\"speculation\":{\"mode\":") != NULL && strstr(info, "\"warnings\":[]") != NULL);
    /* Stacks and the allocator's own are not reported. */
    CHECK(grown < peak + (4 << 20));
    lc_string_free(info);
    lc_model_close(model);
}

static long resident(void) {
    malloc_trim(0);
    return status_field("VmRSS");
}

static void requests_leave_nothing(const char *path, int count) {
    begin("requests in a loop leave nothing behind");
    lc_model *model = open_model(path, "{\"memory\":\"160MiB\",\"context\":64}");
    static const char *kinds[][2] = {{"generate", "{\"prompt\":\"春\",\"max_tokens\":1,\"logprobs\":2}"},
                                     {"score", "{\"context\":\"床前明月\",\"target\":\"光\"}"},
                                     {"tokenize", "{\"text\":\"春眠不觉晓，处处闻啼鸟。\"}"},
                                     {"generate", "{\"prompt\":7}"}};
    long first = 0;
    for (int i = 0; i < count; i++) {
        lc_request *request;
        const char **kind = kinds[i % 8 < 2 ? i % 8 : 2 + i % 2];
        if (lc_request_start(model, kind[0], kind[1], strlen(kind[1]), &request) == LC_OK)
            CHECK(drain(request, NULL) == LC_END);
        if (i == count / 4) first = resident();
    }
    long last = resident();
    printf("    %d requests: from %ld to %ld KiB\n", count, first, last);
    CHECK(last - first < 1024);
    lc_model_close(model);
}

static void models_leave_nothing(const char *path) {
    begin("opening and closing in a loop leaves nothing behind");
    long first = 0;
    for (int i = 0; i < 12; i++) {
        lc_model *model = open_model(path, "{\"memory\":\"160MiB\",\"context\":64}");
        drain(start(model, "generate", "{\"prompt\":\"春\",\"max_tokens\":2}"), NULL);
        lc_model_close(model);
        if (i == 5) first = resident();
    }
    long last = resident();
    printf("    from %ld to %ld KiB\n", first, last);
    CHECK(last - first < 4096);
}

/* ---- Processes */

static int status_of(pid_t child) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_child_has_no_model(const char *path) {
    begin("a forked child's calls are closed, and its parent goes on");
    lc_model *model = open_model(path, "{\"memory\":\"160MiB\",\"context\":128}");
    lc_request *request = start(model, "generate", poem);
    lc_event *event;
    CHECK(lc_request_next(request, -1, &event) == LC_OK);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        lc_model *other;
        lc_request *none;
        lc_event *nothing;
        char *text;
        if (lc_model_open(path, NULL, &other) != LC_CLOSED) _exit(1);
        if (lc_request_start(model, "generate", poem, strlen(poem), &none) != LC_CLOSED) _exit(2);
        if (lc_request_next(request, -1, &nothing) != LC_CLOSED) _exit(3);
        if (lc_model_info(model, &text) != LC_CLOSED) _exit(4);
        if (lc_event_text(event, NULL) != NULL) _exit(5);
        if (lc_plan(path, NULL, &text) != LC_CLOSED) _exit(6);
        if (strstr(lc_error_json(), "\"closed\"") == NULL) _exit(7);
        lc_event_free(event);
        lc_request_cancel(request);
        lc_request_free(request);
        lc_model_close(model);
        _exit(0);
    }
    CHECK(status_of(child) == 0);
    CHECK(lc_event_text(event, NULL) != NULL);
    lc_event_free(event);
    CHECK(drain(request, NULL) == LC_END);
    lc_model_close(model);
}

static void a_child_opens_its_own(const char *path) {
    begin("a child that was forked while nothing was open opens its own model");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(120);
        lc_model *model = open_model(path, "{\"memory\":\"160MiB\",\"context\":128}");
        CHECK(drain(start(model, "generate", poem), NULL) == LC_END);
        lc_model_close(model);
        exit(0);
    }
    CHECK(status_of(child) == 0);
}

/* ---- OpenBLAS */

static void a_hosts_threads_are_kept(const char *checkpoint) {
    begin("a host's OpenBLAS keeps its number of threads");
    void *blas = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!blas) {
        printf("    there is no OpenBLAS here\n");
        return;
    }
    void (*set)(int);
    int (*get)(void);
    *(void **)&set = dlsym(blas, "openblas_set_num_threads");
    *(void **)&get = dlsym(blas, "openblas_get_num_threads");
    CHECK(set && get);
    set(2);
    CHECK(lc_convert(checkpoint, "float.leaf", "{\"weights\":\"f32\",\"force\":true}", NULL, NULL) == LC_OK);
    int before = get();
    lc_model *model = open_model("float.leaf", "{\"memory\":\"300MiB\",\"context\":128}");
    CHECK(drain(start(model, "generate", poem), NULL) == LC_END);
    lc_model_close(model);
    CHECK(get() == before);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: host MODEL.leaf CHECKPOINT\n"), 2;
    const char *wanted = getenv("LEAFCUTTER_TEST_REQUESTS");
    growth_stays_under_the_budget(argv[1]);
    the_process_is_as_it_was(argv[1]);
    a_guard_is_asked_for(argv[1]);
    a_child_opens_its_own(argv[1]);
    a_child_has_no_model(argv[1]);
    models_leave_nothing(argv[1]);
    requests_leave_nothing(argv[1], wanted ? atoi(wanted) : 3000);
    a_hosts_threads_are_kept(argv[2]);
    return 0;
}
