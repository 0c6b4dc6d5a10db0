/* leafcutter.h: run CPM-Ant models inside a memory budget, from C or whatever can call C.

   A program opens a model, starts requests, and reads what comes of each until LC_END:

       lc_model *model;
       lc_request *request;
       lc_event *event;
       if (lc_model_open("ant.leaf", "{\"memory\":\"2GiB\"}", &model) != LC_OK) return fail(lc_error_message());
       const char *json = "{\"prompt\":\"...\",\"max_tokens\":50}";
       lc_request_start(model, "generate", json, strlen(json), &request);
       while (lc_request_next(request, -1, &event) == LC_OK) {
           if (lc_event_kind_of(event) == LC_PIECE) fputs(lc_event_text(event, NULL), stdout);
           lc_event_free(event);
       }
       lc_request_free(request);
       lc_model_close(model);

   THREADS   Any thread may make any call at any time. One request is meant to be read by one thread at a time; if two
             read it, each event goes to one of them.
   HANDLES   A model, a request, an event and a job are numbers that look like pointers. They are never followed, so a
             handle that is NULL, freed or made up is an error (LC_USAGE) or nothing, and never a crash. The number of
             a closed model is told apart: LC_CLOSED.
   TEXTS     What goes in is UTF-8 that ends in NUL, or has a length where one is asked for. What comes out is UTF-8
             that ends in NUL. "const char *" stays the library's own; "char **" is given away, and lc_string_free
             frees it.
   ERRORS    A call that fails says why in one sentence, which the calling thread asks for with lc_error_message.
             Nothing in here ends the process, prints, or calls back, but for progress functions (lc_progress).
   MEMORY    "memory" bounds what the library adds to the process as it was when the model was opened: weights, caches,
             buffers, vocabulary, requests, and answers that nobody has taken yet. Events that were handed out and not
             yet freed are the caller's.
   PROCESS   No signal handler, no setting of malloc, no environment variable, no exit function. Threads are started
             with signals blocked, so that the host's handlers run on the host's threads. The exceptions are asked for
             by name: "guard":true installs a handler of SIGBUS for models that are mapped ("io":"map").
             OpenBLAS is loaded for float models alone; one that is there already keeps its number of threads.
   FORK      Open models and jobs after fork, not before. While one is open, every call of a forked child is LC_CLOSED.

   The shapes of requests, answers and options are in Documentation/c.md; they are those of the command line. */
#ifndef LEAFCUTTER_H
#define LEAFCUTTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes: the major number in the upper half, the minor number in the lower half. */
#define LC_ABI_VERSION 0x00010001u

/* What a call came to. Nothing above LC_OK is a failure; more may be added below. */
typedef enum lc_status {
    LC_OK = 0,
    LC_TIMEOUT = 1,    /* nothing came in time */
    LC_END = 2,        /* nothing more comes */
    LC_USAGE = -1,     /* the call is wrong: NULL, a freed or foreign handle, an unknown kind or option, broken JSON, a
                          value out of range */
    LC_BAD_INPUT = -2, /* a file or a text is damaged or of the wrong kind */
    LC_IO = -3,        /* reading or writing failed, or the system gives no more threads */
    LC_BUDGET = -4,    /* it does not fit: the memory, or what the model was opened for */
    LC_CANCELLED = -5, /* it was cancelled, or its model was closed */
    LC_CLOSED = -6,    /* the model was closed, or this process is a fork of the one that opened it */
    LC_BUSY = -7       /* as many requests are held as there is room for; free some that are done, and try again */
} lc_status;

/* What an event is. More may be added: pass over what you do not know. */
typedef enum lc_event_kind {
    LC_NONE = 0,     /* no event: the handle is none */
    LC_PIECE = 1,    /* a token of a generated text */
    LC_PROGRESS = 2, /* where the request is; only if it was asked for by "progress":true in the request */
    LC_RESULT = 3    /* the answer, or a part of it: logits come in results of at most 64 rows */
} lc_event_kind;

typedef struct lc_model lc_model;
typedef struct lc_request lc_request;
typedef struct lc_event lc_event;
typedef struct lc_job lc_job;

/* Told how far a long call is, in bytes or in requests, on the thread that made the call. Anything but 0 cancels it. */
typedef int (*lc_progress)(uint64_t done, uint64_t total, void *user);

