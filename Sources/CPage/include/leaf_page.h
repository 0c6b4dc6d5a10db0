// The files of the web page, as a server sends them.
#ifndef LEAF_PAGE_H
#define LEAF_PAGE_H

#include <stddef.h>

/// One file; everything lives as long as the program.
typedef struct {
    /// Where it is asked for: "/", "/style.css".
    const char *path;
    const char *content_type;
    const unsigned char *bytes;
    size_t count;
} leaf_page_file;

/// Number of files.
size_t leaf_page_count(void);

/// The file of an index below `leaf_page_count()`.
leaf_page_file leaf_page_file_at(size_t index);

/// What the page needs to be allowed, and nothing else: the value of the header Content-Security-Policy.
const char *leaf_page_policy(void);

#endif
