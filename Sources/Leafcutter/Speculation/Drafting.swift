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
        /// For texts of so many tokens, so many of them at once; and for all of them so many tokens that were said.
        case ngrams(limit: Int, texts: Int, shared: Int)
        case model(DraftModel)
        case other(@Sendable () -> any DraftSource)
    }

    private(set) var source: Source
    let fixedCount: Int?
    /// What drafts take of the model's own sweeps and cache.
    private(set) var room: DraftRoom
    /// For people: what drafts, or why nothing does.
    let mode: String
    /// Whether something was to draft for which there is no room.
    var isRefused = false
    /// How often the best guess behind a token is taken to be right, for predictions.
    private(set) var acceptance = DraftAcceptance.assumed(0)
    /// Whether nothing drafts because that would take longer, if guesses are right so often.
    private(set) var isUnprofitable = false
    /// A larger budget with which something drafts; nil where something does, or where none is known.
    private(set) var enough: Enough?

    /// A budget with which something drafts.
    struct Enough {
        let budget: Int
        /// For people: the texts that the model is opened for then.
        let contents: String
    }

    static let off = Drafting(mode: "off")

    /// Nothing drafts, for this reason.
    init(mode: String, isRefused: Bool = false) {
        (source, fixedCount, room) = (.none, nil, .none)
        (self.mode, self.isRefused) = (mode, isRefused)
    }

    /// Drafts of a text for which there is room where nobody says how many.
    private static let usualCount = 16
    /// Tokens of what texts have said that are kept for all of them: 768 KiB.
    private static let sharedTokens = 1 << 16
    /// Texts that draft on the same sweep with all their drafts.
    static let mostTexts = 4

    /// - Parameter executor: the options of the model that is drafted for.
    /// - Throws: `.usage` for a number of drafts that makes no sense, or a model that cannot draft for this one.
    init(_ options: DraftOptions, for file: ModelFile, _ executor: ExecutorOptions) throws(LeafError) {
        if let count = options.fixedCount, !DraftOptions.counts.contains(count) {
            throw LeafError(
                .usage,
                "\(count) drafts are not between \(DraftOptions.counts.lowerBound) and "
                    + "\(DraftOptions.counts.upperBound)")
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
        case _ where !executor.capacity.takesDrafts:
            self = Drafting(
                mode: "off: beams, blanks and transformers-uncached have no drafts", isRefused: !options.isAutomatic)
        // Sums of float weights depend on how many rows there are, and no draft may change a byte.
        case _ where !file.leaf.weights.isQuantized:
            self = Drafting(
                mode: "off: with float weights a draft could change the last bits", isRefused: !options.isAutomatic)
        case .automatic, .ngrams:
            source = .ngrams(
                limit: executor.capacity.longest, texts: executor.capacity.sequences,
                shared: options.sharesNgrams ? Self.sharedTokens : 0)
            // Drafts that nobody asked for take no pages.
            room =
                options.isAutomatic
                ? DraftRoom(rows: count * texts) : Self.room(count, texts, branchPages: Self.ngramBranchPages)
            acceptance = options.acceptance(for: file)
            (fixedCount, mode) = (options.fixedCount, "ngram")
        case .model(let draft):
            fixedCount = options.fixedCount
            let model = try DraftModel(draft, for: file, executor, texts: texts)
            source = .model(model.borrowing(model.leastBorrowed))
            mode = draft.leaf.path
            acceptance = options.acceptance(for: file)
            room = Self.room(count, texts, hasForks: model.sharesCache)
        }
    }

    /// Pages of a text for drafts that stand beside others.
    fileprivate static let branchPages = 2
    /// N-grams miss with a second page what they miss without.
    private static let ngramBranchPages = 1

    /// - Parameters:
    ///   - count: drafts of a text.
    ///   - hasForks: whether each text is forked for whoever drafts.
    ///   - branchPages: of a text for drafts that stand beside others.
    private static func room(
        _ count: Int, _ texts: Int, hasForks: Bool = false, branchPages: Int = Self.branchPages
    ) -> DraftRoom {
        let forkPages = Demand.pages(holding: Demand.pageKeys - 1 + count) + branchPages
        return DraftRoom(
            rows: count * texts, forkPages: hasForks ? texts * forkPages : 0, sequences: hasForks ? texts : 0,
            branchPages: branchPages, textBranchPages: texts * branchPages)
    }

    /// The same with drafts that never stand beside others, and no pages for them.
    var withoutBranches: Drafting {
        var drafting = self
        (drafting.room.branchPages, drafting.room.textBranchPages) = (0, 0)
        return drafting
    }

    var kind: SpeculationFacts.Kind {
        switch source {
        case .none: .off
        case .ngrams: .ngram
        case .model, .other: .model
        }
    }

    /// Whether it is a copy of the model, which helps only where the model itself does not fit.
    var sharesCache: Bool { if case .model(let model) = source { model.sharesCache } else { false } }

    /// The same with a copy that computes so many blocks with the model's own weights, which stay in memory then.
    func borrowing(_ count: Int) -> Drafting {
        guard case .model(let model) = source else { return self }
        var drafting = self
        drafting.source = .model(model.borrowing(count))
        return drafting
    }

    /// What a copy computes with the model's own weights.
    var borrowed: BorrowedBlocks? { if case .model(let model) = source { model.executor.borrowed } else { nil } }

    /// The model's chunks that have to stay in memory, because a copy computes with them as well.
    var lentChunks: [Int] {
        guard let borrowed else { return [] }
        return borrowed.blocks.sorted().flatMap { borrowed.file.blocks[$0].chunks }
    }

    /// Bytes of the model that need not be streamed for each byte more of memory: a copy needs none for blocks that
    /// stay.
    var unreadPerByte: Double {
        guard case .model(let draft) = source, let borrowed = draft.executor.borrowed else { return 1 }
        let share = Double(draft.file.leaf.chunks.paddedBytes) / Double(max(1, borrowed.file.chunks.paddedBytes))
        return share < 1 ? 1 / (1 - share) : 1
    }

    /// Nothing drafts after all, although somebody asked for it, for this reason.
    ///
    /// - Parameters:
    ///   - enough: a budget with which something drafts; nil where none is known.
    ///   - isUnprofitable: whether it would take longer, if guesses are right so often.
    func refused(_ reason: String, enough: Enough?, isUnprofitable: Bool = false) -> Drafting {
        let advice = enough.map { "; for \($0.contents) it drafts with \($0.budget.roundedUpText)" } ?? ""
        var off = Drafting(mode: "off: \(reason)\(advice)", isRefused: true)
        (off.acceptance, off.enough, off.isUnprofitable) = (acceptance, enough, isUnprofitable)
        return off
    }

    /// Nothing drafts after all, which nobody asked for.
    func left(_ reason: String) -> Drafting {
        var off = Drafting(mode: "off: \(reason)")
        off.acceptance = acceptance
        return off
    }

    /// Addresses that reading another file takes, beyond the bytes of its part.
    func readingAddressBytes() throws(LeafError) -> Int {
        guard case .model(let model) = source else { return 0 }
        return try model.plan().readingAddressBytes
    }

    /// - Throws: `.badInput` when the draft lacks a tensor.
    func parts() throws(LeafError) -> [MemoryPlan.Part] {
        switch source {
        case .none, .other: []
        case .ngrams(let limit, let texts, let shared):
            [
                MemoryPlan.Part(
                    .drafts,
                    texts *| NgramDrafts.byteCount(limit: limit) +| SharedNgrams.byteCount(tokens: shared))
            ]
        case .model(let model):
            [
                MemoryPlan.Part(
                    .drafts,
                    try model.plan().total +| ModelDrafts.byteCount(texts: model.texts, drafts: room.rows))
            ]
        }
    }
}

