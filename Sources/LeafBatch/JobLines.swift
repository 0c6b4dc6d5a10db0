import LeafFormat
import LeafSystem
import LeafWire

/// Lines of a regular file, one after another: memory holds one line and one piece of the file.
final class JobLines {
    static let pieceBytes = 1 << 16

    /// Bytes of the longest line that came.
    var longestLine: Int { cutter.longestLine }
    private let file: InputFile
    private let stamp: FileStamp?
    private var cutter: LineCutter
    private var digest: ChunkDigest
    /// Bytes of the file that were read.
    private var position: Int

    /// - Parameters:
    ///   - offset: where to begin; lines are counted from there.
    ///   - limit: bytes of a line at most.
    init(_ file: InputFile, from offset: Int = 0, limit: Int) throws(LeafError) {
        (self.file, position) = (file, offset)
        cutter = LineCutter(limit: limit, offset: offset)
        stamp = SystemCalls.real.stamp(file.descriptor)
        digest = try ChunkDigest()
    }

    /// The digest of everything that was read.
    var digestOfBytes: UInt64 { digest.value }

    /// The next line; nil at the end.
    ///
    /// - Throws: `.io` when reading fails, or somebody changes the file meanwhile.
    func next() throws(LeafError) -> LineCutter.Line? {
        while true {
            if let line = cutter.next() { return line }
            let count = min(Self.pieceBytes, file.byteCount - position)
            guard count > 0 else { return cutter.rest() }
            try read(count)
        }
    }

    private func read(_ count: Int) throws(LeafError) {
        guard SystemCalls.real.stamp(file.descriptor) == stamp else {
            throw LeafError(.io, "\(file.path) was changed while it was read; leave it as it is until the job is done")
        }
        let piece = try file.bytes(at: position, count: count)
        piece.withUnsafeBytes { digest.update($0) }
        cutter.add(piece)
        position += count
    }

    /// Bytes that reading takes at most: a line in an array that has grown, and a piece.
    static func byteCount(longestLine: Int) -> Int { 2 *| (longestLine +| pieceBytes) +| pieceBytes }
}