/* ---- Versions -------------------------------------------------------------------------------------------------- */

/* Returns LC_ABI_VERSION of the library that runs. Within one major number it grows and never breaks: a program may
   run with a library whose number is equal or larger. */
uint32_t lc_abi_version(void);

/* Returns the version of Leafcutter, "0.2.0". Never NULL; it lives as long as the process. */
const char *lc_version(void);

/* ---- Models ---------------------------------------------------------------------------------------------------- */

/* Opens a model file (.leaf) and allocates all that it needs. Takes from some milliseconds to minutes, since weights
   that stay in memory are read.

   options_json  one object, or NULL for none: the long options of the command in snake_case, such as
                 {"memory":"2GiB","context":1024,"sequences":8}.
   out           set to the model, which lc_model_close ends; to NULL on failure.
   Returns LC_OK, LC_USAGE (also for a NULL path or out), LC_BAD_INPUT, LC_IO, LC_BUDGET (lc_error_json has "minimum"),
   LC_CLOSED (a forked child). */
lc_status lc_model_open(const char *path, const char *options_json, lc_model **out);

/* Closes a model: no call knows it any more, its requests end as cancelled, and its memory is given back before this
   returns, which takes at most as long as a block of the model takes to be read. Requests and events that are left are
   still to be freed; what they hold can still be read. NULL, a closed model and a foreign handle: nothing happens. */
void lc_model_close(lc_model *model);

/* Describes an open model as one JSON object: file, configuration, threads, plan, memory; "speculation", what guesses
   tokens or why nothing does ("mode") and what has come of it; "warnings", a list of sentences about what is not as it
   was asked, such as a draft model for which there is no room. The list is empty nearly always, and stays as it is.

   json  set to a string that lc_string_free frees; to NULL on failure.
   Returns LC_OK, LC_USAGE, LC_CLOSED. */
lc_status lc_model_info(lc_model *model, char **json);

/* ---- Requests -------------------------------------------------------------------------------------------------- */

/* Starts a request and returns at once, unless requests that were freed and are still ending fill the room: it waits
   for them, a second at most. Requests of all kinds and threads share readings of the model.

   kind  "generate", "fill", "score", "perplexity", "embed", "logits", "tokenize", "detokenize" or "line" (lc_job_next).
   json  the request, one object in UTF-8 of so many bytes, as a line of --requests has it; with "progress":true
         LC_PROGRESS events come as well. It is copied.
   out   set to the request, which lc_request_free frees; to NULL on failure.
   Returns LC_OK, LC_USAGE, LC_BAD_INPUT, LC_BUSY, LC_CLOSED. What is found out later, such as a request that is longer
   than the model was opened for (LC_BUDGET), is returned by lc_request_next. */
lc_status lc_request_start(lc_model *model, const char *kind, const char *json, size_t length, lc_request **out);

/* Waits for the next event of a request.

   timeout_ms  how long to wait at most; 0 does not wait, a negative number waits as long as it takes.
   out         set to an event, which lc_event_free frees, with LC_OK; to NULL otherwise.
   Returns LC_OK with an event; LC_TIMEOUT; a failure of the request, once; then LC_END, each time. A request that was
   cancelled, or whose model was closed, returns LC_CANCELLED once, after the events that had come before.
   NULL, freed, foreign, or freed by another thread while this one waits: LC_USAGE. */
lc_status lc_request_next(lc_request *request, int timeout_ms, lc_event **out);

/* Ends a request with what there is: lc_request_next returns LC_CANCELLED within a second if no other request is on
   the same reading of the model, else when that reading is over. From any thread, at any time, in any state; more than
   once, NULL and foreign handles: nothing happens. It does not wait. */
void lc_request_cancel(lc_request *request);

/* Frees a request; cancels it first if it has not ended, without waiting. Its events stay until they are freed. A
   thread that waits for the request returns with LC_USAGE. NULL and foreign handles: nothing happens. */
void lc_request_free(lc_request *request);

/* ---- Events ---------------------------------------------------------------------------------------------------- */

/* Returns what the event is; LC_NONE for NULL, freed and foreign handles. */
lc_event_kind lc_event_kind_of(const lc_event *event);

