package import LeafFormat
package import LeafSystem
import LeafWire

/// The files of a job: the answers, the record of which lines they answer, and the answers of those that failed once
/// more.
///
/// Records come to the disk first, then their answers, then the failures. So a run that was killed anywhere leaves at
/// most records without a whole answer, which are computed again, and what stands behind the last answer is somebody's.
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

    /// Refuses answers that would take so many bytes with all those before.
    package typealias Reserve = @Sendable (_ bytes: Int) throws(LeafError) -> Void

    let paths: Paths
    private let reserve: Reserve?
    let job: OutputFile
    let answers: OutputFile
    var errors: OutputFile?
    /// Whether there was no job, and none has begun: nothing of it has to stay.
    private var isUnbegun: Bool
    private let madeJob: Bool
    private let madeAnswers: Bool

    /// Bytes of each file that are whole.
    var jobEnd = 0
    var answersEnd = 0
    var errorsEnd = 0
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
    /// - Parameters:
    ///   - resumes: whether to go on with what is there.
    ///   - reserve: called before an answer is taken.
    /// - Throws: `.usage` for answers that are there, or belong to no job, `.io` if another run has the job, or a file
    ///   can not be written.
    package init(
        _ paths: Paths, resumes: Bool, reserve: Reserve? = nil, calls: WriteCalls = WriteCalls()
    ) throws(LeafError) {
        (self.paths, self.reserve) = (paths, reserve)
        func checkAnswers() throws(LeafError) {
            guard resumes || !FilePath.exists(paths.answers) else {
                throw LeafError(
                    .usage, "\(paths.answers) exists; name another file for the answers, or go on with this one",
                    advice: .setting("resume"))
            }
        }
        try checkAnswers()
        try OutputFile.checkIsIdle(paths.answers)
        let isNew = !FilePath.exists(paths.job)
        if isNew, try Self.byteCount(of: paths.answers) > 0 { throw Self.orphaned(paths) }
        job = try OutputFile(path: paths.job, calls: calls, again: nil)
        try job.lock(for: "run")
        madeJob = job.byteCount == 0
        do throws(LeafError) {
            // Another run may have made them, and ended, meanwhile.
            try checkAnswers()
            begun = resumes ? try Self.record(paths) : nil
            if begun == nil, try Self.byteCount(of: paths.answers) > 0 { throw Self.orphaned(paths) }
            guard try JobRecord.isRecord(paths.job) else { throw LeafError.wouldBeLost(paths.job) }
            guard resumes || madeJob else { throw Self.begunAlready(paths) }
            madeAnswers = !FilePath.exists(paths.answers)
            answers = try OutputFile(path: paths.answers, calls: calls, again: nil)
            try answers.lock(for: "run")
        } catch {
            if madeJob { try? FilePath.remove(paths.job) }
            throw error
        }
        isUnbegun = begun == nil
        guard let path = paths.errors else { return }
        do throws(LeafError) {
            try Self.checkErrors(path, ofJob: begun != nil)
            try OutputFile.checkIsIdle(path)
            let file = try OutputFile(path: path, calls: calls, again: nil)
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

    private static func begunAlready(_ paths: Paths) -> LeafError {
        LeafError(
            .usage,
            "\(paths.job) is there already, and holds the seed of a job whose answers \(paths.answers) are missing; "
                + "remove it, or go on with it", advice: .setting("resume"))
    }

    /// The first line of a job's file; nil if it has none that is whole.
    static func record(_ paths: Paths) throws(LeafError) -> JobRecord? {
        let file = try InputFile(path: paths.job)
        guard let line = try JobLines(file, limit: lineLimit).next(), line.bytes.count < file.byteCount else {
            return nil
        }
        return JobRecord(line.bytes)
    }

    /// Bytes of a line of a job's file at most.
    static let lineLimit = 1 << 16

    /// Before a job has begun, nothing of it can be there; later it is compared with the answers.
    private static func checkErrors(_ path: String, ofJob isBegun: Bool) throws(LeafError) {
        guard !isBegun, try byteCount(of: path) > 0 else { return }
        throw LeafError(.usage, "\(path) exists; name another file for the requests that failed")
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
        try FilePath.synchronizeFolder(of: paths.job)
        try FilePath.synchronizeFolder(of: paths.answers)
        jobEnd = line.count
        isUnbegun = false
    }

    static func forEachPiece(
        of record: AnswerRecord, at offset: Int, in input: InputFile, _ body: ([UInt8]) throws(LeafError) -> Void
    ) throws(LeafError) {
        var done = 0
        while done < record.byteCount {
            let piece = try input.bytes(at: offset + done, count: min(record.byteCount - done, JobLines.pieceBytes))
            try body(piece)
            done += piece.count
        }
    }

    // MARK: Writing

    /// Takes an answer; it is on the disk when `flush` has returned, and soon anyway.
    ///
    /// - Throws: `.io` when writing fails, and what `reserve` throws. What was whole before stays whole.
    package func append(_ answer: JSON, line: Int, isFailure: Bool) throws(LeafError) {
        var bytes: [UInt8] = []
        answer.write(to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        try append(bytes, line: line, isFailure: isFailure)
    }

    /// The same for an answer that is written already, its line feed included.
    func append(_ bytes: [UInt8], line: Int, isFailure: Bool) throws(LeafError) {
        try reserve?(answerBytes + bytes.count)
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
        try checkUntouched(answers, answersEnd)
        try checkUntouched(job, jobEnd)
        do throws(LeafError) {
            try Self.append(pendingRecords, to: job, at: jobEnd)
            try Self.append(pendingAnswers, to: answers, at: answersEnd)
        } catch {
            // What is not whole would be cut off later anyway; on a full disk the space is needed.
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

    /// What somebody removed, replaced or wrote to meanwhile is not gone on with: answers would be lost unseen.
    private func checkUntouched(_ file: OutputFile, _ end: Int) throws(LeafError) {
        guard file.isNamed, file.byteCount == end else {
            throw LeafError(
                .io,
                "\(file.path) was removed or changed while the job ran; put it back as it was and go on with it, "
                    + "or name another file for the answers")
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
