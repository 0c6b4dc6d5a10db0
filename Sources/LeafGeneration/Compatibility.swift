import CPMAntShape

/// The implementation whose rules generation follows, where the two implementations of CPM-Ant differ.
public enum Compatibility: String, Sendable, CaseIterable {
    /// The original. Rules look only at generated tokens, the first token is neither the end nor a line break, and beam
    /// search gives up to one token more than requested.
    case cpmLive = "cpm-live"
    /// Hugging Face transformers. Rules also look at the prompt, and in beam search at log-probabilities. No first
    /// token is forbidden. Id 0 is padding even inside a text.
    case transformers
    /// transformers before 5.23: the soft-prompt rows follow the vocabulary as tokens.
    case transformersRaw = "transformers-raw"
    /// transformers with `use_cache` off: each step computes the whole text again and lets every position see all of
    /// it, which gives other texts. A sweep has as many rows as the text has tokens.
    case transformersUncached = "transformers-uncached"

    var countsPrompt: Bool { self != .cpmLive }
    var zeroIsPadding: Bool { self != .cpmLive }

    /// The number of ids that can be generated.
    func tokenCount(in configuration: ModelConfiguration) -> Int {
        configuration.vocabSize + (self == .transformersRaw ? configuration.promptRows : 0)
    }
}
