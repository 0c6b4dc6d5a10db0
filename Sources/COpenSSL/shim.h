// <sys/types.h> first: a library header that defines _GNU_SOURCE would clash with Glibc's module.
#include <sys/types.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

// Macros that take part in what a server sets.
static inline void leaf_tls_require_modern(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // Nothing is kept of sessions that are over: whoever comes again has a ticket.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
