import LeafFormat
import LeafSystem

/// Everything that a session was started with. It can be continued only if all of it is the same.
package struct SessionHead: Sendable, Equatable {
    /// One value that decides the text, with the name that users know.
    package struct Field: Sendable, Equatable {
        package enum Name: String, Sendable, CaseIterable {
            case rules, software, model, kv, activations, delta
            case promptEmbedding = "prompt-embedding"
            case decoding, compat, temperature
            case topP = "top-p"
            case topK = "top-k"
            case minP = "min-p"
            case repetitionPenalty = "repetition-penalty"
            case repetitionWindow = "repetition-window"
            case frequencyPenalty = "frequency-penalty"
            case presencePenalty = "presence-penalty"
            case noRepeatNgram = "no-repeat-ngram"
            case logitBias = "logit-bias"
            case allowEmpty = "allow-empty"
            case eosID = "eos-id"
            case stop
            case lengthPenalty = "length-penalty"
            case earlyStopping = "early-stopping"
            case task, segment, logprobs, number
            case maxTokens = "max-tokens"
        }

        package let name: Name
        package let value: String
        /// False for one of a file that is so long that it cannot be the same; it was not read.
        let isRead: Bool

        package init(_ name: Name, _ value: some CustomStringConvertible) {
            self.name = name
            self.value = value.description
            isRead = true
        }

        /// One that is like no other.
        fileprivate init(unread name: Name) {
            self.name = name
            value = ""
            isRead = false
        }
    }

    /// The number of the rules by which texts with these fields go on: everything that makes the bytes of a generation
    /// and is no option.
    ///
    /// Raised when a session that was begun under the old rules could not be finished with the same bytes. 2 are those
    /// of `GumbelNoise`, which sampled texts alone need. 1 is not written, so that files of the first program are those
    /// of this one.
    private static func rules(of fields: [Field]) -> Int { isSampled(fields) ? 2 : 1 }

    private static func isSampled(_ fields: [Field]) -> Bool {
        fields.contains { $0.name == .decoding && $0.value == GenerationOptions.Decoding.sampling.words }
    }

    let fields: [Field]
    let promptIDs: [Int32]
    let seed: UInt64
    /// Tokens of the longest text.
    var tokens = 0

    private static let mostFields = 64
    private static let longestName = 64
    /// The most bytes of one value, and of all together.
    private static let longestValue = 1 << 20
    private static let longestValues = 2 << 20
    private static let longestPrompt = 1 << 20

    /// How much longer a file's value may be than the one that it is compared with, and still be read: for the
    /// sentence that names both.
    private static let moreOfAValue = 256

    /// The most heap bytes of a file's head while it is compared with that of a prompt of so many ids, besides values
    /// as long as the other's own.
    package static func comparedBytes(promptIDs count: Int) -> Int {
        MemoryLayout<Int32>.stride *| (count +| 1) +| 2 * mostFields * moreOfAValue
    }

    init(fields: [Field], promptIDs: [Int32], seed: UInt64) {
        let rules = Self.rules(of: fields)
        self.fields = (rules == 1 ? [] : [Field(.rules, rules)]) + fields
        self.promptIDs = promptIDs
        self.seed = seed
    }

    var contents: Session.Contents {
        Session.Contents(promptIDs: promptIDs, seed: seed, tokens: tokens, fields: fields)
    }

    /// - Parameters:
    ///   - own: the head that this one is to be compared with, of which no more is kept than tells them apart; nil to
    ///     keep all.
    ///   - allowance: has to hold what is kept.
    /// - Throws: `.badInput` for contents that no program writes, `.budget`.
    init(
        _ reader: SessionReader, comparedWith own: SessionHead?, _ allowance: inout HeapAllowance
    ) throws(LeafError) {
        var fields: [Field] = []
        var isKnown = true
        var room = Self.longestValues
        for _ in 0..<(try reader.count(atMost: Self.mostFields)) {
            let name = Field.Name(rawValue: try reader.text(atMost: Self.longestName))
            let count = try reader.count(atMost: min(Self.longestValue, room))
            room -= count
            // One that is there twice would be held twice.
            guard let name, !fields.contains(where: { $0.name == name }) else {
                isKnown = false
                try reader.skip(count)
                continue
            }
            if let own, count > own.bytes(of: name) + Self.moreOfAValue {
                try reader.skip(count)
                fields.append(Field(unread: name))
            } else {
                try allowance.take(2 * count, for: "its options", of: reader.path)
                fields.append(Field(name, try reader.text(count: count)))
                allowance.give(back: count)
            }
        }
        self.fields = fields
        // Other rules may have other fields, and something else behind them.
        try Self.checkRules(fields, of: reader.path)
        guard isKnown else { throw reader.damage }
        let count = try reader.count(atMost: Self.longestPrompt)
        // One more than there should be makes it another prompt.
        let kept = min(count, own.map { $0.promptIDs.count + 1 } ?? count)
        try allowance.take(kept * MemoryLayout<Int32>.stride, for: "its prompt", of: reader.path)
        promptIDs = try reader.ids(count: count, keeping: kept)
        seed = try reader.integer()
        tokens = try reader.count(atMost: Int(Int32.max))
    }

    /// Of a field's value; none for a field that there is not.
    private func bytes(of name: Field.Name) -> Int { fields.first { $0.name == name }?.value.utf8.count ?? 0 }

    private static func checkRules(_ fields: [Field], of path: String) throws(LeafError) {
        func value(_ name: Field.Name) -> String? { fields.first { $0.name == name }?.value }
        let (rules, own) = (value(.rules) ?? "1", Self.rules(of: fields))
        guard rules != "\(own)" else { return }
        let program = value(.software).map { " \($0.prefix(20))" } ?? ""
        throw LeafError(
            .badInput,
            "\(path) is a session by rules \(rules.prefix(20)), saved by Leafcutter\(program); "
                + "this Leafcutter \(isSampled(fields) ? "samples" : "decodes") by rules \(own) alone; "
                + "go on with that one, or begin another session")
    }

    func write(to writer: SessionWriter) throws(LeafError) {
        try writer.append(UInt32(fields.count))
        for field in fields {
            try writer.append(field.name.rawValue)
            try writer.append(field.value)
        }
        try writer.append(promptIDs)
        try writer.append(seed)
        try writer.append(UInt32(tokens))
    }

    /// - Throws: `.usage` for values that a session cannot hold.
    func validate() throws(LeafError) {
        for field in fields where field.value.utf8.count > Self.longestValue {
            throw LeafError(.usage, "\(field.name.rawValue) is too long for a session; at most 1 MiB can be kept")
        }
        guard fields.reduce(0, { $0 + $1.value.utf8.count }) <= Self.longestValues else {
            throw LeafError(.usage, "the options are too long for a session; at most 2 MiB can be kept")
        }
        guard promptIDs.count <= Self.longestPrompt else {
            throw LeafError(
                .usage,
                "the prompt has \(promptIDs.count) tokens, too many for a session; at most a million can be kept")
        }
    }

    /// Finds what keeps a generation with this head from continuing a saved one.
    func differences(from saved: SessionHead) -> SessionDifferences {
        var differences = SessionDifferences()
        // The rules decide whether another program can go on, not its version.
        for field in fields where field.name != .software && field.name != .rules {
            let old = saved.fields.first { $0.name == field.name }
            if old != field { differences.add(field, was: old) }
        }
        if promptIDs != saved.promptIDs {
            differences.add(
                promptIDs.starts(with: saved.promptIDs)
                    ? "was begun with a shorter prompt, which the model would read otherwise with more behind it"
                    : "was begun with another prompt",
                "give the same prompt (or none)")
        }
        return differences
    }
}

