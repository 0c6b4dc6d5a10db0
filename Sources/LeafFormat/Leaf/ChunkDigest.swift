import CXXHash
package import LeafSystem

/// Computes the XXH3-64 of bytes, at once or in pieces.
package struct ChunkDigest: ~Copyable {
    private let state: OpaquePointer?

    /// Starts a digest that takes its bytes in pieces.
    /// - Throws: `.budget` if there is no memory for its state of half a kilobyte.
    package init() throws(LeafError) {
        guard let state = XXH3_createState() else { throw LeafError(.budget, "no memory for a digest") }
        XXH3_64bits_reset(state)
        self.state = state
    }

    deinit { XXH3_freeState(state) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        XXH3_64bits_update(state, bytes.baseAddress, bytes.count)
    }

    /// The digest of everything so far.
    package var value: UInt64 { XXH3_64bits_digest(state) }

    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        XXH3_64bits(bytes.baseAddress, bytes.count)
    }

    package static func of(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { of($0) }
    }

    /// The digest of digests, each as eight little-endian bytes.
    package static func of(_ digests: [UInt64]) -> UInt64 {
        digests.map(\.littleEndian).withUnsafeBytes { of($0) }
    }
}

extension UInt64 {
    /// The digest as sixteen lower-case hexadecimal digits, as in files and messages.
    package var hexDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Parses exactly sixteen lower-case hexadecimal digits.
    package init?(hexDigits text: some Collection<UInt8>) {
        guard text.count == 16 else { return nil }
        var value: UInt64 = 0
        for character in text {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            value = value << 4 | UInt64(digit)
        }
        self = value
    }
}

extension InputFile {
    /// The digest of ranges, concatenated.
    func digest(of ranges: [Range<Int>]) throws(LeafError) -> UInt64 {
        var digest = try ChunkDigest()
        for range in ranges {
            try bytes(at: range.lowerBound, count: range.count).withUnsafeBytes { digest.update($0) }
        }
        return digest.value
    }

    /// The digest of a range, read in pieces of 1 MiB.
    package func digest(at offset: Int, count: Int) throws(LeafError) -> UInt64 {
        let buffer = try PageMemory(count: min(count, 1 << 20))
        var digest = try ChunkDigest()
        var done = 0
        while done < count {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<min(count - done, buffer.bytes.count)])
            try read(at: offset + done, into: piece)
            digest.update(UnsafeRawBufferPointer(piece))
            done += piece.count
        }
        return digest.value
    }
}
