import Dispatch
public import LeafExecutor
import LeafGeneration
public import LeafStream
public import LeafSystem
public import LeafTokenizer

/// A CPM-Ant model that is ready to run inside its memory budget.
///
///     let model = try Model(path: "cpm-ant-10b.leaf", memory: .gibibytes(2))
///     for try await piece in model.generate("《登鹳雀楼》王之涣\n") { print(piece.text, terminator: "") }
///
/// All memory is planned and allocated when the model is opened. Any thread may call it; generations share the sweeps
/// of the model's own thread.
public final class Model: Sendable {
    public let file: ModelFile
    public let plan: MemoryPlan
    public let instructionSet: InstructionSet
    public let threads: Int
    package let engine: Engine
    let settings: Settings

    /// Opens a model for texts of up to `options.capacity`.
    /// - Throws: `.budget` naming the smallest budget that works, `.usage`, `.io`, `.badInput`.
    public convenience init(
        path: String, memory: MemoryBudget = .automatic, options: ModelOptions = ModelOptions()
    ) throws(LeafError) {
        var options = options
        options.memory = memory
        try self.init(ModelFile(path: path, toPlanFor: memory), options)
    }

    /// Opens a model whose header and tokenizer have already been read.
    public convenience init(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) {
        try self.init(file, options, system: .real)
    }

    /// - Parameter system: the calls that reading weights makes.
    package init(_ file: ModelFile, _ options: ModelOptions, system: SystemCalls) throws(LeafError) {
        try options.drafts.check(for: file)
        var settings = try Settings(file, options)
        if settings.lacksRates {
            var measured = options
            measured.rates = try MachineRates.glance(at: file, settings, within: settings.plan(), system: system)
            settings = try Settings(file, measured)
        }
        self.file = file
        self.settings = settings
        plan = try settings.plan()
        if let corpus = file.unreadCorpus {
            throw LeafError(.usage, "\(corpus) was to be read within less memory than the model has; give it the same")
        }
        try AddressLimit.check(settings.addressBytes(plan), for: "this model")
        instructionSet = settings.instructionSet
        threads = settings.executor.threads
        engine = try Engine(settings, plan, system: system)
    }

    /// The memory plan that `init` would use on an assumed machine. Allocates nothing.
    ///
    /// Where a model that drafts takes much of the memory, `init` measures this machine first and may divide otherwise.
    /// - Throws: `.budget` naming the smallest budget that works, `.usage`.
    public static func plan(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> MemoryPlan {
        try options.drafts.checkSharing()
        return try Settings(file, options).plan()
    }

    /// How weights are read; never `auto`.
    public var io: IOMode { engine.store.mode }
    public var tokenizer: Tokenizer? { file.tokenizer }
    public var counters: Counters { engine.store.counters }
    /// The most memory that what the budget bounds has taken so far: the whole process, unless whoever opened the model
    /// counts something else.
    package var peakBytes: Int { settings.peak() }
    /// What the model was opened for.
    package var capacity: Demand { settings.executor.capacity }

    /// How many bytes of the model should stay in memory, beyond the minimum; at most what the plan has. Any thread may
    /// change it at any time. A change takes effect between blocks and does not change results.
    public var pinnedBytes: Int {
        get { engine.store.wantedPinnedBytes }
        set { engine.store.want(pinnedBytes: newValue) }
    }

    /// Bytes that one sweep reads from the disk at present.
    public var streamedBytesPerSweep: Int { engine.store.streamedBytesPerSweep }
}
