import CPMAnt
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import LeafTokenizer

/// The options of one file on this machine, with every open choice made.
struct Settings {
    let file: ModelFile
    let budget: Int
    let reading: ReadingOptions
    /// Bytes that an automatic budget leaves to other programs; nil for a given budget.
    let reserveBytes: Int?
    let instructionSet: InstructionSet
    private(set) var executor: ExecutorOptions
    let trace: TraceRecorder?
    let keepsSessions: Bool
    let callerBytes: Int
    let requestLimit: Int
    private(set) var drafting = Drafting.off
    /// Whether the memory was divided for an assumed machine, though it matters how fast this one is.
    var lacksRates = false
    let onDraftFailure: @Sendable (LeafError) -> Void
    let peak: @Sendable () -> Int

    /// Cached positions, rows of a sweep, and sequences that a model may be opened for: products of them and of what a
    /// header may hold fit a number.
    private static let mostPositions = 1 << 24
    private static let mostSequences = 1 << 20
    private static let requestLimits = 1...1_000_000

    init(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) {
        self.file = file
        reading = options.reading
        if let rate = reading.maxBytesPerSecond, rate <= 0 {
            throw LeafError(.usage, "a reading rate of \(rate) bytes a second reads nothing; give more")
        }
        trace = options.trace
        peak = options.peak
        keepsSessions = options.keepsSessions
        callerBytes = max(0, options.callerBytes)
        onDraftFailure = options.drafts.onFailure
        instructionSet =
            if let wanted = options.instructionSet { wanted } else {
                try InstructionSet(named: Environment.instructionSet)
            }
        switch options.memory {
        case .automatic:
            let machine = Machine.current()
            budget = machine.defaultBudget
            reserveBytes = machine.reserveBytes
        case .bytes(let bytes):
            budget = bytes
            reserveBytes = nil
        }
        let threads = options.threads ?? Machine.current().cores
        try Machine.check(threads: threads)
        requestLimit = options.requestLimit
        guard Self.requestLimits.contains(requestLimit) else {
            throw LeafError(
                .usage,
                "a limit of \(requestLimit) requests is not between 1 and \(Self.requestLimits.upperBound)")
        }
        try Self.check(options.capacity)
        executor = ExecutorOptions(
            capacity: options.capacity, threads: threads, activations: options.activations,
            kv: options.kv ?? (file.leaf.weights.isQuantized ? .f16 : .f32), tuning: file.tuning(instructionSet))
        executor.observer = options.observer
        try choose(Drafting(options.drafts, for: file, executor), options)
    }

    /// Drafts that nobody asked for take no more than this part of what is pinned.
    private static let automaticShare = 50

    /// Lets something draft if the plan has room for it: drafts never ask for a larger budget.
    private mutating func choose(_ drafting: Drafting, _ given: ModelOptions) throws(LeafError) {
        let options = given.drafts
        if case .none = drafting.source {
            self.drafting = drafting
            return
        }
        // What does not even fit without drafts is refused by the plan.
        guard let plain = try fitting() else { return }
        let drafted = with(drafting)
        guard let plan = try drafted.fitting() else {
            self = try withoutRoom(for: drafting, given)
            return
        }
        if options.isAutomatic,
            (plan.reserved.total - plain.reserved.total) *| Self.automaticShare > plain.pinnedBytes
        {
            self.drafting = drafting.left("n-grams would take more than a fiftieth of the memory of the weights")
        } else if options.isAutomatic {
            self = drafted
        } else {
            self = try divided(for: drafting, plain, whole: plan, given)
        }
    }

    /// The same with something else that drafts, or nothing.
    func with(_ drafting: Drafting) -> Settings {
        var settings = self
        settings.drafting = drafting
        settings.executor.drafts = drafting.room
        return settings
    }

    /// The plan; nil where the budget is too small.
    func fitting() throws(LeafError) -> MemoryPlan? {
        do throws(LeafError) {
            return try plan(budget)
        } catch {
            guard error.kind == .budget else { throw error }
            return nil
        }
    }

    /// - Throws: `.usage` for numbers that make no sense, `.budget` for those that no plan can hold.
    private static func check(_ capacity: Demand) throws(LeafError) {
        guard capacity.longest > 0 else {
            throw LeafError(.usage, "a context of \(capacity.longest) tokens makes no sense; give at least 1")
        }
        for (count, least, most, what) in [
            (capacity.longest, 1, mostPositions, "tokens of context"),
            (capacity.rows, 1, mostPositions, "rows on a sweep"),
            (capacity.logitRows, 0, mostPositions, "rows of logits"),
            (capacity.sequences, 1, mostSequences, "sequences"),
            (capacity.pages, 1, mostPositions / Demand.pageKeys + mostSequences, "pages of the KV cache"),
            (capacity.heapBytes, 0, .max, "bytes of answers under way"),
        ] {
            guard count >= least else {
                throw LeafError(.usage, "a model cannot be opened for \(count) \(what); give at least \(least)")
            }
            guard count <= most else {
                throw LeafError(.budget, "\(count) \(what) are more than the \(most) that a model can be opened for")
            }
        }
    }

