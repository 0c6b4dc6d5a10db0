import Dispatch
import LeafBatch
package import LeafFormat
package import LeafGeneration
package import LeafSystem

/// What is kept of batches, and what becomes of them.
extension FileStore {
    /// The batch that runs.
    struct Running {
        let id: String
        let cancellation: Cancellation
    }

    // MARK: Asking

    /// - Throws: 404 for a file that there is not, 429 where as many batches wait as may, 507.
    package func create(_ wish: BatchWish, for owner: String) throws(ServedError) -> JSON {
        let file = try file(wish.input, of: owner, in: "input_file_id")
        guard file.purpose == .batch else {
            throw ServedError(
                status: .badRequest, "'input_file_id' is a file that a batch has made; give one of requests",
                param: "input_file_id")
        }
        let now = now()
        let record = try withState { state throws(ServedError) in
            expire(&state)
            let unfinished = state.unfinished
            guard unfinished.count(where: { $0.id != state.running?.id }) < limits.waitingBatches else {
                throw .tooManyBatches
            }
            // Each makes two files at most.
            guard state.files.count + state.received.count + 2 * (unfinished.count + 1) <= limits.files else {
                throw .full("there is no room for the files of one more batch; delete some")
            }
            try forget(&state)
            let record = BatchRecord(
                id: StoredID.make(StoredID.batch), number: (state.batches.values.map(\.number).max() ?? 0) + 1,
                owner: owner, input: wish.input, endpoint: wish.endpoint, window: wish.window, metadata: wish.metadata,
                output: StoredID.make(StoredID.file), errors: StoredID.make(StoredID.file), created: now,
                expires: now + wish.seconds)
            try withDisk { () throws(LeafError) in try write(record.line, recordOf: record.id) }
            state.batches[record.id] = record
            return record
        }
        wake()
        return record.told(waitsFor: nil)
    }

    /// Makes room for one more by what was over first.
    private func forget(_ state: inout State) throws(ServedError) {
        while state.batches.count >= limits.batches,
            let oldest = state.batches.values.filter(\.status.isOver).min(by: { $0.number < $1.number })
        {
            try withDisk { () throws(LeafError) in try remove(oldest.id) }
            state.batches[oldest.id] = nil
        }
    }

    func batch(_ id: String, of owner: String) throws(ServedError) -> JSON {
        let found = lookInTime { state in
            state.batches[id].map { (owner: $0.owner, json: $0.told(waitsFor: state.obstacle(to: $0))) }
        }
        guard let found, found.owner == owner else { throw .noBatch(id) }
        return found.json
    }

    package func batches(_ page: PageQuery, of owner: String) throws(ServedError) -> JSON {
        let own = lookInTime { state in
            state.batches.values.filter { $0.owner == owner }.map { ($0, obstacle: state.obstacle(to: $0)) }
        }.sorted { $0.0.number < $1.0.number }
        return try page.cut(own, id: \.0.id) { $0.told(waitsFor: $1) }
    }

    /// Ends a batch. What has its answer keeps it.
    ///
    /// - Throws: 404, 400 for one that is over.
    package func cancel(_ id: String, of owner: String) throws(ServedError) -> JSON {
        _ = try batch(id, of: owner)
        let now = now()
        let (record, running) = try withState { state throws(ServedError) in
            guard var record = state.batches[id] else { throw .noBatch(id) }
            guard !record.status.isOver, record.status != .finalizing else {
                throw ServedError(
                    status: .badRequest, "the batch is \(record.status.rawValue) and cannot be cancelled any more")
            }
            let running = state.running?.id == id ? state.running : nil
            record.enter(.cancelling, at: now)
            // Nothing was begun that has to be ended.
            if running == nil, record.counts.total == 0 { record.enter(.cancelled, at: now) }
            try withDisk { () throws(LeafError) in try write(record.line, recordOf: id) }
            state.batches[id] = record
            return (record, running)
        }
        running?.cancellation.cancel()
        wake()
        return record.told(waitsFor: nil)
    }

    /// What there is, once what has waited too long has ended.
    private func lookInTime<Value>(_ body: (State) -> Value) -> Value {
        let (value, hasEnded) = look { state in
            let hasEnded = expire(&state)
            return (body(state), hasEnded)
        }
        // Of what ends, files may have to be made.
        if hasEnded { wake() }
        return value
    }

    /// Ends what has waited until its time was over: at once, where nothing was begun of it; otherwise when the files
    /// of what it has are made.
    ///
    /// - Returns: whether there was any.
    @discardableResult
    private func expire(_ state: inout State) -> Bool {
        let now = now()
        let over = state.waiting.filter { $0.expires <= now }
        for var record in over {
            if record.counts.total == 0 {
                record.enter(.expired, at: now)
            } else {
                record.finalize(as: .expired, at: now)
            }
            state.batches[record.id] = record
            // What is not on the disk is found out anew by the next server.
            try? write(record.line, recordOf: record.id)
        }
        return !over.isEmpty
    }