/// A model that drafts for another one: everything of it stays in memory, but what it borrows.
struct DraftModel: Sendable {
    let file: ModelFile
    /// Whether it is a copy of the model with other weights: it reads and writes the model's own cache.
    let sharesCache: Bool
    private(set) var executor: ExecutorOptions
    private let lender: LeafFile
    /// Blocks in the order in which the model lends them: first those behind its layers, then layers that are
    /// spread over the sweep.
    private let lendingOrder: [Int]
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
        lender = file.leaf
        sharesCache = draft.isCopy(of: file)
        let head = file.ant.facts.outputBlock
        lendingOrder = Array(head..<file.leaf.blocks.count) + MemoryPlan.spread(0..<head)
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

    /// The most blocks that a copy can compute with the model's own weights.
    var mostBorrowed: Int { sharesCache ? lendingOrder.count : 0 }
    /// Blocks behind the layers are the same in both files: one of them is enough.
    var leastBorrowed: Int { sharesCache ? lendingOrder.count - file.ant.facts.outputBlock : 0 }

    func borrowing(_ count: Int) -> DraftModel {
        var draft = self
        draft.executor.borrowed = count > 0 ? BorrowedBlocks(of: lender, Set(lendingOrder.prefix(count))) : nil
        return draft
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
            of: file.ant, store: store, pool: pool, executor, sharing: sharesCache ? model.cache : nil,
            borrowingFrom: executor.borrowed == nil ? nil : model)
    }

    /// Everything of the draft in memory, but the blocks that it borrows.
    func plan() throws(LeafError) -> MemoryPlan {
        let borrowed = executor.borrowed?.blocks ?? []
        return try MemoryPlan(
            budget: .max, chunks: file.leaf.chunks,
            leavingOut: Set(borrowed.lazy.flatMap { file.leaf.blocks[$0].chunks }),
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
