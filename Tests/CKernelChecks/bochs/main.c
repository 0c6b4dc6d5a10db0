/* Prints the digests of every instruction set on a machine without an operating system, with the few functions of the C
 * library that the kernels and their checks call. */
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_checks.h"

/* Bochs prints what port 0xE9 is given. */
static void out(uint16_t port, uint8_t byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }

static void say(const char *text) {
    for (; *text; text++) out(0xE9, (uint8_t)*text);
}

static void say_digest(uint64_t digest) {
    for (int shift = 60; shift >= 0; shift -= 4) out(0xE9, (uint8_t) "0123456789abcdef"[digest >> shift & 15]);
}

/* Bochs ends when it reads this word here. */
static _Noreturn void leave(void) {
    for (const char *word = "Shutdown"; *word; word++) out(0x8900, (uint8_t)*word);
    for (;;) __asm__ volatile("hlt");
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    void *end = to;
    __asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(count) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t count) {
    void *end = to;
    __asm__ volatile("rep stosb" : "+D"(end), "+c"(count) : "a"(byte) : "memory");
    return to;
}

int strcmp(const char *a, const char *b) {
    for (; *a && *a == *b; a++, b++) continue;
    return *a - *b;
}

__attribute__((target("fma"))) float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/* Each check begins again where the one before began. */
static char *const memory = (char *)(64 << 20);
static size_t used;

void *aligned_alloc(size_t alignment, size_t bytes) {
    char *begin = memory + used;
    used += LEAF_ALIGN_UP(bytes, alignment);
    return used < 256 << 20 ? begin : NULL;
}

void free(void *pointer) { (void)pointer; }

void abort(void) {
    say("abort\n");
    leave();
}

int *__errno_location(void) {
    static int number;
    return &number;
}

/* arch_prctl of a system that permits the tiles of AMX to whoever asks. */
long syscall(long number, ...) {
    static unsigned long permitted = 3;
    va_list arguments;
    va_start(arguments, number);
    if (va_arg(arguments, int) == 0x1023)
        permitted |= 3ul << 17;
    else
        *va_arg(arguments, unsigned long *) = permitted;
    va_end(arguments);
    return 0;
}

/* What the compiler's library remembers of the processor; nothing, when the vendor is zero. */
extern struct {
    unsigned vendor, type, subtype, features;
} __cpu_model;

static void say_best(void) {
    say("best ");
    say(leaf_kernels_best()->name);
    say("\n");
}

/* Has the registers of `states` enabled, as a system does that saves them, and tells which table is chosen then.
 * Nothing happens where the processor lacks some. */
static void enable(uint32_t states) {
    unsigned known = 0, b, c, d;
    __get_cpuid_count(0xD, 0, &known, &b, &c, &d);
    if (states & ~known) return;
    __asm__ volatile("xsetbv" : : "a"(states), "d"(0), "c"(0));
    __cpu_model.vendor = 0;
    __builtin_cpu_init();
    say_best();
}

void check(void) {
    enable(0x03); /* x87, SSE */
    enable(0x07); /* AVX */
    enable(0xE7); /* AVX-512 */
    enable(0x600E7); /* AMX */
    leaf_kernels_permit();
    say_best();
    for (size_t set = 0; leaf_kernels_name(set); set++) {
        const leaf_kernels *kernels = leaf_kernels_named(leaf_kernels_name(set));
        for (size_t check = 0; kernels && check < kernel_check_count(); check++) {
            used = 0;
            say(kernels->name);
            say(" ");
            say(kernel_check_name(check));
            say(" ");
            say_digest(kernel_check_digest(check, kernels));
            say("\n");
        }
    }
    leave();
}