    /// When the time of something that waits is over, on the monotonic clock. That of the day may be set meanwhile, so
    /// it is looked at now and then.
    private func nextExpiry(_ state: State) -> UInt64? {
        guard let soonest = state.waiting.map(\.expires).min() else { return nil }
        let seconds = min(max(1, soonest - now()), Self.longestWait)
        return DispatchTime.now().uptimeNanoseconds + UInt64(seconds) * 1_000_000_000
    }

    private static let longestWait = 60

    // MARK: Running

    /// Waits for the batch whose turn it is; nil once no more is to be done.
    ///
    /// - Parameter cancellation: of its run.
    package func nextBatch(_ cancellation: Cancellation) -> BatchRecord? {
        wait { state -> BatchRecord?? in
            guard !state.isStopped else { return .some(nil) }
            expire(&state)
            let able = state.unfinished.filter { !state.setAside.contains($0.id) && !$0.hasOnlyToEnd }
            guard let next = able.min(by: { $0.number < $1.number }) else { return nil }
            state.running = Running(id: next.id, cancellation: cancellation)
            return next
        }
    }

    /// No batch runs any more.
    package func endRun() {
        look { state in
            state.running = nil
            state.answerBytes = 0
        }
        wake()
    }

    /// Waits for a batch that has only to be ended, which waits for none that runs; nil once no more is to be done.
    /// Ends meanwhile what has waited too long.
    package func nextEnd() -> BatchRecord? {
        wait(lookingAt: nextExpiry) { state -> BatchRecord?? in
            guard !state.isStopped else { return .some(nil) }
            expire(&state)
            let ends = state.unfinished.filter { $0.hasOnlyToEnd && $0.id != state.running?.id }
            guard let next = ends.min(by: { $0.number < $1.number }) else { return nil }
            return next
        }
    }

    /// Begins no further batch.
    package func stopBatches() {
        look { $0.isStopped = true }
        wake()
    }

    /// Changes what is kept of a batch, on the disk too if that is possible.
    func change(_ id: String, _ body: (inout BatchRecord) -> Void) -> BatchRecord? {
        look { state in
            guard var record = state.batches[id] else { return nil }
            body(&record)
            state.batches[id] = record
            // What is not on the disk is found out anew by the next server.
            try? write(record.line, recordOf: id)
            return record
        }
    }

    /// Changes what is kept of a batch once that is on the disk, and waits until it can be: what clients are told of
    /// an end stays true, whatever happens to the server.
    ///
    /// - Returns: nil if nothing has changed when no batch goes on any more.
    package func settle(_ id: String, _ body: (inout BatchRecord) -> Void) -> BatchRecord? {
        while true {
            let settled: BatchRecord? = look { state in
                guard var record = state.batches[id] else { return nil }
                body(&record)
                guard (try? write(record.line, recordOf: id)) != nil else { return nil }
                state.batches[id] = record
                return record
            }
            if let settled {
                goesOn(id)
                return settled
            }
            lacksRoom(id)
            guard pause() else { return nil }
        }
    }

    /// Waits until the disk takes something again, or no batch goes on any more.
    package func waitForRoom(_ id: String) {
        lacksRoom(id)
        while pause(), !look({ _ in hasRoom(id) }) {}
    }

    /// Tells the server's owner once that a batch waits, however often it tries.
    private func lacksRoom(_ id: String) {
        let isNew = look { state in
            state.withoutRoom.insert(id).inserted
        }
        if isNew { warn("\(id) waits until the folder \(folder) takes files again; make room on its disk") }
    }

    private func goesOn(_ id: String) { look { _ = $0.withoutRoom.remove(id) } }

    /// Tries it: a quota shows in no number of free bytes.
    private func hasRoom(_ id: String) -> Bool {
        let probe = [UInt8](repeating: 0, count: 64 << 10)
        do throws(LeafError) {
            let part = try OutputFile.unfinished(path(id) + ".json", calls: calls)
            let written = Result { () throws(LeafError) in
                try part.write(probe, at: 0)
                try part.synchronize()
            }
            try FilePath.remove(part.path)
            return (try? written.get()) != nil
        } catch {
            return false
        }
    }

    /// Notes how far a run is.
    func note(_ counts: BatchRecord.Counts, of id: String) {
        let before = look { state in
            defer { state.batches[id]?.counts = counts }
            return state.batches[id]?.counts.done
        }
        if let before, counts.done > before { goesOn(id) }
    }

    /// What a batch has, by its files, and what is known of it beside them.
    func countAnswers(of batch: BatchRecord) -> BatchRecord.Counts {
        Self.countAnswers(of: look { $0.batches[batch.id] ?? batch }, in: folder)
    }

