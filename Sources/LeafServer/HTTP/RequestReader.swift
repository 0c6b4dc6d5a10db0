import CEvent
import Glibc

/// A request on its way to libevent, in pieces of any size. libevent tells nothing of it before it is whole, and takes
/// heads and chunks that others read differently, so that it gets none but those that are right.
package struct RequestReader {
    package var isHeadWhole: Bool { head.isWhole }
    /// Whether more has come than empty lines.
    package var isBegun: Bool { head.isBegun }
    /// What the client calls the request; nil where it has no name for it that can be kept.
    package var requestID: String? { head.requestID }
    private var head = HTTPHead()
    private var chunks: ChunkReader
    private let limits: HTTPLimits
    /// Of empty lines, those that `takeEmptyBytes` has told of.
    private var toldBytes = 0

    package init(_ limits: HTTPLimits) {
        self.limits = limits
        chunks = ChunkReader(bodyLimit: limits.bodyBytes, trailerLimit: limits.headBytes)
    }

    /// - Parameters:
    ///   - count: of new bytes.
    ///   - offset: where they begin in the buffer.
    /// - Throws: what the request is answered with.
    mutating func take(_ count: Int, at offset: Int, of buffer: OpaquePointer) throws(ServedError) {
        var (offset, left) = (offset, count)
        var place = evbuffer_ptr()
        var piece = iovec()
        while left > 0, evbuffer_ptr_set(buffer, &place, offset, EVBUFFER_PTR_SET) == 0,
            evbuffer_peek(buffer, left, &place, &piece, 1) > 0, piece.iov_len > 0
        {
            let bytes = UnsafeMutableRawBufferPointer(start: piece.iov_base, count: min(left, piece.iov_len))
            try take(bytes)
            offset += bytes.count
            left -= bytes.count
        }
    }

    /// How many bytes of empty lines have come in front of the request since it was asked last: RFC 9112 has servers
    /// ignore them, and libevent does not.
    package mutating func takeEmptyBytes() -> Int {
        defer { toldBytes = head.emptyBytes }
        return head.emptyBytes - toldBytes
    }

    /// - Parameter bytes: the next ones; what is not to be seen by libevent is overwritten.
    /// - Throws: what the request is answered with.
    package mutating func take(_ bytes: UnsafeMutableRawBufferPointer) throws(ServedError) {
        var at = 0
        while at < bytes.count, !head.isWhole {
            try head.take(bytes[at])
            if head.byteCount > limits.headBytes { throw .headTooLong }
            at += 1
        }
        guard head.isWhole else { return }
        if let length = head.bodyBytes, length > limits.bodyBytes { throw .bodyTooLong(limits.bodyBytes) }
        if head.isChunked { try chunks.take(UnsafeMutableRawBufferPointer(rebasing: bytes[at...])) }
    }
}
