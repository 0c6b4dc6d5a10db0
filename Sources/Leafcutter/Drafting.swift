import CPMAnt
import CPMAntShape
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem

/// What drafts for a model, with all that it takes of the memory.
struct Drafting: Sendable {
    enum Source: Sendable {
        case none
        /// For texts of so many tokens, so many of them at once.
        case ngrams(limit: Int, texts: Int)
        case model(DraftModel)
        case other(@Sendable () -> any DraftSource)
    }

    let source: Source
    let fixedCount: Int?
    /// What drafts take of the model's own sweeps and cache.
    let room: DraftRoom
    /// For people: what drafts, or why nothing does.
    let mode: String
    /// Whether something was to draft for which there is no room.
    var isRefused = false

    static let off = Drafting(mode: "off")

    /// Nothing drafts, for this reason.
    init(mode: String, isRefused: Bool = false) {
        (source, fixedCount, room) = (.none, nil, .none)
        (self.mode, self.isRefused) = (mode, isRefused)
    }

    /// Drafts of a text for which there is room where nobody says how many.
    private static let usualCount = 16
    private static let counts = 1...Speculation.mostDrafts
    /// Texts that draft on the same sweep with all their drafts.
    private static let mostTexts = 4

    /// - Parameter executor: the options of the model that is drafted for.
    /// - Throws: `.usage` for a number of drafts that makes no sense, or a model that cannot draft for this one.
    init(_ options: DraftOptions, for file: ModelFile, _ executor: ExecutorOptions) throws(LeafError) {
        if let count = options.fixedCount, !Self.counts.contains(count) {
            throw LeafError(
                .usage, "\(count) drafts are not between \(Self.counts.lowerBound) and \(Self.counts.upperBound)")
        }
        let count = options.fixedCount ?? Self.usualCount
        let texts = max(1, min(executor.capacity.sequences, Self.mostTexts))
        if let make = options.makeSource {
            source = .other(make)
            (fixedCount, mode, room) = (options.fixedCount, "other", Self.room(count, texts))
            return
        }
        switch options.source {
        case .none: self = .off
        // Sums of float weights depend on how many rows there are, and no draft may change a byte.
        case _ where !file.leaf.weights.isQuantized:
            self = Drafting(
                mode: "off: with float weights a draft could change the last bits", isRefused: !options.isAutomatic)
        case .automatic, .ngrams:
            source = .ngrams(limit: executor.capacity.longest, texts: executor.capacity.sequences)
            // Drafts that nobody asked for take no pages.
            room = options.isAutomatic ? DraftRoom(rows: count * texts) : Self.room(count, texts)
            (fixedCount, mode) = (options.fixedCount, "ngram")
        case .model(let draft):
            fixedCount = options.fixedCount
            let model = try DraftModel(draft, for: file, executor, texts: texts)
            source = .model(model)
            mode = draft.leaf.path
            room = Self.room(count, texts, hasForks: model.sharesCache)
        }
    }

    /// Pages of a text for drafts that stand beside others.
    fileprivate static let branchPages = 2

    /// - Parameters:
    ///   - count: drafts of a text.
    ///   - hasForks: whether each text is forked for whoever drafts.
    private static func room(_ count: Int, _ texts: Int, hasForks: Bool = false) -> DraftRoom {
        let forkPages = Demand.pages(holding: Demand.pageKeys - 1 + count) + branchPages
        return DraftRoom(
            rows: count * texts, forkPages: hasForks ? texts * forkPages : 0, sequences: hasForks ? texts : 0,
            branchPages: branchPages, textBranchPages: texts * branchPages)
    }

    /// Whether it is a copy of the model, which helps only where the model itself does not fit.
    var sharesCache: Bool { if case .model(let model) = source { model.sharesCache } else { false } }

    /// - Throws: `.badInput` when the draft lacks a tensor.
    func parts() throws(LeafError) -> [MemoryPlan.Part] {
        switch source {
        case .none, .other: []
        case .ngrams(let limit, let texts):
            [MemoryPlan.Part(.drafts, texts *| NgramDrafts.byteCount(limit: limit))]
        case .model(let model): [MemoryPlan.Part(.drafts, try model.plan().total)]
        }
    }
}

