package import LeafTokenizer

/// The text of one sequence as its tokens arrive: whole characters, without any part of a stop string.
package struct TextStream: Sendable {
    private var decoder: StreamingDecoder
    private var matcher: StopMatcher

    package init(vocabulary: Vocabulary, stop: [String] = []) {
        decoder = StreamingDecoder(vocabulary: vocabulary)
        matcher = StopMatcher(stop)
    }

    /// Whether a stop string was found.
    package var hasStopped: Bool { matcher.hasStopped }

    /// The text that is certain after this token.
    package mutating func append(_ id: Int32) -> String {
        matcher.append(decoder.append(id))
    }

    /// The text that was held back, once no more tokens follow.
    package mutating func finish() -> String {
        let rest = matcher.append(decoder.finish())
        return rest + matcher.finish()
    }
}
