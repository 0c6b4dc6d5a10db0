import LeafFormat
import LeafGeneration
public import LeafSystem

/// How often a draft was right for the models that it has drafted for, in a small file beside it: counts, so that what
/// comes later is added.
public struct KeptAcceptance: Sendable, Equatable {
    /// What came of one draft for one model, both named by their digests.
    private struct Record: Sendable, Equatable, Decodable {
        let model: String
        let draft: String
        var trees: Int
        var levels: Int
        var drafts: Int
        var accepted: Int

        /// One that takes as many bytes as any.
        static var largest: Record {
            Record(
                model: String(repeating: "f", count: 16), draft: String(repeating: "f", count: 16),
                trees: KeptAcceptance.mostCounted,
                levels: KeptAcceptance.mostCounted, drafts: KeptAcceptance.mostCounted,
                accepted: KeptAcceptance.mostCounted)
        }

        var isSound: Bool {
            !model.isEmpty && model.utf8.count <= 64 && draft.utf8.count <= 64 && 0 <= accepted && accepted <= levels
                && levels <= drafts && 0 <= trees && max(trees, drafts) <= KeptAcceptance.mostCounted
        }
    }

    private struct Contents: Decodable {
        let acceptance: [Record]
    }

    /// Models of a file at most; the one that was longest without news goes.
    private static let mostRecords = 32
    private static let mostBytes = 16 << 10
    /// Beyond it all counts are halved, so that what is new goes on to count.
    private static let mostCounted = 1 << 20
    /// Fewer drafts say nothing.
    private static let leastLevels = 64
    /// How long to wait for other runs that write it.
    package static let patience: Duration = .seconds(5)
    /// A draft that was never wrong may be wrong all the same.
    private static let mostAcceptance = 0.98

    private let path: String
    private var records: [Record] = []

    public static func path(beside draft: String) -> String {
        OutputTarget.Companion.acceptance.path(of: draft)
    }

    /// Finds what would keep `update` from its work, before there is any: writes what it would write at most, beside
    /// what is kept, and removes it.
    ///
    /// - Throws: as `update`.
    package static func check(beside draft: String) throws(LeafError) {
        let file = try file(beside: draft, patience: patience)
        var kept = try KeptAcceptance(beside: draft)
        kept.records.append(.largest)
        try file.append(kept.line)
        try file.flush()
    }

    /// Changes what is kept, and loses nothing of what other runs add at the same time.
    ///
    /// - Parameter patience: how long to wait for them.
    /// - Throws: `.io` if the file cannot be written or others go on writing it, `.badInput` for a file that is
    ///   something else, `.usage` if one would be lost.
    package static func update(
        beside draft: String, patience: Duration = KeptAcceptance.patience, _ change: (inout KeptAcceptance) -> Void
    ) throws(LeafError) {
        let file = try file(beside: draft, patience: patience)
        // Nobody else writes it from here on.
        var kept = try KeptAcceptance(beside: draft)
        change(&kept)
        try file.append(kept.line)
        try file.finish(isDurable: true)
    }