/* Returns an event's text: that of a piece, whole characters and perhaps none; that of an answer which has one. It is
   the event's own, until that is freed. A token may hold NUL: with a length that is not NULL, it is set to the number
   of bytes without the closing NUL. Returns NULL, with length 0, where there is no text, and for NULL, freed and
   foreign handles. */
const char *lc_event_text(const lc_event *event, size_t *length);

/* Returns the id of a piece's token; -1 for text that was held back until its sample ended, and for everything else. */
int32_t lc_event_token(const lc_event *event);

/* Returns the number of the sample that a piece belongs to, from 0; 0 for everything else. */
int32_t lc_event_sample(const lc_event *event);

/* Returns everything about an event as one JSON object, in the words of the command line. It is the event's own, as
   with lc_event_text. NULL, with length 0, for NULL, freed and foreign handles. */
const char *lc_event_json(const lc_event *event, size_t *length);

/* Returns numbers of a result, [rows, columns] one row behind the other: logits ([rows, vocabulary]) or vectors
   ([1 or tokens, width]). They are the event's own, until that is freed. rows and columns may be NULL. Returns NULL,
   with 0 and 0, where there are none, and for NULL, freed and foreign handles. */
const float *lc_event_floats(const lc_event *event, size_t *rows, size_t *columns);

/* Frees an event and all that was asked of it. NULL, freed and foreign handles: nothing happens. */
void lc_event_free(lc_event *event);

/* ---- Files ----------------------------------------------------------------------------------------------------- */

/* Says what a model needs and how fast it will be, without opening it. Measures processor and disk for some fifteen
   seconds, unless "disk_rate" says how fast the disk is; a preset has no file and needs the rate.

   path_or_preset  a .leaf file, or the name of a published size: "cpm-ant-10b".
   options_json    one object or NULL: those of lc_model_open, and "disk_rate" ("1GB/s"), "cores", "batch", and
                   "acceptance", how often the best guess of what "speculate" names is taken to be right (0 to 1).
                   Without "speculate" nothing guesses.
   json            set to the plan, a string that lc_string_free frees; to NULL on failure.
   Returns LC_OK, LC_USAGE, LC_BAD_INPUT, LC_IO, LC_BUDGET when it does not fit (lc_error_json has "minimum"). */
lc_status lc_plan(const char *path_or_preset, const char *options_json, char **json);

/* Makes a model file of a checkpoint: a Hugging Face folder or a CPM-Live .pt. A conversion that was cancelled or
   failed goes on when it is called again with the same arguments.

   options_json  one object or NULL: "weights" ("int8", "q4", "q3", "f16", "f32"), "config", "masks", "vocab", "memory",
                 "threads", "force", "no_resume", and "consume" with "yes", which deletes the checkpoint as it is
                 converted.
   progress      called after each piece, on this thread; NULL for none. What it returns may cancel.
   user          handed to it.
   Returns LC_OK, LC_USAGE, LC_BAD_INPUT, LC_IO, LC_BUDGET, LC_CANCELLED. */
lc_status lc_convert(const char *source, const char *target, const char *options_json, lc_progress progress,
                     void *user);

/* Reads a whole model file and checks every byte by its digest.

   progress  called after each piece, on this thread; NULL for none. What it returns may cancel.
   user      handed to it.
   Returns LC_OK, LC_USAGE, LC_BAD_INPUT naming the first block that is damaged, LC_IO, LC_BUDGET, LC_CANCELLED. */
lc_status lc_verify(const char *path, lc_progress progress, void *user);

/* ---- Jobs ------------------------------------------------------------------------------------------------------ */

