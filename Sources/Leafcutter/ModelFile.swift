public import CPMAntShape
public import LeafFormat
public import LeafGeneration
import LeafImport
import LeafStream
public import LeafSystem
public import LeafTokenizer

/// A `.leaf` file whose header and tokenizer have been read: everything about the model except its weights.
public struct ModelFile: Sendable {
    let ant: CPMAntFile
    /// Nil if the file has no vocabulary; such a model takes and gives only ids.
    public let tokenizer: Tokenizer?
    /// Adapters and soft prompts that are loaded with the weights.
    public var tunings = Tunings()
    /// A text of the kind that is going to be written, from which n-grams are drafted.
    var draftCorpus: DraftCorpus?
    /// Where its text lies.
    var draftCorpusPath: String?
    /// The path of such a text that was too large for the budget.
    var unreadCorpus: String?
    /// What reading took of the budget.
    var allowance: HeapAllowance

    /// - Parameter memory: the budget that the model will have: a header or a tokenizer that does not fit it is not
    ///   read.
    /// - Throws: `.io` and `.badInput` when the file cannot be read or is no model, `.budget` when it needs more
    ///   memory.
    public init(path: String, memory: MemoryBudget = .automatic) throws(LeafError) {
        let budget: Int? = if case .bytes(let bytes) = memory { bytes } else { nil }
        do throws(LeafError) {
            try self.init(path: path, readingWithin: budget)
        } catch {
            guard let budget, case .memory(let enough)? = error.advice else { throw error }
            // What would do for one part says nothing of the next.
            guard let whole = try? ModelFile(path: path, toPlanFor: memory),
                whole.allowance.peak.wholeMebibytes > enough
            else { throw error }
            throw LeafError(
                .budget,
                "\(path) needs at least \(whole.allowance.peak.roundedUpText) to be read, where \(budget.sizeText) "
                    + "may be taken",
                advice: .memory(bytes: whole.allowance.peak.wholeMebibytes))
        }
    }

    /// Reads a model for which a plan will be made at once.
    ///
    /// A budget that is too small for header, vocabulary, adapters or a session is refused by the plan, which alone
    /// knows how much would do for everything. So reading them may take a little more than a small budget, if the
    /// machine has it.
    ///
    /// - Parameter readsTokenizer: false for a model that never meets a text.
    package init(path: String, toPlanFor memory: MemoryBudget, readsTokenizer: Bool = true) throws(LeafError) {
        switch memory {
        case .automatic: try self.init(path: path, readingWithin: nil, readsTokenizer: readsTokenizer)
        case .bytes(let bytes):
            let spare = min(Self.readingBytes, Machine.current().defaultBudget)
            try self.init(path: path, readingWithin: max(bytes, spare), readsTokenizer: readsTokenizer)
        }
    }

    /// More than what lies beside the weights of any published model takes.
    private static let readingBytes = 256 << 20

    private init(path: String, readingWithin budget: Int?, readsTokenizer: Bool = true) throws(LeafError) {
        allowance = HeapAllowance(budget: budget, held: MemoryPlan.runtimeBytes)
        ant = try CPMAntFile.open(path: path, &allowance)
        guard readsTokenizer else {
            tokenizer = nil
            return
        }
        let bound = Tokenizer.heapBound(of: ant.leaf)
        try allowance.take(bound, for: "its vocabulary", of: path)
        if let data = try ant.leaf.readTokenizer() {
            let style: Vocabulary.Style = data.dictionary == nil ? .antPlus : .ant
            let segmenter = try data.dictionary.map { (data) throws(LeafError) in try Segmenter(data: data) }
            tokenizer = Tokenizer(
                vocabulary: try Vocabulary(text: data.vocabulary, style: style), segmenter: segmenter)
        } else {
            tokenizer = nil
        }
        allowance.give(back: bound - (tokenizer?.byteCount ?? 0))
    }

    /// Opens an adapter and adds it.
    ///
    /// - Parameters:
    ///   - alpha: nil for the value in the folder's `config.json`, otherwise 16.
    ///   - name: by which requests choose it; nil for those that name none.
    /// - Throws: `.io`, `.badInput`, `.usage` if the name is taken, `.budget` if its table is too large for the memory.
    public mutating func addAdapter(path: String, alpha: Float? = nil, named name: String? = nil) throws(LeafError) {
        try tunings.add(AdapterFile(path: path, alpha: alpha, for: configuration, &allowance), named: name)
    }

    /// Opens a soft prompt and adds it; otherwise as `addAdapter`.
    public mutating func addSoftPrompt(path: String, named name: String? = nil) throws(LeafError) {
        try tunings.add(SoftPromptFile(path: path, for: configuration, &allowance), named: name)
    }

    /// Reads what a session's file holds; nil if there is none yet.
    ///
    /// - Throws: `.io`, and `.badInput` for a file that is damaged or no session, `.budget` if its prompt is too large
    ///   for the memory, `.usage` if it belongs to another model: its ids mean nothing to this one.
    public mutating func contents(of session: Session) throws(LeafError) -> Session.Contents? {
        let contents = try session.contents(&allowance)
        guard let digest = contents?.value(of: "model"), digest != leaf.digest else { return contents }
        throw LeafError(
            .usage, "\(session.path) belongs to another model; give that one, or begin another session")
    }

    /// Describes a published size, with CPM-Ant's tokenizer if it is that model. It is enough to plan with and cannot
    /// be opened as a model.
    public init(preset: ModelPreset, weights: WeightFormat = .int8) throws(LeafError) {
        ant = try CPMAntFile(preset: preset, weights: weights)
        tokenizer = preset == .cpmAntPlus10B ? nil : try Tokenizer.bundled()
        allowance = HeapAllowance(
            budget: nil, held: MemoryPlan.runtimeBytes + ant.leaf.heapBytes + (tokenizer?.byteCount ?? 0))
    }

    public var leaf: LeafFile { ant.leaf }

    /// Where all files lie that it is read from.
    package var paths: [String] {
        [leaf.path] + tunings.adapters.flatMap(\.file.paths) + tunings.softPrompts.map(\.file.path)
            + (draftCorpusPath.map { [$0] } ?? [])
    }
    /// What whoever uses it should know of how its adapters were read.
    package var notes: [String] { tunings.adapters.compactMap(\.file.note) }
    public var configuration: ModelConfiguration { ant.configuration }
    /// Each parameter counted once.
    package var parameterCount: Int { ant.shape.parameterCount }

    /// - Throws: `.usage` when the model has no vocabulary.
    public func requireTokenizer() throws(LeafError) -> Tokenizer {
        guard let tokenizer else {
            throw LeafError(
                .usage, "\(leaf.path) holds no vocabulary; give ids, or make it again with a vocabulary")
        }
        return tokenizer
    }
}
