/// The chunks of a body as they arrive, in pieces of any size: what libevent would misread, or wait for in vain.
package struct ChunkReader {
    private enum Place {
        case size
        /// Blanks behind a size.
        case gap
        case `extension`
        case data
        case dataEnd
        case trailer
        case end
    }

    package var isWhole: Bool { place == .end }

    private let bodyLimit: Int
    private let trailerLimit: Int
    private var place = Place.size
    private var size = 0
    private var digits = 0
    private var lineBytes = 0
    private var awaitsLineFeed = false
    /// Bytes of the chunk that are still to come.
    private var left = 0
    /// Bytes of all chunks that were announced.
    private var total = 0
    private var trailer = HTTPHead(.trailer)

    private static let longestLine = 1 << 10

    /// - Parameters:
    ///   - bodyLimit: bytes of all chunks.
    ///   - trailerLimit: bytes of the fields behind them.
    package init(bodyLimit: Int, trailerLimit: Int) { (self.bodyLimit, self.trailerLimit) = (bodyLimit, trailerLimit) }

    /// Writes blanks over the extensions of chunks, which nobody here knows, and libevent does not pass over.
    ///
    /// - Parameter bytes: the next ones. Those behind the body are none of it.
    /// - Throws: what the request is answered with.
    package mutating func take(_ bytes: UnsafeMutableRawBufferPointer) throws(ServedError) {
        var at = 0
        while at < bytes.count, place != .end {
            if place == .data {
                let count = min(left, bytes.count - at)
                at += count
                left -= count
                if left == 0 { place = .dataEnd }
            } else {
                try take(&bytes[at])
                at += 1
            }
        }
    }

    private mutating func take(_ byte: inout UInt8) throws(ServedError) {
        if place == .trailer {
            try trailer.take(byte)
            if trailer.byteCount > trailerLimit { throw .headTooLong }
            if trailer.isWhole { place = .end }
            return
        }
        lineBytes += 1
        guard lineBytes <= Self.longestLine else { throw .badChunk }
        if awaitsLineFeed {
            guard byte == UInt8(ascii: "\n") else { throw .badChunk }
            return endLine()
        }
        if byte == UInt8(ascii: "\r") {
            guard place == .dataEnd || digits > 0 else { throw .badChunk }
            awaitsLineFeed = true
            return
        }
        switch (place, byte) {
        case (.size, _) where byte.hexDigit != nil: try take(digit: byte.hexDigit ?? 0)
        case (.size, UInt8(ascii: ";")) where digits > 0, (.gap, UInt8(ascii: ";")): blank(&byte, .extension)
        case (.size, UInt8(ascii: " ")) where digits > 0, (.size, UInt8(ascii: "\t")) where digits > 0,
            (.gap, UInt8(ascii: " ")), (.gap, UInt8(ascii: "\t")):
            blank(&byte, .gap)
        case (.extension, UInt8(ascii: "\t")), (.extension, 0x20...0x7E), (.extension, 0x80...):
            blank(&byte, .extension)
        default: throw .badChunk
        }
    }

    private mutating func blank(_ byte: inout UInt8, _ place: Place) {
        byte = UInt8(ascii: " ")
        self.place = place
    }

    private mutating func take(digit: Int) throws(ServedError) {
        digits += 1
        size = size * 16 + digit
        // At once, and so before there are more digits than a number has.
        if size > bodyLimit - total { throw .bodyTooLong(bodyLimit) }
    }

    private mutating func endLine() {
        if place == .dataEnd {
            place = .size
        } else {
            place = size == 0 ? .trailer : .data
            (left, total) = (size, total + size)
        }
        (size, digits, lineBytes, awaitsLineFeed) = (0, 0, 0, false)
    }
}

extension UInt8 {
    fileprivate var hexDigit: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