/* Answers a file of requests into another, as the command "batch" does: the same lines, answers and files beside them
   (Documentation/batch.md). However often it is stopped or killed, "resume":true goes on, and the answers are those of
   a call without a stop, byte for byte. Opens the model for what the requests need, and closes it.

   in, out        the requests, a regular file of one JSON object a line; the answers.
   options_json   one object or NULL: "memory", "threads", "io" and the others of lc_model_open, but for "context" and
                  "logit_rows", which the requests decide; "batch" (texts at the same time at most, 8), "resume",
                  "skip_bad" (answer lines that make no sense with an error), "errors" (a file for the answers of
                  requests that failed), "seed".
   progress       called some times a second, on this thread, with the number of requests that are answered and of all
                  (while the file is checked: 0, and of those that were found); NULL for none. What it returns may
                  cancel.
   user           handed to it.
   json           set to what came of it, {"requests","done","failed","done_before","tokens","speculation","warnings"},
                  the last two as in lc_model_info; a string that lc_string_free frees; to NULL on failure. May be NULL.
                  Requests that failed have an answer, too.
   Returns LC_OK when each request has its answer, LC_USAGE (also for answers that are there without "resume", and for
   a line that makes no sense), LC_BAD_INPUT, LC_IO, LC_BUDGET, LC_CANCELLED; what has its answer keeps it. */
lc_status lc_batch(const char *model_path, const char *in, const char *out, const char *options_json,
                   lc_progress progress, void *user, char **json);

/* Opens a job whose lines somebody else answers, models of other processes or machines for instance, and checks every
   line. The arguments are those of lc_batch; nothing is computed, and of the model the header and the vocabulary are
   read. The files of a job belong to one owner, which is this process from now on.

   job  set to the job, which lc_job_close ends; to NULL on failure.
   Returns what lc_batch returns. */
lc_status lc_job_open(const char *model_path, const char *in, const char *out, const char *options_json,
                      lc_progress progress, void *user, lc_job **job);

/* Describes a job as one JSON object: the counts that lc_batch says, "tokens" being those of the answers that were
   taken, and what a model has to be opened for to answer any of its lines: "context", "sequences" (of one line),
   "logit_rows"; "line_bytes" of the longest line.

   json  set to a string that lc_string_free frees; to NULL on failure.
   Returns LC_OK, LC_USAGE, LC_CLOSED. */
lc_status lc_job_info(lc_job *job, char **json);

/* Hands out the next line that has no answer. It is a request of the kind "line" for lc_request_start, to be passed on
   as it is; its result's JSON is what lc_job_answer takes. A line that makes no sense is answered at once and not
   handed out. Whether a line that was handed out is to be asked once more is the caller's to know.

   line  set to a string that lc_string_free frees; to NULL otherwise.
   Returns LC_OK, LC_END behind the last line, LC_USAGE, LC_IO, LC_CLOSED. */
lc_status lc_job_next(lc_job *job, char **line);

/* Takes the answer to a line that was handed out, so many bytes of JSON: what a request of the kind "line" gave, as it
   is, with the line's id and the fields that lc_batch would write. It is on the disk when lc_job_sync has returned. An
   answer that comes again is compared with the first one.

   is_new  set to 1 if the line had no answer, else to 0; may be NULL.
   Returns LC_OK (also for the same answer again), LC_USAGE for what is no answer to a line that was handed out,
   LC_BAD_INPUT for an answer that differs from the first one, which stays: one of the two machines is defective;
   LC_IO when it cannot be written, and then for all calls that follow; LC_CLOSED. */
lc_status lc_job_answer(lc_job *job, const char *answer, size_t length, int *is_new);

/* Waits until all answers that were taken are on the disk. Returns LC_OK, LC_USAGE, LC_IO, LC_CLOSED. */
lc_status lc_job_sync(lc_job *job);

/* Closes a job; "resume" goes on with it. What lc_job_sync has not seen may be lost. NULL, a closed job and a foreign
   handle: nothing happens. */
void lc_job_close(lc_job *job);

/* ---- Strings --------------------------------------------------------------------------------------------------- */

/* Frees a string that was given away by "char **". NULL: nothing happens. Nothing else may be passed. */
void lc_string_free(char *string);

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

/* Returns why this thread's last failed call failed, one sentence: what, where, what now. "" if none has. It stays
   until the next call of this thread that fails. Never NULL. */
const char *lc_error_message(void);

/* Returns the same as {"code","message"}, with "minimum" (bytes of memory that would do), or "context", "sequences"
   or "logit_rows" (what the model would have to be opened for), where they are known. Codes: "usage", "bad_input",
   "io", "budget", "too_long", "busy", "cancelled", "closed". "{}" if no call has failed. As with lc_error_message. */
const char *lc_error_json(void);

#ifdef __cplusplus
}
#endif
#endif