/// What a run has otherwise than the session that it would go on with.
struct SessionDifferences {
    /// What the session has, and what to do.
    private var facts: [(fact: String, advice: String)] = []
    /// Options as the session has them, and as the run has them.
    private var (saved, own): ([String], [String]) = ([], [])

    mutating func add(_ fact: String, _ advice: String) { facts.append((fact, advice)) }

    /// - Parameter old: nil for an option that the session does not have.
    mutating func add(_ field: SessionHead.Field, was old: SessionHead.Field?) {
        switch field.name {
        case .model: add("belongs to another model", "give that one")
        case .delta: add("was begun with another adapter, or none", "give the same adapter")
        case .promptEmbedding: add("was begun with another soft prompt, or none", "give the same soft prompt")
        default:
            saved.append(old?.sentence ?? "no \(field.name.rawValue)")
            own.append(field.sentence)
        }
    }

    /// - Throws: `.usage` naming all of them, if there are any.
    func check(_ path: String) throws(LeafError) {
        var all = facts
        if !saved.isEmpty {
            all.append(
                (
                    "was begun with \(saved.joined(separator: ", ")), this run has \(own.joined(separator: ", "))",
                    "give the same options"
                ))
        }
        guard !all.isEmpty else { return }
        throw LeafError(
            .usage,
            "\(path) \(all.map(\.fact).joined(separator: ", and ")); \(all.map(\.advice).joined(separator: ", ")), "
                + "or begin another session")
    }
}

extension SessionHead.Field {
    /// The value for people. Files hold the way of decoding as it was once typed.
    var words: String { name == .decoding ? String(value.drop { $0 == "-" }) : value }

    /// The name and the value, where the value does not speak for itself.
    fileprivate var sentence: String {
        guard isRead else { return "another \(name.rawValue)" }
        return name == .decoding ? words : "\(name.rawValue) \(words)"
    }
}

extension GenerationRequest {
    /// All values of the request that decide its texts, without the prompt, the seed, and a length that only ends them.
    var sessionFields: [SessionHead.Field] {
        let options = options
        let bias = options.logitBias.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var fields: [SessionHead.Field] = [
            .init(.decoding, options.decoding.words), .init(.compat, options.compatibility.rawValue),
            .init(.temperature, options.temperature),
            .init(.topP, options.topP), .init(.topK, options.topK), .init(.minP, options.minP),
            .init(.repetitionPenalty, options.repetitionPenalty),
            .init(.repetitionWindow, options.repetitionWindow.map { "\($0)" } ?? "all"),
            .init(.frequencyPenalty, options.frequencyPenalty), .init(.presencePenalty, options.presencePenalty),
            .init(.noRepeatNgram, options.noRepeatNgram), .init(.logitBias, bias.joined(separator: " ")),
            .init(.allowEmpty, options.allowsEmpty), .init(.eosID, options.eosID), .init(.stop, options.stop),
            .init(.lengthPenalty, options.lengthPenalty), .init(.earlyStopping, options.earlyStopping),
            .init(.task, options.task),
            .init(.segment, options.segment), .init(.logprobs, options.logprobs.map { "\($0)" } ?? "none"),
            .init(.number, samples),
        ]
        // With beams the length changes the search itself.
        if case .beams = options.decoding { fields.append(.init(.maxTokens, options.maxTokens)) }
        return fields
    }
}

extension GenerationOptions.Decoding {
    /// As files hold it.
    fileprivate var words: String {
        switch self {
        case .greedy: "--" + "greedy"
        case .sampling: "sampling"
        case .beams(let width): "--" + "beams \(width)"
        }
    }
}
