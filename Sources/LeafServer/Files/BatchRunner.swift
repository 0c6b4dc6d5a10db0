import LeafBatch
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// Carries out batches, one after another, on a thread of its own, in the places that nobody else wants.
final class BatchRunner: Sendable {
    /// What its jobs depend on.
    struct Means: Sendable {
        /// What decides every answer beside its request.
        let origin: [(name: String, value: String)]
        /// Bytes that one batch may take beside the model.
        let bytes: Int
        /// Texts on the sweep.
        let places: Int
        /// Called with tokens that were generated, on the runner's thread.
        let onTokens: @Sendable (Int) -> Void
    }

    private let store: FileStore
    private let means: Means
    private let cancellation = Cancellation()
    private let threads = ThreadGroup()

    init(_ store: FileStore, _ means: Means) { (self.store, self.means) = (store, means) }

    /// Begins with what was not over when the last server ended.
    ///
    /// - Throws: `.io` when the system starts no more threads.
    func start(on model: Model, _ gate: BatchGate) throws(LeafError) {
        try threads.start { [self] in
            while true {
                let own = Cancellation(parent: cancellation)
                guard !cancellation.isCancelled, let batch = store.nextBatch(own) else { return }
                run(batch, on: model, gate, own)
                gate.clear()
                store.endRun()
            }
        }
    }

    /// Ends what is under way: it goes on in the next server.
    func stop() {
        store.stopBatches()
        cancellation.cancel()
    }

    func wait() { threads.wait() }

    // MARK: One batch

    private func run(_ batch: BatchRecord, on model: Model, _ gate: BatchGate, _ own: Cancellation) {
        var badLine: Int?
        var outcome = batch.outcome
        if outcome == nil {
            do throws(LeafError) {
                outcome = try answer(batch, on: model, gate, own, &badLine)
            } catch {
                if !cancellation.isCancelled { outcome = fail(batch, error, badLine) }
            }
        }
        if let outcome { finish(batch, as: outcome) } else { _ = store.change(batch.id) { _ in } }
    }

    /// - Parameter badLine: gets the line that the file was refused for.
    /// - Returns: what becomes of it; nil if it goes on in the next server.
    private func answer(
        _ batch: BatchRecord, on model: Model, _ gate: BatchGate, _ own: Cancellation, _ badLine: inout Int?
    ) throws(LeafError) -> BatchRecord.Status? {
        guard !isCancelled(batch) else { return .cancelled }
        guard store.now() < batch.expires else { return .expired }
        var options = BatchJob.Options()
        (options.resumes, options.endpoint, options.sequences) = (true, batch.endpoint, means.places)
        options.capacity = model.capacity
        options.reserve = { [store] bytes throws(LeafError) in try store.reserve(answers: bytes) }
        let job = try BatchJob(
            input: store.path(batch.input), output: store.answersPath(batch.id), model.file, origin: means.origin,
            options)
        let ahead: Int
        do throws(LeafError) {
            ahead = try self.ahead(job.check(own))
        } catch {
            if isCancelled(batch) { return .cancelled }
            badLine = job.badLine
            throw error
        }
        _ = store.change(batch.id) { record in
            record.counts = BatchRecord.Counts(job.progress)
            if record.status == .validating { record.enter(.inProgress, at: store.now()) }
        }
        try store.reserve(answers: job.answerBytes)
        var watch = RunWatch(expires: batch.expires)
        var told = 0
        let progress = try job.run(on: model, ahead: ahead, own, turns: gate) { progress in
            if progress.generated > told { means.onTokens(progress.generated - told) }
            told = progress.generated
            watch.note(progress, of: batch.id, in: store)
            if watch.isExpired { own.cancel() }
        }
        watch.note(progress, of: batch.id, in: store)
        if progress.done == progress.count { return .completed }
        if isCancelled(batch) { return .cancelled }
        return watch.isExpired ? .expired : nil
    }

    /// What is looked at while a batch runs.
    private struct RunWatch {
        let expires: Int
        private(set) var isExpired = false
        private var savedAt = ContinuousClock.now
        /// How far it is, is brought to the disk now and then: the next server counts anew.
        private static let rest = Duration.seconds(30)

        init(expires: Int) { self.expires = expires }

        mutating func note(_ progress: BatchJob.Progress, of id: String, in store: FileStore) {
            store.note(BatchRecord.Counts(progress), of: id)
            isExpired = store.now() >= expires
            guard ContinuousClock.now - savedAt > Self.rest else { return }
            savedAt = .now
            _ = store.change(id) { _ in }
        }
    }

    private func isCancelled(_ batch: BatchRecord) -> Bool {
        store.look { $0.batches[batch.id]?.status == .cancelling }
    }

    /// Requests that may be held at the same time.
    private func ahead(_ survey: BatchJob.Survey) throws(LeafError) -> Int {
        // A line and its answer; the survey counts the one that waits behind it as well.
        let each = max(1, survey.bytesEach / 2)
        guard survey.bytes +| each <= means.bytes else {
            throw LeafError(
                .budget,
                "the longest lines and answers of the file need \((survey.bytes +| each).sizeText) of memory, of which "
                    + "the server has \(means.bytes.sizeText) for a batch; ask for shorter ones")
        }
        return min(means.places, (means.bytes - survey.bytes) / each)
    }

    // MARK: Its end

    private func fail(_ batch: BatchRecord, _ error: LeafError, _ line: Int? = nil) -> BatchRecord.Status {
        // Nobody outside learns where files lie.
        let message =
            error.isDiskFull
            ? "the server's disk is full" : error.description.replacing(store.folder.printable + "/", with: "")
        _ = store.change(batch.id) {
            $0.failure = BatchRecord.Failure(
                code: line == nil ? error.code : "invalid_request", message: message, line: line)
        }
        return .failed
    }

    private func finish(_ batch: BatchRecord, as outcome: BatchRecord.Status) {
        guard let ending = store.change(batch.id, { $0.finalize(as: outcome, at: store.now()) }) else {
            return
        }
        var outcome = outcome
        do throws(LeafError) {
            try store.makeFiles(of: ending)
        } catch {
            outcome = fail(batch, error)
            store.keepAnswers(of: ending)
        }
        _ = store.change(batch.id) { $0.enter(outcome, at: store.now()) }
        store.clear(batch.id)
    }
}

extension BatchRecord.Counts {
    init(_ progress: BatchJob.Progress) {
        (total, completed, failed) = (progress.count, progress.done - progress.failed, progress.failed)
    }
}
