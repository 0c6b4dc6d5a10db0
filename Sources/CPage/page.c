#include "leaf_page.h"

// #embed came with C23; clang offers it in every mode and warns outside of C23.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "page/index.html"
};

static const unsigned char style_css[] = {
#embed "page/style.css"
};

static const unsigned char mark_svg[] = {
#embed "page/mark.svg"
};

static const unsigned char main_js[] = {
#embed "page/main.js"
};

static const unsigned char count_js[] = {
#embed "page/count.js"
};

static const unsigned char keep_js[] = {
#embed "page/keep.js"
};

static const unsigned char notices_js[] = {
#embed "page/notices.js"
};

static const unsigned char run_js[] = {
#embed "page/run.js"
};

static const unsigned char server_js[] = {
#embed "page/server.js"
};

static const unsigned char settings_js[] = {
#embed "page/settings.js"
};

static const unsigned char sheet_js[] = {
#embed "page/sheet.js"
};

static const unsigned char sweep_js[] = {
#embed "page/sweep.js"
};

static const unsigned char switches_js[] = {
#embed "page/switches.js"
};

static const unsigned char tokens_js[] = {
#embed "page/tokens.js"
};

static const unsigned char voice_js[] = {
#embed "page/voice.js"
};

static const unsigned char words_js[] = {
#embed "page/words.js"
};

#define HTML "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"

static const leaf_page_file files[] = {
    {"/", HTML, index_html, sizeof index_html},
    {"/style.css", "text/css; charset=utf-8", style_css, sizeof style_css},
    {"/mark.svg", "image/svg+xml", mark_svg, sizeof mark_svg},
    {"/main.js", SCRIPT, main_js, sizeof main_js},
    {"/count.js", SCRIPT, count_js, sizeof count_js},
    {"/keep.js", SCRIPT, keep_js, sizeof keep_js},
    {"/notices.js", SCRIPT, notices_js, sizeof notices_js},
    {"/run.js", SCRIPT, run_js, sizeof run_js},
    {"/server.js", SCRIPT, server_js, sizeof server_js},
    {"/settings.js", SCRIPT, settings_js, sizeof settings_js},
    {"/sheet.js", SCRIPT, sheet_js, sizeof sheet_js},
    {"/sweep.js", SCRIPT, sweep_js, sizeof sweep_js},
    {"/switches.js", SCRIPT, switches_js, sizeof switches_js},
    {"/tokens.js", SCRIPT, tokens_js, sizeof tokens_js},
    {"/voice.js", SCRIPT, voice_js, sizeof voice_js},
    {"/words.js", SCRIPT, words_js, sizeof words_js},
};

size_t leaf_page_count(void) {
    return sizeof files / sizeof files[0];
}

leaf_page_file leaf_page_file_at(size_t index) {
    return files[index];
}

const char *leaf_page_policy(void) {
    return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
           "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}