    /// Counts what answers a batch has. What a server that was killed has kept of that is older.
    static func countAnswers(of batch: BatchRecord, in folder: String) -> BatchRecord.Counts {
        var counts = batch.counts
        guard let found = try? AnswerLog.count(of: jobPaths(folder + "/" + batch.id + answersEnding)) else {
            return counts
        }
        (counts.completed, counts.failed) = found
        counts.total = max(counts.total, counts.done)
        return counts
    }

    /// Takes room for the answers of the batch that runs, before they are written.
    ///
    /// - Parameter bytes: of all its answers.
    /// - Throws: `.io` where the files may not take so much.
    package func reserve(answers bytes: Int) throws(LeafError) {
        let hasRoom = look { state in
            guard state.byteCount - state.answerBytes +| bytes <= limits.bytes else { return false }
            state.answerBytes = bytes
            return true
        }
        guard hasRoom else {
            throw LeafError(
                .io, "the answers would take more than the files may; delete some files and create the batch again")
        }
    }

    /// Lets batches wait that have answers, and were begun with what gives other ones. Those without answers are begun
    /// anew.
    ///
    /// - Parameter origin: what decides every answer beside its request.
    /// - Returns: a sentence for each of them.
    package func setAside(unless origin: [(name: String, value: String)]) throws(LeafError) -> [String] {
        var sentences: [String] = []
        for batch in look({ $0.unfinished }).sorted(by: { $0.number < $1.number }) where batch.outcome == nil {
            let difference = try BatchJob.difference(from: origin, of: answersPath(batch.id))
            guard let difference else { continue }
            guard countAnswers(of: batch).done > 0 else {
                clear(batch.id)
                continue
            }
            look { _ = $0.setAside.insert(batch.id) }
            sentences.append(
                "\(batch.id) was begun with \(difference), and waits; start the server as it was begun to go on with "
                    + "it, or cancel it")
        }
        return sentences
    }

    /// Where a batch's answers are while they come.
    func answersPath(_ id: String) -> String { path(id) + Self.answersEnding }

    private static let answersEnding = ".answers"

    private static func jobPaths(_ answers: String) -> AnswerLog.Paths {
        AnswerLog.Paths(answers: answers, job: answers + ".job")
    }

    /// Makes the files of a batch that ends, and does only what was not done where it was killed before.
    func makeFiles(of batch: BatchRecord) throws(LeafError) {
        let answers = answersPath(batch.id)
        if batch.counts.failed > 0 { try makeFile(of: batch, areFailures: true) }
        guard batch.counts.completed > 0 else { return }
        // Where all of them are wanted, they need no room twice.
        if batch.counts.failed == 0, !FilePath.exists(path(batch.output)) {
            try FilePath.rename(answers, to: path(batch.output))
        }
        try makeFile(of: batch, areFailures: false)
    }

    /// Where there is no room to sort them, all answers are one file.
    func keepAnswers(of batch: BatchRecord) {
        guard batch.counts.completed > 0, !FilePath.exists(path(batch.output)) else { return }
        try? FilePath.rename(answersPath(batch.id), to: path(batch.output))
        try? makeFile(of: batch, areFailures: false)
    }

    private func makeFile(of batch: BatchRecord, areFailures: Bool) throws(LeafError) {
        let id = areFailures ? batch.errors : batch.output
        if !FilePath.exists(path(id)) {
            let paths = Self.jobPaths(answersPath(batch.id))
            try OutputFile.replace(path(id), calls: calls) { file throws(LeafError) in
                try AnswerLog.copy(areFailures: areFailures, of: paths, to: file)
            }
        }
        var record = FileRecord(
            id: id, owner: batch.owner, name: batch.id + (areFailures ? "_errors.jsonl" : "_output.jsonl"),
            purpose: .batchOutput, byteCount: try InputFile(path: path(id)).byteCount,
            created: now())
        record.number = look { $0.number() }
        try write(record.line, recordOf: id)
        look { [record] in $0.files[id] = record }
    }

    /// Which of a batch's files there are. Of others the bytes go.
    func filesMade(of batch: BatchRecord) -> [String] {
        let ids = [batch.output, batch.errors]
        let made = look { state in ids.filter { state.files[$0] != nil } }
        for id in ids where !made.contains(id) { try? remove(id) }
        return made
    }

    /// Takes away what a batch that is over has left.
    func clear(_ id: String) {
        // The notes last: they say what the answers are.
        for ending in ["", ".job.ids", ".job"] { try? FilePath.remove(answersPath(id) + ending) }
    }
}

extension FileStore.State {
    /// Those that end when their time is over: neither running nor about to end.
    fileprivate var waiting: [BatchRecord] { unfinished.filter { !$0.hasOnlyToEnd && $0.id != running?.id } }

    /// What keeps a batch waiting, beside its turn.
    fileprivate func obstacle(to batch: BatchRecord) -> BatchRecord.Obstacle? {
        guard !batch.status.isOver else { return nil }
        if withoutRoom.contains(batch.id) { return .room }
        return setAside.contains(batch.id) && !batch.hasOnlyToEnd ? .options : nil
    }
}
