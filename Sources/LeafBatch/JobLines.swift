import LeafFormat
import LeafSystem

/// Lines of a regular file, one after another: memory holds one line and one piece of the file.
final class JobLines {
    struct Line {
        /// From 1.
        let number: Int
        /// Where it begins in the file.
        let offset: Int
        /// Without the line feed; of a line that is too long the beginning.
        let bytes: ArraySlice<UInt8>
        let isTooLong: Bool

        /// Whether it holds nothing to read. Of one that is too long nobody knows the rest.
        var isBlank: Bool { !isTooLong && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
    }

    static let pieceBytes = 1 << 16

    /// Bytes of the longest line that came.
    private(set) var longestLine = 0
    private let file: InputFile
    private let limit: Int
    private let stamp: FileStamp?
    private var digest: ChunkDigest
    /// Bytes of the file that were read.
    private var position: Int
    /// Bytes that were read and not handed out; `consumed` of them were.
    private var pending: [UInt8] = []
    private var consumed = 0
    /// Of the line that comes next.
    private var number = 0
    private var offset: Int
    /// Bytes of that line which were not kept.
    private var dropped = 0

    /// - Parameters:
    ///   - offset: where to begin; lines are counted from there.
    ///   - limit: bytes of a line at most.
    init(_ file: InputFile, from offset: Int = 0, limit: Int) throws(LeafError) {
        (self.file, self.limit, self.offset, position) = (file, limit, offset, offset)
        stamp = SystemCalls.real.stamp(file.descriptor)
        digest = try ChunkDigest()
    }

    /// The digest of everything that was read.
    var digestOfBytes: UInt64 { digest.value }

    /// The next line; nil at the end. Lines end with `\n` alone; the last one may lack it.
    ///
    /// - Throws: `.io` when reading fails, or somebody changes the file meanwhile.
    func next() throws(LeafError) -> Line? {
        var searched = consumed
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) { return take(upTo: end, 1) }
            let count = min(Self.pieceBytes, file.byteCount - position)
            guard count > 0 else { return pending.count > consumed ? take(upTo: pending.count, 0) : nil }
            pending.removeFirst(consumed)
            consumed = 0
            // What is too long is passed without being kept.
            if pending.count > limit {
                dropped += pending.count - limit - 1
                pending.removeLast(pending.count - limit - 1)
            }
            searched = pending.count
            try read(count)
        }
    }

    private func read(_ count: Int) throws(LeafError) {
        guard SystemCalls.real.stamp(file.descriptor) == stamp else {
            throw LeafError(.io, "\(file.path) was changed while it was read; leave it as it is until the job is done")
        }
        let piece = try file.bytes(at: position, count: count)
        piece.withUnsafeBytes { digest.update($0) }
        pending += piece
        position += count
    }

    private func take(upTo end: Int, _ separator: Int) -> Line {
        let bytes = pending[consumed..<end]
        defer {
            offset += bytes.count + dropped + separator
            dropped = 0
            consumed = end + separator
        }
        number += 1
        longestLine = max(longestLine, min(bytes.count, limit))
        return Line(number: number, offset: offset, bytes: bytes.prefix(limit), isTooLong: bytes.count > limit)
    }

    /// Bytes that reading takes at most: a line in an array that has grown, and a piece.
    static func byteCount(longestLine: Int) -> Int { 2 *| (longestLine +| pieceBytes) +| pieceBytes }
}
