public import LeafTokenizer

/// The text of one sequence as its tokens come: whole characters, and nothing of a stop string.
public struct TextStream: Sendable {
    private var decoder: StreamingDecoder
    private var matcher: StopMatcher

    public init(vocabulary: Vocabulary, stop: [String] = []) {
        decoder = StreamingDecoder(vocabulary: vocabulary)
        matcher = StopMatcher(stop)
    }

    /// Whether a stop string was met.
    public var hasStopped: Bool { matcher.hasStopped }

    /// The text that is certain once `id` has come.
    public mutating func append(_ id: Int32) -> String {
        matcher.append(decoder.append(id))
    }

    /// What was held back, once no more tokens come.
    public mutating func finish() -> String {
        let rest = matcher.append(decoder.finish())
        return rest + matcher.finish()
    }
}