    /// Opens the new file, and keeps other runs away from it.
    private static func file(beside draft: String, patience: Duration) throws(LeafError) -> UnfinishedFile {
        let path = path(beside: draft)
        guard FilePath.identity(of: path, followsLinks: true)?.isRegular != false else {
            throw LeafError(.usage, "\(path) is not a regular file; remove it, and what is kept begins anew")
        }
        return try UnfinishedFile(
            path: path, patience: patience, ownHead: Array(#"{"acceptance":["#.utf8), isCancelled: { false })
    }

    /// Reads what is kept; nothing where there is no file yet.
    ///
    /// - Throws: `.io`, `.badInput` for a file that is something else.
    public init(beside draft: String) throws(LeafError) {
        path = Self.path(beside: draft)
        guard FilePath.exists(path) else { return }
        do throws(LeafError) {
            records = try InputFile(path: path).json(
                Contents.self, atMost: Self.mostBytes, what: "a record of drafts"
            ).acceptance
        } catch {
            throw LeafError(error.kind, "\(error.description); remove it, and what is kept begins anew")
        }
        guard records.count <= Self.mostRecords, records.allSatisfy(\.isSound) else {
            throw LeafError(
                .badInput, "\(path) holds counts that no run has written; remove it, and what is kept begins anew")
        }
    }

    /// The chance that the best guess behind a token is right.
    ///
    /// - Parameter careful: the chance where nothing or too little is known.
    func acceptance(of draft: ModelFile, for model: ModelFile, orElse careful: Double) -> DraftAcceptance {
        if let acceptance = acceptance(of: draft, for: model) { return acceptance }
        guard !records.isEmpty else { return .assumed(careful) }
        let guesses = record(of: draft, for: model)?.levels ?? 0
        return .begun(careful, guesses: guesses, needed: Self.leastLevels, file: path)
    }

    /// The chance that the best guess behind a token is right; nil where too little is known.
    public func acceptance(of draft: ModelFile, for model: ModelFile) -> DraftAcceptance? {
        guard let record = record(of: draft, for: model), record.levels >= Self.leastLevels else { return nil }
        let chance = Self.acceptance(
            trees: record.trees, drafts: record.drafts, accepted: record.accepted,
            areChains: record.drafts == record.levels)
        return .kept(chance, guesses: record.levels, file: path)
    }

    private func record(of draft: ModelFile, for model: ModelFile) -> Record? {
        records.first { $0.model == model.leaf.digest && $0.draft == draft.leaf.digest }
    }

    /// Adds what came of drafts.
    ///
    /// - Parameters:
    ///   - trees: that were checked.
    ///   - levels: the lengths of their longest paths together.
    ///   - drafts: their nodes.
    ///   - accepted: how many of these tokens came true.
    public mutating func add(
        of draft: ModelFile, for model: ModelFile, trees: Int, levels: Int, drafts: Int, accepted: Int
    ) {
        var record = Record(
            model: model.leaf.digest, draft: draft.leaf.digest, trees: max(0, trees), levels: max(0, levels),
            drafts: max(0, levels, drafts), accepted: min(max(0, accepted), max(0, levels)))
        if let index = records.firstIndex(where: { $0.model == record.model && $0.draft == record.draft }) {
            let old = records.remove(at: index)
            record.trees +|= old.trees
            record.levels +|= old.levels
            record.drafts +|= old.drafts
            record.accepted +|= old.accepted
        }
        while max(record.trees, record.drafts) > Self.mostCounted {
            record.trees /= 2
            record.levels /= 2
            record.drafts /= 2
            record.accepted /= 2
        }
        records.insert(record, at: 0)
        records = Array(records.prefix(Self.mostRecords))
    }

    /// What the file holds.
    private var line: String {
        let lines = records.map { record in
            JSON.object([
                ("model", .string(record.model)), ("draft", .string(record.draft)),
                ("trees", .integer(record.trees)), ("levels", .integer(record.levels)),
                ("drafts", .integer(record.drafts)), ("accepted", .integer(record.accepted)),
            ])
        }
        return JSON.object([("acceptance", .array(lines))]).line + "\n"
    }

    /// The chance of a best guess with which trees of so many nodes give as many right ones as were right.
    package static func acceptance(trees: Int, drafts: Int, accepted: Int, areChains: Bool) -> Double {
        let size = min(Double(drafts) / Double(max(1, trees)), Double(Speculation.mostDrafts))
        let right = Double(accepted) / Double(max(1, trees))
        let whole = Int(size)
        /// Of a tree whose nodes need not be a whole number, the last one counts as its part of one.
        func expected(_ chance: Double) -> Double {
            let odds = DraftOdds(
                acceptance: chance, width: areChains ? 1 : ModelDrafts.mostWide, count: whole + 1)
            let (fewer, more) = (odds.tokens(drafts: whole), odds.tokens(drafts: whole + 1))
            return fewer + (more - fewer) * (size - Double(whole)) - 1
        }
        var (low, high) = (0.0, mostAcceptance)
        for _ in 0..<40 {
            let middle = (low + high) / 2
            if expected(middle) < right { low = middle } else { high = middle }
        }
        return high
    }
}
