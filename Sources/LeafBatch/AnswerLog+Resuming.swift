import LeafFormat
package import LeafSystem
import LeafWire

/// What a run finds in the files of a job that was begun.
extension AnswerLog {
    /// Goes on with what was begun: cuts off what is not whole, and notes which lines have their answers.
    ///
    /// - Parameter done: gets the lines that have.
    /// - Returns: how many of them failed.
    /// - Throws: `.badInput` for answers that somebody changed or added, or records that are damaged, `.usage` for
    ///   something else in the file of requests that failed.
    package func resume(_ done: inout LineSet) throws(LeafError) -> Int {
        let recordFile = try InputFile(path: paths.job)
        let records = try JobLines(recordFile, limit: Self.lineLimit)
        let input = try InputFile(path: paths.answers)
        let failures = try paths.errors.map { path throws(LeafError) in try InputFile(path: path) }
        var (failed, torn) = (0, AnswerRecord?.none)
        while let line = try records.next() {
            let end = line.offset + line.byteCount + 1
            // Without its line feed it is torn, and so it is with zeros, which no record has.
            guard end <= recordFile.byteCount, !line.bytes.contains(0) else { break }
            if line.number > 1 {
                guard let record = AnswerRecord(line.bytes) else {
                    // A machine that went down may have left the last one broken.
                    if try records.next() == nil { break }
                    throw LeafError(
                        .badInput, "line \(line.number) of \(paths.job) is damaged; name another file for the answers")
                }
                guard try holds(record, input) else {
                    torn = record
                    break
                }
                guard done.insert(record.line) else {
                    throw LeafError(
                        .badInput, "\(paths.job) has line \(record.line) twice; name another file for the answers")
                }
                if record.isFailure {
                    failed += 1
                    if let failures { try copy(record, from: input, to: failures) }
                }
                answersEnd += record.byteCount
            }
            jobEnd = end
        }
        if torn == nil, try !input.isZero(from: answersEnd) { throw added(to: paths.answers, behind: answersEnd) }
        if let failures { try checkRest(of: failures, torn, records) }
        try job.truncate(to: jobEnd)
        try answers.truncate(to: answersEnd)
        try errors?.truncate(to: errorsEnd)
        try errors?.synchronize()
        return failed
    }

    private func added(to path: String, behind end: Int) -> LeafError {
        LeafError(
            .badInput,
            "\(path) holds what is not of this job, behind byte \(end); move that elsewhere, or name another file")
    }

    /// What stands where an answer should.
    private enum Found {
        case whole
        /// What never came to the disk as a whole, or was cut off.
        case torn
        case other
    }

    private static func find(
        _ record: AnswerRecord, at offset: Int, in input: InputFile
    ) throws(LeafError) -> Found {
        guard input.byteCount - offset >= record.byteCount else { return .torn }
        var digest = try record.begin()
        var hasHoles = false
        try forEachPiece(of: record, at: offset, in: input) { piece in
            piece.withUnsafeBytes { digest.update($0) }
            hasHoles = hasHoles || piece.contains(0)
        }
        // What a machine that went down did not bring to the disk reads as zeros, which no answer has.
        return digest.value == record.digest ? .whole : hasHoles ? .torn : .other
    }

    /// Compares the next answer with its record.
    ///
    /// - Returns: false for one that never came to the disk as a whole.
    /// - Throws: `.badInput` for one that somebody changed.
    private func holds(_ record: AnswerRecord, _ input: InputFile) throws(LeafError) -> Bool {
        switch try Self.find(record, at: answersEnd, in: input) {
        case .whole: return true
        case .torn: return false
        case .other:
            throw LeafError(
                .badInput,
                "\(paths.answers) was changed at byte \(answersEnd), where the answer to line \(record.line) stands; "
                    + "put it back, or name another file for the answers")
        }
    }

    /// Lets the file of requests that failed hold the next answer: it is there, as far as it goes, or written.
    private func copy(
        _ record: AnswerRecord, from input: InputFile, to failures: InputFile
    ) throws(LeafError) {
        try Self.forEachPiece(of: record, at: answersEnd, in: input) { piece throws(LeafError) in
            let held = max(0, min(piece.count, failures.byteCount - errorsEnd))
            let there = try failures.bytes(at: errorsEnd, count: held)
            if let index = there.indices.first(where: { there[$0] != piece[$0] && there[$0] != 0 }) {
                throw LeafError(
                    .usage,
                    "\(failures.path) holds something else than the requests of this job that failed, at byte "
                        + "\(errorsEnd + index); name another file for them")
            }
            if held < piece.count || there.contains(0) { try errors?.write(piece, at: errorsEnd) }
            errorsEnd += piece.count
        }
    }

    /// What stands behind the failures that have their answers must be those whose answers are missing: they come
    /// again.
    ///
    /// - Parameters:
    ///   - torn: the first answer that is missing; nil where none is.
    ///   - records: the rest of them.
    /// - Throws: `.badInput` for anything else.
    private func checkRest(
        of failures: InputFile, _ torn: AnswerRecord?, _ records: JobLines
    ) throws(LeafError) {
        var (end, next) = (errorsEnd, torn)
        while let record = next, end < failures.byteCount {
            if record.isFailure {
                let found = try Self.find(record, at: end, in: failures)
                if found == .torn, try Self.isTorn(failures, at: end) { return }
                guard found == .whole else { throw added(to: failures.path, behind: end) }
                end += record.byteCount
            }
            let line = try records.next()
            next = line.flatMap { AnswerRecord($0.bytes) }
        }
        guard try failures.isZero(from: end) else { throw added(to: failures.path, behind: end) }
    }

    /// Whether the end of a file may be that of an answer which says why there is none, as far as it came to the disk.
    private static func isTorn(_ file: InputFile, at offset: Int) throws(LeafError) -> Bool {
        let start = Array(#"{"id":"#.utf8)
        let rest = try file.bytes(at: offset, count: min(file.byteCount - offset, lineLimit))
        return zip(start, rest).allSatisfy { $0 == $1 || $1 == 0 }
            && (rest.contains(0) || !rest.contains(UInt8(ascii: "\n")))
    }
}
