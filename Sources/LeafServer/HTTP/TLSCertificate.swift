import CEvent
import COpenSSL
package import LeafSystem

/// What a server shows its clients, and its key: connections are encrypted.
package final class TLSCertificate {
    private let context: OpaquePointer

    /// Bytes that OpenSSL holds for a connection at most. Measured: 28 to 39 KiB once it is there, 54 KiB while it is
    /// made, and as much as the client sends for it: `handshakeBytes`, and the record of 16 KiB that exceeds them.
    package static let connectionBytes = 80 << 10
    /// Bytes that a client may send before a connection is there. Clients send 2 KiB; OpenSSL would take a first
    /// message of 128 KiB.
    private static let handshakeBytes = 8 << 10

    /// - Parameters:
    ///   - chain: a PEM file, the server's own certificate first.
    ///   - key: a PEM file.
    /// - Throws: `.badInput` naming the file that is none of these, or a key of another certificate.
    package init(chain: String, key: String) throws(LeafError) {
        guard let context = SSL_CTX_new(TLS_server_method()) else {
            throw LeafError(.budget, "the system gives no memory for TLS; free some")
        }
        self.context = context
        leaf_tls_require_modern(context)
        SSL_CTX_set_msg_callback(context) { isWritten, _, type, _, _, session, _ in
            guard isWritten == 0, type == SSL3_RT_HEADER, SSL_is_init_finished(session) == 0,
                BIO_number_read(SSL_get_rbio(session)) > TLSCertificate.handshakeBytes
            else { return }
            // For OpenSSL the client has ended the connection.
            SSL_set_shutdown(session, SSL_RECEIVED_SHUTDOWN)
        }
        guard SSL_CTX_use_certificate_chain_file(context, chain) == 1 else {
            throw Self.error("\(chain) is no certificate in PEM")
        }
        // A key of another kind than the certificate's is noticed by the check alone.
        guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else {
            throw Self.error("\(key) is no key in PEM that belongs to \(chain)")
        }
    }

    deinit { SSL_CTX_free(context) }

    private static func error(_ what: String) -> LeafError {
        var text = [CChar](repeating: 0, count: 256)
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return LeafError(.badInput, what) }
        ERR_error_string_n(code, &text, text.count)
        let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return LeafError(.badInput, "\(what) (\(reason))")
    }

    /// A buffered socket for a connection that is about to be accepted; nil where there is no memory.
    func socket(_ base: OpaquePointer?) -> OpaquePointer? {
        guard let session = SSL_new(context) else { return nil }
        return bufferevent_openssl_socket_new(
            base, -1, session, BUFFEREVENT_SSL_ACCEPTING, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    }
}

/// What is encrypted on a connection, for as long as its buffered socket lives.
struct TLSSession {
    private let session: OpaquePointer

    /// - Parameter events: a buffered socket; nil for one that encrypts nothing.
    init?(of events: OpaquePointer) {
        guard let session = bufferevent_openssl_get_ssl(events) else { return nil }
        self.session = session
    }

    /// Whether client and server have a common key.
    var isAgreed: Bool { SSL_is_init_finished(session) != 0 }
    /// Bytes that have come from the client, whether they could be read or not.
    var receivedBytes: UInt64 { BIO_number_read(SSL_get_rbio(session)) }
}
