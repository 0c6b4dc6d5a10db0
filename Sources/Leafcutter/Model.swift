public import CPMAnt
import Dispatch
public import LeafFormat
public import LeafGeneration
public import LeafStream
public import LeafTokenizer

/// A CPM-Ant model that is ready to run inside its memory budget.
///
///     let model = try Model(path: "cpm-ant-10b.leaf", memory: .gibibytes(2))
///     for try await piece in model.generate("《登鹳雀楼》王之涣\n") { print(piece.text, terminator: "") }
///
/// Everything is planned and allocated when the model is opened. Calls may come from any thread; generations ride
/// together on the sweeps of a thread of the model's own.
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
        try self.init(ModelFile(path: path, memory: options.memory), options)
    }

    /// Opens a model whose header and tokenizer have been read already.
    public init(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) {
        let settings = try Settings(file, options)
        self.file = file
        self.settings = settings
        plan = try settings.plan()
        instructionSet = settings.instructionSet
        threads = settings.capacity.threads
        engine = try Engine(file.leaf, settings, plan)
    }

    /// The memory plan that `init` would carry out. Allocates nothing.
    /// - Throws: `.budget` naming the smallest budget that works, `.usage`.
    public static func plan(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> MemoryPlan {
        try Settings(file, options).plan()
    }

    /// How weights are read; never `auto`.
    public var io: IOMode { engine.store.mode }
    public var tokenizer: Tokenizer? { file.tokenizer }
    public var counters: Counters { engine.store.counters }

    /// How much of the model is meant to stay in memory, beyond what has to: at most what the plan gave. It may be changed
    /// at any time, from any thread, and takes effect between layers; the results stay the same.
    public var pinnedBytes: Int {
        get { engine.store.wantedPinnedBytes }
        set { engine.store.want(pinnedBytes: newValue) }
    }

    /// What one sweep reads from the disk as things are now.
    public var streamedBytesPerSweep: Int { engine.store.streamedBytesPerSweep }

    /// The logits of whole texts, each in one sweep.
    ///
    /// - Parameters:
    ///   - lastOnly: the last row of each case instead of all rows after the soft prompt.
    ///   - body: is handed the case's place, the row, and `[vocabSize]` logits.
    /// - Throws: `.usage` for cases that make no sense, and whatever `body` throws.
    public func logits(
        of cases: [LogitsCase], lastOnly: Bool = false,
        _ body: (_ place: Int, _ row: Int, _ logits: UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        let tuning = { [file] (task: Int) in file.tunings.unnamed(task: task, for: file.configuration) }
        try engine.perform { model throws(LeafError) in
            for (place, logitsCase) in cases.enumerated() {
                let sequence = model.cache.makeSequence()
                defer { model.cache.remove(sequence) }
                let rows = try logitsCase.rows(
                    of: sequence, in: model.configuration, lastOnly: lastOnly, tuning: tuning)
                try model.forward(RowBatch(rows: rows)) { row, logits throws(LeafError) in try body(place, row, logits)
                }
            }
        }
    }
}
