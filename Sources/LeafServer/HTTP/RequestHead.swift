import CEvent

/// The head of a request as it arrives, in pieces of any size: where it ends, how long a body it announces. libevent
/// tells of neither before the request is whole.
package struct RequestHead {
    package private(set) var isWhole = false
    package private(set) var byteCount = 0
    /// What `Content-Length` says, the largest where it says several things; nil where it says nothing, or no number.
    package private(set) var bodyBytes: Int?
    /// The beginning of the line that is being read.
    private var line: [UInt8] = []
    private var isLineEmpty = true
    private var hasText = false

    /// A name, and as many digits as any number has.
    private static let longestLine = 64

    package init() {}

    /// - Parameters:
    ///   - count: of new bytes.
    ///   - offset: where they begin in the buffer.
    mutating func take(_ count: Int, at offset: Int, of buffer: OpaquePointer) {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { piece in
            var (offset, left) = (offset, count)
            var place = evbuffer_ptr()
            while left > 0, !isWhole, evbuffer_ptr_set(buffer, &place, offset, EVBUFFER_PTR_SET) == 0 {
                let copied = evbuffer_copyout_from(buffer, &place, piece.baseAddress, min(left, piece.count))
                guard copied > 0 else { return }
                take(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<copied]))
                offset += copied
                left -= copied
            }
        }
    }

    package mutating func take(_ bytes: some Sequence<UInt8>) {
        for byte in bytes where !isWhole {
            byteCount += 1
            switch byte {
            case UInt8(ascii: "\n"): endLine()
            case UInt8(ascii: "\r"): break
            default:
                (isLineEmpty, hasText) = (false, true)
                if line.count < Self.longestLine { line.append(byte) }
            }
        }
    }

    private mutating func endLine() {
        // Empty lines before a request are no part of it.
        if isLineEmpty, hasText { isWhole = true }
        if let bytes = Self.bodyBytes(by: line) { bodyBytes = max(bodyBytes ?? 0, bytes) }
        isLineEmpty = true
        line.removeAll(keepingCapacity: true)
    }

    private static func bodyBytes(by line: [UInt8]) -> Int? {
        let parts = String(decoding: line, as: UTF8.self).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
        let value = parts[1].filter { $0 != " " && $0 != "\t" }
        guard !value.isEmpty, value.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        // More digits than any number has are a longer body than any.
        return Int(value) ?? .max
    }
}
