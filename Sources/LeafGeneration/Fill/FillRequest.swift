public import CPMAntShape
public import LeafExecutor
public import LeafSystem

/// A text with blanks, and how to fill them.
///
/// - Source: CPM-Ant reference, section 5.5; Documentation/infilling.md says what is computed, and when.
public struct FillRequest: Sendable {
    /// Missing tokens in a text.
    public struct Blank: Sendable, Equatable {
        /// The number of context tokens before it.
        public var position: Int
        /// The number of its tokens; nil for the best number.
        public var length: Int?

        public init(position: Int, length: Int?) {
            self.position = position
            self.length = length
        }
    }

    /// Possible lengths of a blank.
    public static let lengths = 1...4096
    /// Possible values of `longest`.
    public static let openLengths = 1...256
    /// The usual value of `longest`.
    public static let usualLongest = 8
    /// Possible numbers of blanks in a text.
    public static let blankCounts = 1...256

    /// The text without its blanks, between `<s>` and `</s>`, as in training.
    public var context: PromptRows
    /// The blanks, from left to right.
    public var blanks: [Blank]
    /// The most tokens of a blank without a length.
    public var longest: Int
    /// How to choose tokens. Options that end a text have no effect, because only its length ends a blank.
    public var options: GenerationOptions

    public init(
        context: PromptRows, blanks: [Blank], longest: Int = Self.usualLongest, options: GenerationOptions = .filling
    ) {
        self.context = context
        self.blanks = blanks
        self.longest = longest
        self.options = options
    }

    /// - Throws: `.usage` if the request is invalid for this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try options.validate(for: configuration)
        try context.validate(for: configuration)
        guard options.compatibility == .cpmLive else {
            throw LeafError(
                .usage, "compat \(options.compatibility.rawValue) has no blanks; take cpm-live", field: "compat")
        }
        guard options.stop.isEmpty else {
            throw LeafError(.usage, "a blank ends by its length; leave the stop strings out", field: "stop")
        }
        guard !blanks.isEmpty else {
            throw LeafError(
                .usage, "the text has no blank; write <blank:3> where three tokens are missing, or <blank>",
                field: "text")
        }
        guard Self.blankCounts.contains(blanks.count) else {
            throw LeafError(
                .usage, "\(blanks.count) blanks are more than \(Self.blankCounts.upperBound); cut the text",
                field: "text")
        }
        guard Self.openLengths.contains(longest) else {
            throw LeafError(
                .usage, "a longest blank of \(longest) tokens is not between 1 and \(Self.openLengths.upperBound)",
                field: "max_blank")
        }
        var earliest = 1
        for blank in blanks {
            guard blank.position >= earliest, blank.position <= context.ids.count else {
                throw LeafError(.usage, "a blank stands at \(blank.position), not behind <s> and the blanks before it")
            }
            earliest = blank.position
            if let length = blank.length, !Self.lengths.contains(length) {
                throw LeafError(
                    .usage, "a blank of \(length) tokens is not between 1 and \(Self.lengths.upperBound)",
                    field: "text")
            }
        }
    }

    /// The blanks that can be filled after the first `known` ones without computing the context again: the next one,
    /// whose lengths are tried if it is open, and the blanks of a given length after it.
    func stage(after known: Int) -> Range<Int> {
        known..<(blanks[(known + 1)...].firstIndex { $0.length == nil } ?? blanks.count)
    }

    /// The lengths to try for a blank.
    func lengths(of blank: Int) -> ClosedRange<Int> { blanks[blank].length.map { $0...$0 } ?? 1...longest }

    /// The length that open blanks have while those to their left are filled.
    private var meanwhile: Int { (longest + 1) / 2 }

    /// The text with definite lengths: those of the known blanks, `length` for the next blank, and those of the rest.
    func layout(known: [Int], length: Int) -> FillLayout {
        let rest = blanks[(known.count + 1)...].map { $0.length ?? meanwhile }
        return FillLayout(self, lengths: known + [length] + rest, wanted: stage(after: known.count))
    }

    /// What each of the texts that are tried can come to need of a model: those of one stage are tried together. None
    /// for a request that `validate` refuses.
    public func demands(in configuration: ModelConfiguration) -> [Demand] {
        guard (try? validate(for: configuration)) != nil else { return [] }
        var (demands, known): ([Demand], [Int]) = ([], [])
        while known.count < blanks.count {
            let layouts = lengths(of: known.count).map { layout(known: known, length: $0) }
            demands += layouts.map { $0.demand(in: configuration) }
            guard let last = layouts.last else { break }
            known = Array(last.lengths[..<last.wanted.upperBound])
        }
        return demands
    }

    /// The number of sequences at the same time, if there is capacity for them.
    public var sequences: Int {
        let lengths = blanks.contains { $0.length == nil } ? max(1, longest) : 1
        return lengths *| options.width(samples: 1)
    }
}

extension GenerationOptions {
    /// Options with the soft prompt and the segment that were trained on blanks, and the most likely token each time.
    public static var filling: GenerationOptions { GenerationOptions(decoding: .greedy, task: 1, segment: 1) }
}
