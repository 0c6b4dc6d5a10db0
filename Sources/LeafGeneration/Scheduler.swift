package import LeafExecutor
import LeafFormat
package import LeafSystem

/// Runs any number of tracks on shared sweeps. New tracks join at the next sweep and finished ones leave. A sweep can
/// have the prompt of one track and steps of other tracks.
///
/// Tracks join in the order in which they came. One that does not fit beside those under way waits, and those behind
/// it wait too, so that none starves. Everything happens on the engine's queue.
package final class Scheduler {
    private let model: Executor
    private let queue: SerialThread
    private let interest: SweepInterest
    /// What tracks may demand together; the model has room for drafts beside.
    private let capacity: Demand
    private let speculation: Speculation?
    private var workspace: SamplingWorkspace
    private var waiting: [any Track] = []
    private var active: [any Track] = []
    private var batch = RowBatch()
    /// For each row of the sweep that wants an output, those with logits first: its track, and the row's number among
    /// that track's outputs.
    private var owners: [(track: Int, index: Int)] = []
    /// The same for rows without logits, while they are collected.
    private var otherOwners: [(track: Int, index: Int)] = []
    /// The errors that ended tracks during this sweep, by their indices in `active`.
    private var failures: [Int: LeafError] = [:]
    /// Blocks that the sweep under way has begun.
    private var blocksBegun = 0
    /// The rows of all sweeps, each by the share of the blocks that it passed.
    package private(set) var rowPasses = 0.0
    /// Rows of the next sweep that no track has asked for.
    private var draftRoom = 0
    /// When tracks last reported their progress.
    private var lastReport = ContinuousClock.now
    /// The least time between two reports.
    private static let reportInterval = Duration.milliseconds(100)

    /// - Parameters:
    ///   - queue: the one on which everything else here is called.
    ///   - interest: learns who wants each sweep.
    ///   - capacity: what tracks may demand together; nil for all that the model has room for.
    ///   - speculation: drafts in the room that is left; nil for none.
    /// - Throws: `.budget` if the system refuses the memory for a few rows.
    package init(
        model: Executor, queue: SerialThread, interest: SweepInterest, capacity: Demand? = nil,
        speculation: Speculation? = nil
    ) throws(LeafError) {
        self.model = model
        self.queue = queue
        self.interest = interest
        self.capacity = capacity ?? model.capacity
        self.speculation = speculation
        workspace = try SamplingWorkspace(
            vocabSize: model.facts.vocabSize, softPromptRows: model.facts.softPromptRows, kernels: model.kernels)
        batch.rows.reserveCapacity(model.capacity.rows)
        owners.reserveCapacity(model.capacity.rows)
        otherOwners.reserveCapacity(model.capacity.rows)
    }

    /// Bytes of the lists of a sweep's rows, for the memory plan.
    package static func byteCount(_ capacity: Demand) -> Int {
        capacity.rows *| (MemoryLayout<RowBatch.Row>.stride + 2 * MemoryLayout<(track: Int, index: Int)>.stride)
    }

    package var hasWork: Bool { !waiting.isEmpty || !active.isEmpty }

    /// Adds a track, which joins as soon as there is capacity. A track that can never fit ends at once with the reason.
    package func add(_ track: any Track) {
        precondition(queue.isCurrent)
        if let reason = track.demand.refusal(by: capacity) {
            track.end(reason, model)
        } else {
            waiting.append(track)
        }
    }

    /// Runs one sweep with the rows of all active tracks, if there are any.
    package func sweep() {
        precondition(queue.isCurrent)
        letGo()
        admit()
        ride()
    }

    /// Ends the tracks that were cancelled.
    private func letGo() {
        leave(&active)
        leave(&waiting)
    }

    private func leave(_ tracks: inout [any Track]) {
        tracks.removeAll { track in
            guard track.isCancelled else { return false }
            track.end(nil, model)
            return true
        }
    }

    private func admit() {
        var taken = active.reduce(.nothing) { $0 + $1.demand.underWay }
        var admitted = 0
        for track in waiting {
            let together = taken + track.demand
            guard together.fits(in: capacity) else { break }
            taken = together
            admitted += 1
        }
        draftRoom = max(0, min(model.capacity.rows - taken.rows, model.capacity.logitRows - taken.logitRows))
        active += waiting[..<admitted].filter(begins)
        waiting.removeFirst(admitted)
    }

    /// Begins a new track. Returns whether it wants a sweep; otherwise it has ended.
    private func begins(_ track: any Track) -> Bool {
        var failure: LeafError?
        do throws(LeafError) {
            try track.begin(model)
            guard track.isFinished else { return true }
        } catch {
            failure = error
        }
        track.end(failure, model)
        return false
    }

    private func ride() {
        guard !active.isEmpty else { return }
        let texts = propose()
        collectRows()
        let began = ContinuousClock.now
        do throws(LeafError) {
            if !batch.rows.isEmpty { try pass() }
        } catch {
            let reason = error.kind == .cancelled ? nil : error
            for track in active { track.end(reason, model) }
            active = []
            return
        }
        speculation?.learn(
            from: texts, seconds: (ContinuousClock.now - began) / .seconds(1), rows: batch.rows.count,
            isStep: !batch.rows.contains { $0.isContext })
        for (index, track) in active.enumerated() {
            if let failure = failures[index] {
                track.end(failure, model)
            } else {
                track.endSweep(model)
                if track.isFinished { track.end(nil, model) }
            }
        }
        active = active.enumerated().filter { failures[$0] == nil && !$1.isFinished }.map(\.element)
    }

    /// Lets texts have drafts in the rows that are left.
    private func propose() -> [any DraftedText] {
        guard let speculation else { return [] }
        let texts = active.flatMap(\.drafted)
        guard !texts.isEmpty else { return [] }
        model.tracingDrafts {
            speculation.propose(
                for: texts, rows: draftRoom, model.draftRoom, workspace: &workspace,
                isCancelled: { active.allSatisfy(\.isCancelled) })
            return texts.reduce(0) { $0 + $1.drafts.count }
        }
        return texts
    }

    /// A sweep takes seconds, so it is abandoned once no track wants it any more, but not before.
    private func pass() throws(LeafError) {
        blocksBegun = 0
        var isWhole = false
        defer {
            // Of a sweep that was broken off, the block that it was in does not count.
            let blocks = isWhole ? model.file.blocks.count : max(0, blocksBegun - 1)
            rowPasses += Double(batch.rows.count) * Double(blocks) / Double(max(1, model.file.blocks.count))
        }
        try interest.whileWanted(by: active.lazy.map(\.cancellation)) { () throws(LeafError) in
            try model.forward(
                batch, isCancelled: { isUnwanted() },
                logits: { row, logits throws(LeafError) in
                    accept(LogitsRow(model: model, number: row, logits: logits), owners[row])
                })
        }
        isWhole = true
    }

    /// Called before each block.
    private func isUnwanted() -> Bool {
        if active.allSatisfy(\.isCancelled) { return true }
        leave(&waiting)
        let blocks = model.file.blocks
        let now = ContinuousClock.now
        if now - lastReport >= Self.reportInterval {
            lastReport = now
            let progress = SweepProgress(
                chunksDone: blocks[blocksBegun].chunks.lowerBound, chunkCount: model.file.chunks.count,
                rows: batch.rows.count)
            for track in active { track.tell(progress) }
            for track in waiting { track.tell(progress) }
        }
        blocksBegun += 1
        return false
    }

    /// Asks each track for its rows. What the model cannot compute ends the track that wants it, and no other.
    private func collectRows() {
        batch.rows.removeAll(keepingCapacity: true)
        owners.removeAll(keepingCapacity: true)
        otherOwners.removeAll(keepingCapacity: true)
        failures.removeAll(keepingCapacity: true)
        for (track, rider) in active.enumerated() {
            let first = batch.rows.count
            do throws(LeafError) {
                try rider.addRows(to: &batch, model)
                try model.check(batch.rows[first...])
            } catch {
                batch.rows.removeSubrange(first...)
                failures[track] = error
            }
            var index = 0
            for row in batch.rows[first...] where row.wantsOutput {
                if row.wantsLogits { owners.append((track, index)) } else { otherOwners.append((track, index)) }
                index += 1
            }
        }
        owners += otherOwners
    }

    private func accept(_ row: LogitsRow, _ owner: (track: Int, index: Int)) {
        guard failures[owner.track] == nil else { return }
        do throws(LeafError) {
            try active[owner.track].accept(row, at: owner.index, workspace: &workspace)
        } catch {
            failures[owner.track] = error
        }
    }
}

