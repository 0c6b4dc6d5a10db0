public import LeafTokenizer

/// The text of one sequence as its tokens arrive: whole characters, without any part of a stop string.
public struct TextStream: Sendable {
    private var decoder: StreamingDecoder
    private var matcher: StopMatcher

    public init(vocabulary: Vocabulary, stop: [String] = []) {
        decoder = StreamingDecoder(vocabulary: vocabulary)
        matcher = StopMatcher(stop)
    }

    /// Whether a stop string was found.
    public var hasStopped: Bool { matcher.hasStopped }

    /// The text that is certain after this token.
    public mutating func append(_ id: Int32) -> String {
        matcher.append(decoder.append(id))
    }

    /// The text that was held back, once no more tokens follow.
    public mutating func finish() -> String {
        let rest = matcher.append(decoder.finish())
        return rest + matcher.finish()
    }
}
