package import LeafFormat
package import LeafSystem
import LeafWire

/// The files of a job: the answers, the record of which lines they answer, and the answers of those that failed once
/// more.
///
/// Answers come to the disk first, then their records, then the failures. So a run that was killed anywhere leaves at
/// most answers without a record, which are cut off and computed again.
package final class AnswerLog {
    /// Where its files are.
    package struct Paths: Sendable {
        package let answers: String
        package let job: String
        package let errors: String?

        package init(answers: String, job: String, errors: String? = nil) {
            (self.answers, self.job, self.errors) = (answers, job, errors)
        }

        /// Where ids that do not fit into memory are sorted.
        var ids: String { job + ".ids" }
        var all: [String] { [answers, job, ids] + (errors.map { [$0] } ?? []) }
    }

    private let paths: Paths
    private let job: OutputFile
    private let answers: OutputFile
    private var errors: OutputFile?
    /// Whether there was no job, and none has begun: nothing of it has to stay.
    private var isUnbegun: Bool
    private let madeJob: Bool
    private let madeAnswers: Bool

    /// Bytes of each file that are whole.
    private var jobEnd = 0
    private var answersEnd = 0
    private var errorsEnd = 0
    /// What is not on the disk yet.
    private var pendingRecords: [UInt8] = []
    private var pendingAnswers: [UInt8] = []
    private var pendingErrors: [UInt8] = []
    private var lastSync: ContinuousClock.Instant?

    /// Answers that come within this time of each other are brought to the disk together.
    private static let rest = Duration.milliseconds(20)
    private static let mostPending = 1 << 16
    /// Bytes that it takes besides the answer that is written.
    static let byteCount = 8 * mostPending

    /// What was begun; nil for a job that is new.
    package let begun: JobRecord?

    /// Opens the files of a job, or makes them, and keeps other runs out.
    ///
    /// - Parameter resumes: whether to go on with what is there.
    /// - Throws: `.usage` for answers that are there, or belong to no job, `.io` if another run has the job, or a file
    ///   can not be written.
    package init(_ paths: Paths, resumes: Bool, calls: WriteCalls = WriteCalls()) throws(LeafError) {
        self.paths = paths
        func checkAnswers() throws(LeafError) {
            guard resumes || !FilePath.exists(paths.answers) else {
                throw LeafError(
                    .usage, "\(paths.answers) exists; name another file for the answers, or go on with this one",
                    advice: .setting("resume"))
            }
        }
        try checkAnswers()
        let isNew = !FilePath.exists(paths.job)
        if isNew, try Self.byteCount(of: paths.answers) > 0 { throw Self.orphaned(paths) }
        job = try OutputFile(path: paths.job, calls: calls)
        try job.lock(for: "run")
        madeJob = job.byteCount == 0
        do throws(LeafError) {
            // Another run may have made them, and ended, meanwhile.
            try checkAnswers()
            begun = resumes ? try Self.record(paths) : nil
            if begun == nil, try Self.byteCount(of: paths.answers) > 0 { throw Self.orphaned(paths) }
            guard try JobRecord.isRecord(paths.job) else { throw LeafError.wouldBeLost(paths.job) }
            madeAnswers = !FilePath.exists(paths.answers)
            answers = try OutputFile(path: paths.answers, calls: calls)
        } catch {
            if madeJob { try? FilePath.remove(paths.job) }
            throw error
        }
        isUnbegun = begun == nil
        guard let path = paths.errors else { return }
        do throws(LeafError) {
            try Self.checkErrors(path, ofJob: begun != nil)
            let file = try OutputFile(path: path, calls: calls)
            try file.lock(for: "run")
            errors = file
        } catch {
            forget()
            throw error
        }
    }

    deinit { forget() }

    /// Leaves nothing of a job that has not begun.
    private func forget() {
        guard isUnbegun else { return }
        isUnbegun = false
        if madeAnswers { try? FilePath.remove(paths.answers) }
        if madeJob { try? FilePath.remove(paths.job) }
        if errors != nil, let path = paths.errors, (try? Self.byteCount(of: path)) == 0 { try? FilePath.remove(path) }
    }

    private static func byteCount(of path: String) throws(LeafError) -> Int {
        FilePath.exists(path) ? try InputFile(path: path).byteCount : 0
    }

    private static func orphaned(_ paths: Paths) -> LeafError {
        LeafError(
            .usage,
            "\(paths.job) does not say which lines \(paths.answers) answers; put it back, or name another file for the "
                + "answers")
    }

    /// The first line of a job's file; nil if it has none that is whole.
    private static func record(_ paths: Paths) throws(LeafError) -> JobRecord? {
        let file = try InputFile(path: paths.job)
        guard let line = try JobLines(file, limit: lineLimit).next(), line.bytes.count < file.byteCount else {
            return nil
        }
        return JobRecord(line.bytes)
    }

    /// Bytes of a line of a job's file at most.
    private static let lineLimit = 1 << 16

    /// What is there is written anew from the answers, so it may hold nothing but answers of requests that failed.
    ///
    /// - Parameter isBegun: whether there is a job to go on with.
    private static func checkErrors(_ path: String, ofJob isBegun: Bool) throws(LeafError) {
        guard try byteCount(of: path) > 0 else { return }
        guard isBegun else {
            throw LeafError(.usage, "\(path) exists; name another file for the requests that failed")
        }
        let input = try InputFile(path: path)
        let lines = try JobLines(input, limit: WireRequest.byteLimit)
        while let line = try lines.next() {
            // A run that was killed may have left the last one torn.
            let isLast = line.offset + line.bytes.count == input.byteCount
            guard !line.isTooLong, isFailure(line.bytes) || isLast && isTornFailure(line.bytes) else {
                throw LeafError(
                    .usage,
                    "line \(line.number) of \(path) is no request that failed; name another file for those that do")
            }
        }
    }

    /// Whether a line is an answer that says why there is none.
    private static func isFailure(_ line: ArraySlice<UInt8>) -> Bool {
        var (hasError, hasMore) = (false, false)
        do throws(LeafError) {
            try JSONReader.read(line) { name, reader throws(LeafError) in
                switch name {
                case "id", "custom_id": try reader.skip()
                case "error":
                    hasError = try reader.kind() != .null
                    try reader.skip()
                // OpenAI's form has it where there is none as well.
                case "response":
                    if try reader.kind() != .null { hasMore = true }
                    try reader.skip()
                default:
                    hasMore = true
                    try reader.skip()
                }
            }
        } catch { return false }
        return hasError && !hasMore
    }

    /// Whether a line may be the beginning of such an answer. A whole object is none.
    private static func isTornFailure(_ line: ArraySlice<UInt8>) -> Bool {
        let start = Array(#"{"id":"#.utf8)
        guard line.starts(with: start) || start.starts(with: line) else { return false }
        do throws(LeafError) {
            try JSONReader.read(line) { _, reader throws(LeafError) in try reader.skip() }
            return false
        } catch { return true }
    }

    // MARK: Beginning

    /// Whether there is a job to go on with, and whether it has answers.
    package var isBegun: Bool { !isUnbegun }
    package var hasAnswers: Bool { answersEnd > 0 }
    /// Bytes of answers, those that are not on the disk yet included.
    package var answerBytes: Int { answersEnd + pendingAnswers.count }

    /// Begins a new job.
    package func begin(_ record: JobRecord) throws(LeafError) {
        try job.truncate(to: 0)
        let line = Array(record.line.utf8)
        try job.write(line, at: 0)
        try job.synchronize()
        try errors?.truncate(to: 0)
        try FilePath.synchronizeFolder(of: paths.job)
        try FilePath.synchronizeFolder(of: paths.answers)
        jobEnd = line.count
        isUnbegun = false
    }

    /// Goes on with what was begun: cuts off what is not whole, and notes which lines have their answers.
    ///
    /// - Parameter done: gets the lines that have.
    /// - Returns: how many of them failed.
    /// - Throws: `.badInput` for answers that somebody changed, or records that are damaged.
    package func resume(_ done: inout LineSet) throws(LeafError) -> Int {
        let recordFile = try InputFile(path: paths.job)
        let records = try JobLines(recordFile, limit: Self.lineLimit)
        let input = try InputFile(path: paths.answers)
        try errors?.truncate(to: 0)
        var failed = 0
        while let line = try records.next() {
            let end = line.offset + line.bytes.count + 1
            // Without its line feed it is torn.
            guard end <= recordFile.byteCount else { break }
            if line.number > 1 {
                guard let record = AnswerRecord(line.bytes) else {
                    // A machine that went down may have left the last one broken.
                    if try records.next() == nil { break }
                    throw LeafError(
                        .badInput, "line \(line.number) of \(paths.job) is damaged; name another file for the answers")
                }
                guard input.byteCount - answersEnd >= record.byteCount else { break }
                try check(record, in: input)
                guard done.insert(record.line) else {
                    throw LeafError(
                        .badInput, "\(paths.job) has line \(record.line) twice; name another file for the answers")
                }
                answersEnd += record.byteCount
                if record.isFailure { failed += 1 }
            }
            jobEnd = end
        }
        try job.truncate(to: jobEnd)
        try answers.truncate(to: answersEnd)
        try errors?.synchronize()
        return failed
    }

    /// Copies the answers of one sort from the files of a job that nobody is running.
    ///
    /// - Parameters:
    ///   - areFailures: whether those of requests that failed, or all the others.
    ///   - target: empty.
    /// - Throws: `.io`, `.badInput` for files that do not belong together.
    package static func copy(areFailures: Bool, of paths: Paths, to target: OutputFile) throws(LeafError) {
        let input = try InputFile(path: paths.answers)
        let records = try JobLines(InputFile(path: paths.job), limit: lineLimit)
        var (offset, end) = (0, 0)
        while let line = try records.next() {
            guard line.number > 1, let record = AnswerRecord(line.bytes) else { continue }
            guard input.byteCount - offset >= record.byteCount else { break }
            let next = offset + record.byteCount
            while record.isFailure == areFailures, offset < next {
                let piece = try input.bytes(at: offset, count: min(next - offset, JobLines.pieceBytes))
                try target.write(piece, at: end)
                offset += piece.count
                end += piece.count
            }
            offset = next
        }
    }

    /// Compares an answer with its record, and copies it if the request failed.
    private func check(_ record: AnswerRecord, in input: InputFile) throws(LeafError) {
        var digest = try record.begin()
        var done = 0
        while done < record.byteCount {
            let piece = try input.bytes(at: answersEnd + done, count: min(record.byteCount - done, JobLines.pieceBytes))
            piece.withUnsafeBytes { digest.update($0) }
            if record.isFailure, let errors {
                try errors.write(piece, at: errorsEnd)
                errorsEnd += piece.count
            }
            done += piece.count
        }
        guard digest.value == record.digest else {
            throw LeafError(
                .badInput,
                "\(paths.answers) was changed at byte \(answersEnd), where the answer to line \(record.line) stands; "
                    + "put it back, or name another file for the answers")
        }
    }

    // MARK: Writing

    /// Takes an answer; it is on the disk when `flush` has returned, and soon anyway.
    ///
    /// - Throws: `.io` when writing fails. What was whole before stays whole.
    package func append(_ answer: JSON, line: Int, isFailure: Bool) throws(LeafError) {
        var bytes: [UInt8] = []
        answer.write(to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        try append(bytes, line: line, isFailure: isFailure)
    }

    /// The same for an answer that is written already, its line feed included.
    func append(_ bytes: [UInt8], line: Int, isFailure: Bool) throws(LeafError) {
        pendingRecords += try AnswerRecord(bytes, line: line, isFailure: isFailure).text.utf8
        pendingAnswers += bytes
        if isFailure, errors != nil { pendingErrors += bytes }
        try flushIfDue()
    }

    /// Brings to the disk what waits, unless something came to the disk a moment ago.
    func flushIfDue() throws(LeafError) {
        guard !pendingAnswers.isEmpty else { return }
        if let lastSync, ContinuousClock.now - lastSync < Self.rest, pendingAnswers.count < Self.mostPending { return }
        try flush()
    }

    /// Waits until everything is on the disk.
    package func flush() throws(LeafError) {
        guard !pendingAnswers.isEmpty else { return }
        do throws(LeafError) {
            try Self.append(pendingAnswers, to: answers, at: answersEnd)
            try Self.append(pendingRecords, to: job, at: jobEnd)
        } catch {
            // What has no record would be cut off later anyway; on a full disk the space is needed.
            try? answers.truncate(to: answersEnd)
            try? job.truncate(to: jobEnd)
            clear()
            throw error
        }
        answersEnd += pendingAnswers.count
        jobEnd += pendingRecords.count
        let failures = pendingErrors
        clear()
        lastSync = .now
        if let errors, !failures.isEmpty {
            try Self.append(failures, to: errors, at: errorsEnd)
            errorsEnd += failures.count
        }
    }

    /// Whether these bytes, their line feed included, are the answer that a line has.
    package func holds(_ bytes: [UInt8], line: Int, isFailure: Bool) throws(LeafError) -> Bool {
        try flush()
        let wanted = try AnswerRecord(bytes, line: line, isFailure: isFailure)
        let (records, input) = (try InputFile(path: paths.job), try InputFile(path: paths.answers))
        var (end, offset) = (jobEnd, answersEnd)
        // From the end, because what comes twice came a short while ago.
        while end > 0 {
            let start = max(0, end - JobLines.pieceBytes)
            let piece = try records.bytes(at: start, count: end - start)
            let lines = piece.split(separator: UInt8(ascii: "\n"))
            for line in lines.dropFirst().reversed() {
                guard let record = AnswerRecord(line) else { return false }
                offset -= record.byteCount
                guard record.line == wanted.line else { continue }
                guard record == wanted else { return false }
                return try input.bytes(at: offset, count: bytes.count) == bytes
            }
            // The first line of a piece may be torn, and comes with the next one; that of the file is no answer's.
            guard lines.count > 1, start > 0 else { return false }
            end = start + lines[0].count + 1
        }
        return false
    }

    private func clear() {
        pendingAnswers.removeAll(keepingCapacity: pendingAnswers.capacity <= 2 * Self.mostPending)
        pendingRecords.removeAll(keepingCapacity: true)
        pendingErrors.removeAll(keepingCapacity: pendingErrors.capacity <= 2 * Self.mostPending)
    }

    private static func append(_ bytes: [UInt8], to file: OutputFile, at offset: Int) throws(LeafError) {
        try file.write(bytes, at: offset)
        try file.synchronize()
    }
}
