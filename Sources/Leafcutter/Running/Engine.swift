import CPMAnt
import CPMAntShape
package import LeafExecutor
import LeafFormat
package import LeafGeneration
package import LeafStream
package import LeafSystem
import LeafTokenizer
import Synchronization

/// Owns the store, the compute threads, the model and its scheduler. Only its queue, a thread of its own, touches them.
package final class Engine: @unchecked Sendable {
    package let store: BlockStore
    /// Not a thread of Swift's cooperative pool, because a sweep blocks for seconds.
    package let queue: SerialThread
    /// Who wants the sweep under way.
    package let interest: SweepInterest
    private let pool: ComputePool
    private let model: Executor
    /// What drafting has come to.
    package let drafts: SpeculationCounters
    private let scheduler: Scheduler
    /// Whether the next sweep is on the queue.
    private var isSweepQueued = false
    /// Requests that have not finished, and how many there may be.
    private let open = Atomic<Int>(0)
    private let requestLimit: Int
    /// Gives memory back when other programs need it; nil if the caller chose the budget.
    private let pressureWatch: PressureWatch?

    /// - Parameter system: the calls that reading and threads make.
    init(_ settings: Settings, _ plan: MemoryPlan, system: SystemCalls = .real) throws(LeafError) {
        let file = settings.file.leaf
        if let mirror = settings.reading.mirror { try Self.check(mirror: mirror, of: file) }
        let store = try BlockStore(
            file: file, plan: plan, reading: settings.reading, consumers: settings.executor.threads, system: system,
            trace: settings.trace)
        self.store = store
        queue = try SerialThread(system: system)
        requestLimit = settings.requestLimit
        drafts = SpeculationCounters(onFailure: settings.onDraftFailure)
        interest = SweepInterest(
            interrupt: { store.interrupt() }, resume: { store.resume() })
        pool = try ComputePool(
            threadCount: settings.executor.threads, kernels: Kernels(settings.instructionSet), system: system)
        do {
            model = try CPMAnt.executor(
                of: settings.file.ant, store: store, pool: pool, settings.executor, trace: settings.trace)
            scheduler = try Scheduler(
                model: model, queue: queue, interest: interest, capacity: settings.executor.capacity,
                speculation: try Self.speculation(settings, for: model, pool, drafts, system))
            pressureWatch =
                if let reserve = settings.reserveBytes {
                    try PressureWatch(store, reserveBytes: reserve)
                } else { nil }
        } catch {
            pool.stop()
            throw error
        }
    }

    deinit { pool.stop() }

    /// What drafts for the model; nil where nothing does.
    private static func speculation(
        _ settings: Settings, for model: Executor, _ pool: ComputePool, _ counters: SpeculationCounters,
        _ system: SystemCalls
    ) throws(LeafError) -> Speculation? {
        let drafting = settings.drafting
        switch drafting.source {
        case .none: return nil
        case .ngrams(let limit, _, let shared):
            return Speculation(
                NgramDrafts(limit: limit, corpus: settings.file.draftCorpus, sharedTokens: shared),
                fixedCount: drafting.fixedCount, counters: counters)
        case .other(let make): return Speculation(make(), fixedCount: drafting.fixedCount, counters: counters)
        case .model(let draft):
            let executor = try draft.executor(
                beside: model, pool, settings.reading, system: system)
            return Speculation(
                ModelDrafts(executor, draft.file.configuration, sharesCache: draft.sharesCache, mostTexts: draft.texts),
                fixedCount: drafting.fixedCount, counters: counters)
        }
    }

    /// - Throws: `.usage` for a file that is no second copy of the model, `.io` and `.badInput` if it cannot be read.
    private static func check(mirror: String, of file: LeafFile) throws(LeafError) {
        guard try CPMAntFile.open(path: mirror).leaf.isCopy(of: file) else {
            throw LeafError(.usage, "\(mirror) is not a copy of \(file.path); copy the model there again")
        }
        let same = FilePath.identity(of: mirror, followsLinks: true)
        guard same == nil || same != FilePath.identity(of: file.path, followsLinks: true) else {
            throw LeafError(
                .usage, "the mirror \(mirror) is the model itself; copy the model to another drive, or use no mirror")
        }
    }
    /// The rows of all requests' sweeps, each by how far it came. On the queue alone.
    var rowPasses: Double { scheduler.rowPasses }

    /// Whether no request is under way.
    package var isIdle: Bool { open.load(ordering: .acquiring) == 0 }

    /// Runs `body` with the model on the engine's queue, between two sweeps, and waits. Not from the queue itself.
    package func perform<Value>(_ body: (Executor) throws(LeafError) -> Value) throws(LeafError) -> Value {
        let outcome: Result<Value, LeafError> = queue.sync {
            Result { () throws(LeafError) in try body(model) }
        }
        return try outcome.get()
    }

    /// One sweep for somebody who is on the engine's queue already; cancelling breaks it off.
    func sweep(_ batch: RowBatch, for cancellation: Cancellation) throws(LeafError) {
        precondition(queue.isCurrent)
        let watch = cancellation.watch { [interest] in interest.review() }
        defer { cancellation.unwatch(watch) }
        try interest.whileWanted(by: CollectionOfOne(cancellation)) { () throws(LeafError) in
            try model.forward(batch, isCancelled: { cancellation.isCancelled }) { _, _ in }
        }
    }

    /// Makes tracks on the engine's queue, where they live.
    package typealias TrackMaker = @Sendable () -> [any Track]

    /// Takes a request that makes sense. It begins when what is returned is added.
    ///
    /// - Parameters:
    ///   - cancellation: the request's own.
    ///   - tell: called on the engine's queue; it should return soon.
    /// - Throws: `.busy` when as many requests are under way as may be.
    func take<Request: ModelRequest>(
        _ request: Request, for file: ModelFile, _ cancellation: Cancellation,
        tell: @escaping @Sendable (Request.Event) -> Void
    ) throws(LeafError) -> TrackMaker {
        guard open.add(1, ordering: .acquiringAndReleasing).newValue <= requestLimit else {
            open.subtract(1, ordering: .acquiringAndReleasing)
            throw LeafError(
                .busy, "no more than \(requestLimit.of("request")) may be under way; ask again when one has finished")
        }
        _ = cancellation.watch { [interest] in interest.review() }
        let context = RequestContext<Request.Answer>(
            configuration: file.configuration, vocabulary: file.tokenizer?.vocabulary, cancellation: cancellation,
            add: { [unowned self] in add([$0]) },
            tell: { [unowned self] event in
                if case .finished = event { open.subtract(1, ordering: .acquiringAndReleasing) }
                tell(event)
            })
        let work = request.work
        return { work.begin(context) }
    }

    /// Adds all tracks before the next sweep. A track starts as soon as there is capacity for it.
    package func add(_ makers: [TrackMaker]) {
        queue.async { [self] in
            for make in makers { for track in make() { scheduler.add(track) } }
            queueSweep()
        }
    }

    /// Queues one sweep as one item of work, so that other work on the queue runs between sweeps.
    private func queueSweep() {
        guard scheduler.hasWork, !isSweepQueued else { return }
        isSweepQueued = true
        queue.async { [self] in
            isSweepQueued = false
            scheduler.sweep()
            queueSweep()
        }
    }
}