extension Demand {
    /// The reason why this can never run on a model that was opened for `capacity`, even alone; nil if it can.
    package func refusal(by capacity: Demand) -> LeafError? {
        func refusal(
            _ wanted: Int, _ what: String, _ planned: Int, _ hint: String, _ advice: LeafError.Advice? = nil
        ) -> LeafError? {
            guard wanted > planned else { return nil }
            return LeafError(
                .tooLong, "the request needs \(wanted) \(what), the model was opened for \(planned); \(hint)",
                advice: advice)
        }
        return refusal(
            longest, "tokens of context, soft prompt included", capacity.longest,
            "plan for a longer context or ask for fewer tokens", .context(tokens: longest))
            ?? refusal(
                sequences, "sequences", capacity.sequences, "plan for more texts at the same time",
                .opening("sequences", sequences))
            ?? refusal(rows, "rows on a sweep", capacity.rows, "plan for a longer context", .context(tokens: rows))
            ?? refusal(
                logitRows, "rows of logits", capacity.logitRows, "plan for more of them",
                .opening("logit_rows", logitRows))
            ?? refusal(
                pages, "pages of the KV cache", capacity.pages, "plan for a longer context",
                .context(tokens: pages *| Demand.pageKeys))
            ?? refusal(
                heapBytes, "bytes for its tokens and answers", capacity.heapBytes,
                "plan for this request, or ask for fewer log-probabilities")
    }
}