    /// - Throws: `.budget` with the smallest budget that works, and with what the budget would be enough for.
    func plan() throws(LeafError) -> MemoryPlan {
        do throws(LeafError) {
            let plan = try plan(budget)
            // Who left the budget to the program did not choose more than a limit on addresses allows.
            guard reserveBytes != nil, let room = AddressLimit.room() else { return plan }
            let excess = max(0, try addressBytes(plan) - room)
            return excess == 0 ? plan : try self.plan(max(plan.minimum, plan.total - excess))
        } catch {
            // Where no memory would do, nothing is said of the one that was given.
            guard error.kind == .budget, let advice = error.advice else { throw error }
            throw LeafError(.budget, "\(error.description)\(try whatFits())", advice: advice)
        }
    }

    /// Addresses that are mapped after the plan is made, those of a second file among them.
    func addressBytes(_ plan: MemoryPlan) throws(LeafError) -> Int {
        plan.addressBytes(threads: executor.threads) +| (try drafting.readingAddressBytes())
    }

    private func whatFits() throws(LeafError) -> String {
        if let longest = try longestContext() {
            return ", which is enough for \(executor.capacity.stretched(to: longest).contents)"
        }
        guard let least = try with(executor.capacity.stretched(to: 1)).minimum() else { return "" }
        return ", and a single token needs \(least.roundedUpText)"
    }

    /// The longest context whose plan fits the budget, everything else of the capacity in proportion; nil if none does.
    ///
    /// Bisection finds it: more context never needs less memory.
    func longestContext() throws(LeafError) -> Int? {
        func fits(_ context: Int) throws(LeafError) -> Bool {
            try with(executor.capacity.stretched(to: context)).minimum().map { $0 <= budget } ?? false
        }
        var longest = 0
        var tooLong = Self.mostPositions + 1
        while tooLong - longest > 1 {
            let middle = (longest + tooLong) / 2
            if try fits(middle) { longest = middle } else { tooLong = middle }
        }
        return longest > 0 ? longest : nil
    }

    /// The smallest budget that works; nil where no plan can hold the capacity.
    func minimum() throws(LeafError) -> Int? { try unlimited()?.minimum }

    /// The plan of a memory without end; nil where no plan can hold the capacity.
    func unlimited() throws(LeafError) -> MemoryPlan? {
        do throws(LeafError) {
            try Self.check(executor.capacity)
            return try plan(.max)
        } catch {
            guard error.kind == .budget else { throw error }
            return nil
        }
    }

    /// The same without drafts, which no refusal depends on.
    private func with(_ capacity: Demand) -> Settings {
        var settings = self
        settings.drafting = .off
        settings.executor.drafts = .none
        settings.executor.capacity = capacity
        return settings
    }

    private func plan(_ budget: Int) throws(LeafError) -> MemoryPlan {
        let tokenizerBytes = file.tokenizer?.byteCount ?? 0
        let sessionBytes =
            SessionWriter.bufferBytes +| SessionHead.comparedBytes(promptIDs: executor.capacity.longest)
        let contents = executor.capacity.contents + (file.unreadCorpus.map { " and \($0)" } ?? "")
        return try MemoryPlan(
            budget: budget, isGiven: reserveBytes == nil, atLeast: file.allowance.peak, for: contents,
            chunks: file.leaf.chunks, lending: drafting.lentChunks,
            reserved: CPMAnt.parts(file.ant, executor) + drafting.parts() + [
                MemoryPlan.Part(.runtime, MemoryPlan.runtimeBytes),
                MemoryPlan.Part(.tables, file.allowance.held - MemoryPlan.runtimeBytes - tokenizerBytes),
                MemoryPlan.Part(.tokenizer, tokenizerBytes),
                MemoryPlan.Part(.scratch, Scheduler.byteCount(executor.room)),
                MemoryPlan.Part(.sampling, SamplingWorkspace.byteCount(file.configuration)),
                MemoryPlan.Part(.trace, trace == nil ? 0 : TraceRecorder.byteCount),
                MemoryPlan.Part(.sessions, keepsSessions ? sessionBytes : 0),
                MemoryPlan.Part(.requests, callerBytes +| executor.capacity.heapBytes),
            ])
    }
}
