import CPMAntShape
package import LeafExecutor
import LeafFormat
package import LeafGeneration
package import LeafSystem
package import LeafWire
package import Leafcutter

/// Requests of a file that are answered into another, in as many runs as it takes.
///
///     let job = try BatchJob(input: "in.jsonl", output: "out.jsonl", file, origin: Model.origin(of: file, options))
///     let survey = try job.check()
///     options.callerBytes = survey.bytes
///     let held = try options.makeRoom(
///         for: survey.demands.demands, sequences: 8, bytesEach: survey.bytesEach, in: file)
///     let outcome = try job.run(on: Model(file, options), ahead: 2 * held)
///
/// Whether it is killed or not, and how often: the answers are the same, but for their order. Documentation/batch.md
/// describes the files.
package final class BatchJob {
    /// What a caller may choose.
    package struct Options: Sendable {
        /// Goes on with what was begun; else answers that are there are refused.
        package var resumes = false
        /// Answers lines that make no sense with an error; else the first of them is named before anything runs.
        package var skipsBad = false
        /// The answers of requests that failed stand here as well.
        package var errors: String?
        /// What the seeds of requests without one are made of; nil for a new one, or that of what was begun.
        package var seed: UInt64?
        /// What holds for requests that say nothing about it.
        package var defaults = WireRequest.Defaults()
        /// Sequences at the same time at most.
        package var sequences = 8
        /// The one `url` that lines may have, all of them in OpenAI's form; nil for a job of any lines.
        package var endpoint: String?
        /// For what a model is open already: a request that needs more is answered by that, and the others go on.
        package var capacity: Demand?
        /// Called before an answer is taken, with the bytes of all answers then; what it throws ends the run.
        package var reserve: AnswerLog.Reserve?

        package init() {}
    }

    /// What a model has to have room for.
    package struct Survey: Sendable {
        package var demands: DemandSurvey
        /// Requests in the file.
        package var count: Int
        /// Bytes that the line that is read, an answer that is written and notes take beside the model.
        package var bytes: Int
        /// Bytes that each text under way takes as well, with the line that waits behind it.
        package var bytesEach: Int
    }

    /// Where a run is, and what became of it.
    package struct Progress: Sendable, Equatable {
        /// Requests of the file, and those that have their answers; of these, answers that say why there is none.
        package var count = 0
        package var done = 0
        package var failed = 0
        /// Requests that had their answers before this run.
        package var before = 0
        /// Generated and scored in this run, and rows of its sweeps.
        package var tokens = 0
        package var rows = 0
        package var drafts = DraftTally()
        /// Generated in this run, those of texts that were stopped among them.
        package var generated = 0
        /// On the sweep under way.
        package var sweepRows = 0
    }

    let file: ModelFile
    let options: Options
    let input: InputFile
    private let output: String
    let origin: [JobRecord.Field]
    let log: AnswerLog
    let seed: UInt64
    private let scratchPath: String
    private var duplicates: LineSet?
    var done = LineSet(lines: 0)
    package internal(set) var progress = Progress()
    /// Of a new job that was checked and has not begun.
    private var record: JobRecord?
    /// Of the file: the number of its last line, and bytes of its longest.
    package private(set) var (lastLine, longestLine) = (0, 0)
    /// The first line that `check` refused.
    package private(set) var badLine: Int?
    /// What others answer; nil until the first line is handed out.
    var handout: Handout?
    /// Bytes of a line at most.
    static let lineLimit = WireRequest.byteLimit

    /// Opens the files, and keeps other runs out.
    ///
    /// - Parameters:
    ///   - input: requests, one a line; a regular file, which is read twice.
    ///   - output: the answers; what belongs to them stands beside it in `output.job`.
    ///   - origin: what decides every answer beside its request (`Model.origin`).
    ///   - reading: paths that no result may replace.
    /// - Throws: `.usage` for files that can not be these, `.io` and `.badInput` from opening them.
    package init(
        input: String, output: String, _ file: ModelFile, origin: [(name: String, value: String)],
        _ options: Options = Options(), reading: [String] = []
    ) throws(LeafError) {
        self.file = file
        self.options = options
        self.output = output
        self.input = try Self.open(input)
        let paths = try Self.paths(output, errors: options.errors)
        let results = paths.all
        for (index, result) in results.enumerated() {
            try OutputTarget.check(result, isNoneOf: [input] + file.paths + reading)
            try OutputTarget.check([result], isApartFrom: Array(results[..<index]))
        }
        log = try AnswerLog(paths, resumes: options.resumes, reserve: options.reserve)
        seed = log.begun?.seed ?? options.seed ?? GenerationOptions.freshSeed()
        scratchPath = paths.ids
        self.origin = JobRecord(origin: origin, seed: 0, inputBytes: 0, inputDigest: 0).origin
        try log.begun?.check(origin: self.origin, seed: options.seed, of: output)
    }

    /// Everything that a job writes, for who writes something else.
    ///
    /// - Throws: as `init`.
    package static func results(_ output: String, errors: String?) throws(LeafError) -> [String] {
        try paths(output, errors: errors).all
    }

    private static func paths(_ output: String, errors: String?) throws(LeafError) -> AnswerLog.Paths {
        let target = try OutputTarget.file(output, for: "answers")
        return AnswerLog.Paths(
            answers: target, job: OutputTarget.Companion.job.path(of: target),
            errors: try errors.map { path throws(LeafError) in
                try OutputTarget.file(path, for: "the requests that failed")
            })
    }

    /// Whether there is a job to go on with, whether it has answers, and bytes of those.
    package var isBegun: Bool { log.isBegun }
    package var hasAnswers: Bool { log.hasAnswers }
    package var answerBytes: Int { log.answerBytes }

    /// In what a run would differ from the one that began some answers; nil where it would go on with them.
    package static func difference(
        from origin: [(name: String, value: String)], of output: String
    ) throws(LeafError) -> String? {
        let paths = try Self.paths(output, errors: nil)
        guard FilePath.exists(paths.job) else { return nil }
        let own = JobRecord(origin: origin, seed: 0, inputBytes: 0, inputDigest: 0).origin
        return try AnswerLog.record(paths)?.difference(from: own)
    }

    private static func open(_ path: String) throws(LeafError) -> InputFile {
        do throws(LeafError) {
            return try InputFile(path: path)
        } catch {
            guard error.kind != .io, !FilePath.isDirectory(path) else { throw error }
            throw LeafError(
                .usage,
                "\(path == "-" ? "standard input" : path) is not a regular file, and requests of a job are read twice; "
                    + "write them to a file first"
            )
        }
    }

    /// Reads the whole file, and finds what is wrong with it and what a model must have room for.
    ///
    /// - Parameters:
    ///   - cancellation: ends it with `.cancelled`.
    ///   - onLine: handed the number of requests so far.
    /// - Throws: `.usage` naming the first line that makes no sense or whose id came before, unless such are answered;
    ///   for a file without requests, or another one than was begun with.
    package func check(
        _ cancellation: Cancellation = Cancellation(), onLine: (_ count: Int) -> Void = { _ in }
    ) throws(LeafError) -> Survey {
        let lines = try JobLines(input, limit: Self.lineLimit)
        let ids = IDIndex(path: scratchPath)
        var survey = Survey(
            demands: DemandSurvey(sequences: options.sequences), count: 0, bytes: 0, bytesEach: 0)
        var (room, last) = (AnswerRoom(), 0)
        while let line = try lines.next() {
            guard !cancellation.isCancelled else { throw LeafError(.cancelled, "interrupted") }
            last = line.number
            guard last <= LineSet.mostLines else {
                throw LeafError(.usage, "\(input.path) has more than \(LineSet.mostLines) lines; split it")
            }
            guard !line.isBlank else { continue }
            survey.count += 1
            let name = Self.name(of: line)
            if !name.isNameless {
                try ids.add(name.idBytes, at: IDIndex.Place(line: line.number, offset: line.offset))
            }
            do throws(LeafError) {
                let item = try makeItem(line, name)
                for demand in item.requests.flatMap({ $0.demands(in: file.configuration) }) {
                    survey.demands.add(demand)
                }
                room.make(for: item.answerRoom(in: file.configuration))
            } catch {
                guard options.skipsBad || isTooWide(error) else {
                    badLine = line.number
                    throw LeafError(
                        .usage, "\(input.path), line \(line.number): \(error)", advice: .setting("skip_bad"))
                }
            }
            onLine(survey.count)
        }
        guard survey.count > 0 else {
            throw LeafError(.usage, "\(input.path) holds no requests; give one a line")
        }
        try log.begun?.check(inputBytes: input.byteCount, digest: lines.digestOfBytes, of: output, input.path)
        try findDuplicates(ids, lines: last)
        let bytes =
            JobLines.byteCount(longestLine: lines.longestLine) +| 20 *| lines.longestLine +| room.written
            +| IDIndex.byteCount(ids: survey.count) +| 2 *| LineSet.byteCount(lines: last) +| AnswerLog.byteCount
        // As many lines wait as there are texts under way.
        let bytesEach = 2 *| (lines.longestLine +| room.held)
        (survey.bytes, survey.bytesEach) = (bytes, bytesEach)
        (lastLine, longestLine) = (last, lines.longestLine)
        done = LineSet(lines: last)
        if log.begun == nil {
            record = JobRecord(
                origin: origin.map { ($0.name, $0.value) }, seed: seed, inputBytes: input.byteCount,
                inputDigest: lines.digestOfBytes)
        } else {
            progress.failed = try log.resume(&done)
        }
        (progress.count, progress.before, progress.done) = (survey.count, done.count, done.count)
        return survey
    }

    private func findDuplicates(_ ids: IDIndex, lines: Int) throws(LeafError) {
        var first: (place: Int, first: Int)?
        try ids.finish(
            id: { place throws(LeafError) in
                let reader = try JobLines(input, from: place.offset, limit: Self.lineLimit)
                guard let line = try reader.next() else { return [] }
                return Self.name(of: line, number: place.line).idBytes
            },
            onDuplicate: { place, earlier throws(LeafError) in
                if options.skipsBad {
                    var found = duplicates ?? LineSet(lines: lines)
                    _ = found.insert(place.line)
                    duplicates = found
                } else if place.line < first?.place ?? .max {
                    first = (place.line, earlier.line)
                }
            })
        guard let first else { return }
        badLine = first.place
        throw LeafError(
            .usage, "\(input.path), line \(first.place): its id is that of line \(first.first); give each its own")
    }

    // MARK: Running

    /// Begins a job that is new: nothing stays of one that is refused, or for which a model has no room.
    func begin() throws(LeafError) {
        if let record { try log.begin(record) }
        record = nil
    }

    /// Answers what has no answer yet, and waits for the last one.
    ///
    /// - Parameters:
    ///   - model: opened for what `check` found.
    ///   - ahead: requests to hold at most; twice the number that share a sweep keeps every sweep full.
    ///   - cancellation: stops it; what has its answer keeps it.
    ///   - turns: when its requests may begin; nil where nobody else uses the model.
    ///   - onProgress: called on the calling thread, some times a second.
    /// - Returns: how far it came.
    /// - Throws: `.io` and `.badInput` from reading the model, `.io` when an answer cannot be written.
    package func run(
        on model: Model, ahead: Int, _ cancellation: Cancellation = Cancellation(), turns: (any JobTurns)? = nil,
        onProgress: (Progress) -> Void = { _ in }
    ) throws(LeafError) -> Progress {
        try begin()
        let lines = try JobLines(input, limit: Self.lineLimit)
        let own = Cancellation(parent: cancellation)
        var failure: LeafError?
        func stop(_ error: LeafError) {
            failure = failure ?? error
            own.cancel()
        }
        func write(_ answer: JSON, _ name: LineName, isFailure: Bool) {
            guard failure == nil else { return }
            do throws(LeafError) {
                try log.append(answer, line: name.line, isFailure: isFailure)
                progress.done += 1
                progress.failed += isFailure ? 1 : 0
            } catch {
                stop(error)
            }
        }
        func show() {
            do throws(LeafError) { try log.flushIfDue() } catch { stop(error) }
            onProgress(progress)
        }
        do throws(LeafError) {
            try model.carryOut(
                ahead: ahead, own, admits: { turns?.take($0, within: $1) ?? true },
                next: { _ throws(LeafError) -> Arrival<Asked<OpenItem, AnyRequest>> in
                    guard let next = try nextItem(of: lines, own, onFailure: { write($0, $1, isFailure: true) }) else {
                        return .end
                    }
                    return .value((OpenItem(item: next.item), next.item.requests))
                },
                onEvent: { (open: inout OpenItem, index: Int, event: AnyRequest.Event) in
                    switch event {
                    case .piece(let piece): progress.generated += piece.id == nil ? 0 : 1
                    case .progress(let news): progress.sweepRows = news.rows
                    case .finished(let result):
                        turns?.giveBack(open.item.requests[index])
                        take(result, of: index, &open, model, write, stop)
                    }
                    show()
                })
        } catch {
            failure = failure ?? error
        }
        do throws(LeafError) { try log.flush() } catch { failure = failure ?? error }
        if let failure { throw failure }
        return progress
    }

    /// The next line that has no answer; one that makes no sense is answered at once.
    ///
    /// - Returns: nil behind the last one, and after a cancellation.
    func nextItem(
        of lines: JobLines, _ cancellation: Cancellation, onFailure: (JSON, LineName) -> Void
    ) throws(LeafError) -> (item: BatchItem, bytes: ArraySlice<UInt8>)? {
        while !cancellation.isCancelled, let line = try lines.next() {
            guard !line.isBlank, !done.contains(line.number) else { continue }
            let name = Self.name(of: line)
            let isDuplicate = duplicates?.contains(line.number) == true
            do throws(LeafError) {
                guard !isDuplicate else { throw LeafError(.usage, "its id is that of an earlier line") }
                return (try makeItem(line, name), line.bytes)
            } catch {
                let reason = LeafError(isTooWide(error) ? .tooLong : .usage, "line \(line.number): \(error)")
                onFailure(name.answer(reason, isDuplicate: isDuplicate), name)
            }
        }
        return nil
    }

    private func take(
        _ result: Result<AnyRequest.Answer, LeafError>, of index: Int, _ open: inout OpenItem, _ model: Model,
        _ write: (JSON, LineName, Bool) -> Void, _ stop: (LeafError) -> Void
    ) {
        guard !open.isAnswered else { return }
        switch result {
        case .success(let answer):
            guard !answer.isInterrupted else {
                open.isAnswered = true
                return
            }
            progress.tokens += answer.tokens
            if case .generation(let generation) = answer { progress.drafts.add(generation) }
            progress.generated += answer.tokensWithoutPieces
            progress.rows += open.item.requests[index].rows(of: answer, in: file.configuration)
            guard let json = open.item.take(answer, of: index, model) else { return }
            open.isAnswered = true
            write(json, open.item.name, false)
        case .failure(let error):
            open.isAnswered = true
            switch error.kind {
            // It was stopped, and has its turn in another run.
            case .cancelled: break
            // A model that cannot be read answers no other request either.
            case .io, .badInput: stop(error)
            default: write(open.item.name.answer(error), open.item.name, true)
            }
        }
    }

    /// A line until it has its answer.
    private struct OpenItem {
        var item: BatchItem
        var isAnswered = false
    }
}
