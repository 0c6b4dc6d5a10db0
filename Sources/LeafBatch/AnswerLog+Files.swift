package import LeafSystem
import LeafWire

/// What is in the files of a job that nobody is running.
extension AnswerLog {
    /// Copies the answers of one sort from the files of a job that nobody is running.
    ///
    /// - Parameters:
    ///   - areFailures: whether those of requests that failed, or all the others.
    ///   - target: empty.
    /// - Throws: `.io`, `.badInput` for files that do not belong together.
    package static func copy(areFailures: Bool, of paths: Paths, to target: OutputFile) throws(LeafError) {
        let input = try InputFile(path: paths.answers)
        var end = 0
        try forEachAnswer(of: paths, in: input) { record, offset throws(LeafError) in
            guard record.isFailure == areFailures else { return }
            try forEachPiece(of: record, at: offset, in: input) { piece throws(LeafError) in
                try target.write(piece, at: end)
                end += piece.count
            }
        }
    }

    /// What copying and counting take, beside the files.
    package static let copyBytes = JobLines.byteCount(longestLine: lineLimit) + 2 * JobLines.pieceBytes

    /// How many answers of each sort are in the files of a job that nobody is running.
    ///
    /// - Returns: nil where no job was begun.
    /// - Throws: `.io`, `.badInput`.
    package static func count(of paths: Paths) throws(LeafError) -> (succeeded: Int, failed: Int)? {
        guard FilePath.exists(paths.job), FilePath.exists(paths.answers) else { return nil }
        var counts = (succeeded: 0, failed: 0)
        try forEachAnswer(of: paths, in: InputFile(path: paths.answers)) { record, _ in
            if record.isFailure { counts.failed += 1 } else { counts.succeeded += 1 }
        }
        return counts
    }

    /// - Parameter body: handed what is known of each answer that is there as a whole, and where it begins.
    private static func forEachAnswer(
        of paths: Paths, in input: InputFile, _ body: (_ record: AnswerRecord, _ offset: Int) throws(LeafError) -> Void
    ) throws(LeafError) {
        let records = try JobLines(InputFile(path: paths.job), limit: lineLimit)
        var offset = 0
        while let line = try records.next() {
            guard line.number > 1, let record = AnswerRecord(line.bytes) else { continue }
            guard input.byteCount - offset >= record.byteCount else { break }
            try body(record, offset)
            offset += record.byteCount
        }
    }
}

extension InputFile {
    /// Whether nothing but zeros stands there, or nothing: what a machine that went down did not bring to the disk.
    func isZero(from offset: Int) throws(LeafError) -> Bool {
        var offset = offset
        while offset < byteCount {
            let piece = try bytes(at: offset, count: min(JobLines.pieceBytes, byteCount - offset))
            guard piece.allSatisfy({ $0 == 0 }) else { return false }
            offset += piece.count
        }
        return true
    }
}