/// A model that drafts for another one: everything of it stays in memory.
struct DraftModel: Sendable {
    let file: ModelFile
    /// Whether it is a copy of the model with other weights: it reads and writes the model's own cache.
    let sharesCache: Bool
    let executor: ExecutorOptions
    /// Texts that draft together.
    let texts: Int

    /// Threads that read a second file, and their buffers.
    private static let readerBytes = 1 << 20

    fileprivate init(
        _ draft: ModelFile, for file: ModelFile, _ model: ExecutorOptions, texts: Int
    ) throws(LeafError) {
        guard draft.configuration.vocabSize == file.configuration.vocabSize else {
            throw LeafError(
                .usage,
                "\(draft.leaf.path) has \(draft.configuration.vocabSize) tokens and \(file.leaf.path) "
                    + "\(file.configuration.vocabSize); a draft needs the vocabulary of its model")
        }
        self.file = draft
        sharesCache = draft.isCopy(of: file)
        let longer = max(0, draft.configuration.promptLength - file.configuration.promptLength)
        var capacity = model.capacity
        capacity.longest +|= Drafting.branchPages *| Demand.pageKeys
        if sharesCache {
            self.texts = texts
            capacity.logitRows = texts * ModelDrafts.mostWide
            capacity.firstRows = capacity.logitRows
            capacity.stepRows = capacity.logitRows
        } else {
            // Each text reads the prompt by itself, on a pass of its own if need be.
            self.texts = max(1, capacity.sequences)
            capacity.longest +|= longer
            capacity.firstRows = max(capacity.rows, capacity.longest)
            capacity.logitRows = max(self.texts, texts * ModelDrafts.mostWide)
            capacity.stepRows = capacity.logitRows
            let pages = Demand.pages(holding: capacity.longest)
            capacity.pages = (pages *| self.texts)
        }
        executor = ExecutorOptions(
            capacity: capacity, threads: model.threads, activations: model.activations,
            kv: sharesCache ? model.kv : (draft.leaf.weights.isQuantized ? .f16 : .f32),
            tuning: sharesCache ? model.tuning : ModelTuning())
    }

    /// Makes an executor of the draft.
    ///
    /// - Parameters:
    ///   - model: the one that it drafts for.
    ///   - pool: the model's, which rests while something drafts.
    func executor(
        beside model: Executor, _ pool: ComputePool, _ reading: ReadingOptions, system: SystemCalls
    ) throws(LeafError) -> Executor {
        // A mirror is a copy of the model, not of its draft.
        var reading = reading
        reading.mirror = nil
        let store = try BlockStore(
            file: file.leaf, plan: try plan(), reading: reading, consumers: executor.threads, system: system)
        return try CPMAnt.executor(
            of: file.ant, store: store, pool: pool, executor, sharing: sharesCache ? model.cache : nil)
    }

    /// Everything of the model in memory.
    func plan() throws(LeafError) -> MemoryPlan {
        try MemoryPlan(
            budget: .max, chunks: file.leaf.chunks,
            reserved: CPMAnt.parts(file.ant, executor, sharesCache: sharesCache) + [
                MemoryPlan.Part(.tables, file.allowance.held - MemoryPlan.runtimeBytes),
                MemoryPlan.Part(.runtime, Self.readerBytes),
            ])
    }
}

extension ModelFile {
    /// Whether this is the other model with other weights: what one has put into the cache means the same to the other.
    func isCopy(of model: ModelFile) -> Bool {
        let origin = leaf.metadata[LeafMetadata.Key.copiedModel]?.split(separator: " ").first
        return origin == Substring(model.leaf.digest) && shapeOnly == model.shapeOnly
    }

    private var shapeOnly: ModelConfiguration {
        var configuration = configuration
        configuration.isScaleFolded = true
        return configuration
    }
}
