import LeafBatch
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// Carries out batches, one after another, on a thread of its own, in the places that nobody else wants. Another thread
/// ends those that have only to be ended: no batch that runs keeps them waiting.
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
    /// - Throws: `.io` when the system starts no more threads. Nothing is begun then.
    func start(on model: Model, _ gate: BatchGate) throws(LeafError) {
        try threads.start { [self] in
            while let batch = store.nextEnd() { finish(batch, as: batch.outcome ?? .cancelled) }
        }
        do throws(LeafError) {
            try startRuns(on: model, gate)
        } catch {
            stop()
            throw error
        }
    }

    private func startRuns(on model: Model, _ gate: BatchGate) throws(LeafError) {
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
        do throws(LeafError) {
            if let outcome = try answer(batch, on: model, gate, own, &badLine) {
                finish(batch, as: outcome)
            } else {
                _ = store.change(batch.id) { _ in }
            }
        } catch {
            if cancellation.isCancelled {
                _ = store.change(batch.id) { _ in }
                return
            }
            // Nothing is lost: it goes on with what it has.
            if error.isDiskFull { return store.waitForRoom(batch.id) }
            finish(batch, as: .failed, failure(error, badLine))
        }
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

    private func failure(_ error: LeafError, _ line: Int? = nil) -> BatchRecord.Failure {
        // Nobody outside learns where files lie.
        BatchRecord.Failure(
            code: line == nil ? error.code : "invalid_request",
            message: error.description.replacing(store.folder.printable + "/", with: ""), line: line)
    }

    /// Each step is on the disk before the next: a server that is killed between two leaves the rest to the next one.
    private func finish(_ batch: BatchRecord, as outcome: BatchRecord.Status, _ failure: BatchRecord.Failure? = nil) {
        let counts = batch.outcome == nil ? store.countAnswers(of: batch) : nil
        let ending = store.settle(batch.id) { record in
            record.counts = counts ?? record.counts
            record.failure = failure ?? record.failure
            record.finalize(as: outcome, at: store.now())
        }
        guard let ending else { return }
        var (end, reason) = (outcome, ending.failure)
        while true {
            do throws(LeafError) {
                try store.makeFiles(of: ending)
                break
            } catch {
                if error.isDiskFull {
                    store.waitForRoom(batch.id)
                    if cancellation.isCancelled { return }
                    continue
                }
                (end, reason) = (.failed, self.failure(error))
                store.keepAnswers(of: ending)
                break
            }
        }
        let made = store.filesMade(of: ending)
        let over = store.settle(batch.id) { record in
            (record.made, record.failure) = (made, reason)
            record.enter(end, at: store.now())
        }
        if over != nil { store.clear(batch.id) }
    }
}

extension BatchRecord.Counts {
    init(_ progress: BatchJob.Progress) {
        (total, completed, failed) = (progress.count, progress.done - progress.failed, progress.failed)
    }
}
