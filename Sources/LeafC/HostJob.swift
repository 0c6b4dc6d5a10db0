import LeafBatch
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// A job in the host's hands, whose lines models of any process answer. Calls of several threads come one after
/// another.
final class HostJob: Sendable {
    private let job: Monitor<BatchJob>
    private let survey: BatchJob.Survey

    /// Opens the files and checks every line.
    ///
    /// - Parameter onLine: handed the number of requests so far.
    /// - Throws: `.usage`, `.badInput`, `.io`, `.budget`, `.cancelled`.
    init(
        _ paths: JobPaths, _ options: HostOptions, _ cancellation: Cancellation, onLine: (Int) -> Void
    ) throws(LeafError) {
        let job = try paths.open(options).job
        survey = try job.check(cancellation, onLine: onLine)
        self.job = Monitor(job)
    }

    private func withJob<Value>(_ body: (BatchJob) throws(LeafError) -> Value) throws(LeafError) -> Value {
        try job.withLock { job in Result { () throws(LeafError) in try body(job) } }.get()
    }

    /// The next line that has no answer, as JSON; nil behind the last one.
    func next() throws(LeafError) -> String? {
        try withJob { job throws(LeafError) in try job.handOut()?.json.line }
    }

    /// - Returns: whether the answer is new.
    func take(_ json: [UInt8]) throws(LeafError) -> Bool {
        let answer = try LineAnswer(json: json[...])
        return try withJob { job throws(LeafError) in try job.take(answer) }
    }

    func flush() throws(LeafError) {
        try withJob { job throws(LeafError) in try job.flush() }
    }

    /// How far it is, and what a model has to be opened for to answer any of its lines.
    var description: JSON {
        let (progress, longestLine) = job.withLock { ($0.progress, $0.longestLine) }
        let demands = survey.demands.demands
        func most(_ number: (Demand) -> Int) -> Int { max(1, demands.map(number).max() ?? 1) }
        return .object(
            progress.fields + [
                ("context", .integer(most(\.longest))), ("sequences", .integer(most(\.sequences))),
                ("logit_rows", .integer(most(\.logitRows))), ("line_bytes", .integer(longestLine)),
            ])
    }
}

extension BatchJob.Progress {
    /// How far a job is, in the words of the command.
    var fields: [(key: String, value: JSON)] {
        [
            ("requests", .integer(count)), ("done", .integer(done)), ("failed", .integer(failed)),
            ("done_before", .integer(before)), ("tokens", .integer(tokens)),
        ]
    }
}

/// The files of a job, as the host names them.
struct JobPaths: Sendable {
    let model: String
    let input: String
    let output: String

    /// - Throws: `.usage`, `.badInput`, `.io`, `.budget`.
    func open(_ options: HostOptions) throws(LeafError) -> (job: BatchJob, file: ModelFile) {
        let file = try options.open(model)
        let origin = try Model.origin(of: file, options.optionsOfJob)
        let reading = options.reading.mirror.map { [$0] } ?? []
        let job = try BatchJob(input: input, output: output, file, origin: origin, options.job, reading: reading)
        return (job, file)
    }

    /// Does the whole job.
    ///
    /// - Parameter onProgress: handed what is answered and how many requests there are, or have been found so far.
    /// - Returns: what came of it.
    /// - Throws: as `open`, `.cancelled` when it was stopped.
    func run(
        _ options: HostOptions, _ cancellation: Cancellation, onProgress: (_ done: Int, _ count: Int) -> Void
    ) throws(LeafError) -> JSON {
        let memory = HostMemory()
        let (job, file) = try open(options)
        let survey = try job.check(cancellation) { onProgress(0, $0) }
        var modelOptions = options.optionsOfJob
        modelOptions.callerBytes = survey.bytes
        modelOptions.requestLimit = 1_000_000
        modelOptions.peak = { memory.peakBytes }
        let held = try modelOptions.makeRoom(
            for: survey.demands.demands, sequences: options.sequences, bytesEach: survey.bytesEach, in: file)
        modelOptions.drafts = try options.drafts()
        let model = try Model(file, modelOptions)
        let outcome = try job.run(on: model, ahead: 2 * held, cancellation) { onProgress($0.done, $0.count) }
        guard outcome.done == outcome.count else {
            throw LeafError(
                .cancelled, "stopped after \(outcome.done) of \(outcome.count.of("request"))",
                advice: .setting("resume"))
        }
        return .object(
            outcome.fields + [
                ("speculation", outcome.drafts.json(model)),
                ("warnings", .array(model.warnings(modelOptions.drafts).map { .string($0) })),
            ])
    }
}
