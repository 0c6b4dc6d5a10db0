import CEvent

/// The body of a request, taken from its connection: any one thread may read it, once.
final class HTTPBody: @unchecked Sendable {
    private let buffer: OpaquePointer?
    private static let pieceBytes = 64 << 10

    /// - Parameter source: a buffer that is left empty; nil for no body.
    init(_ source: OpaquePointer?) {
        buffer = evbuffer_new()
        if let source, let buffer { evbuffer_add_buffer(buffer, source) }
    }

    /// Bytes that were not read yet.
    var byteCount: Int { buffer.map { evbuffer_get_length($0) } ?? 0 }

    deinit { if let buffer { evbuffer_free(buffer) } }

    /// The next piece, which is given back by libevent then; nil at the end.
    func next() -> [UInt8]? {
        guard let buffer else { return nil }
        let count = min(evbuffer_get_length(buffer), Self.pieceBytes)
        guard count > 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
            initialized = max(0, Int(evbuffer_remove(buffer, bytes.baseAddress, count)))
        }
    }

    /// All of it, or its beginning.
    func all(atMost most: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < most, let piece = next() { bytes += piece.prefix(most - bytes.count) }
        return bytes
    }
}
