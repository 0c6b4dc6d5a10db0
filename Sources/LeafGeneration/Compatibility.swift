import CPMAntShape
import LeafFormat

/// Whose way of generating is followed where the two implementations of CPM-Ant differ.
public enum Compatibility: String, Sendable, CaseIterable {
    /// The original: rules look at generated tokens alone, the first token is neither the end nor a line break, and beam
    /// search gives up to one token more than was asked for.
    case cpmLive = "cpm-live"
    /// Hugging Face transformers: rules look at the prompt too, in beam search at log-probabilities, nothing is forbidden
    /// at first, and id 0 is padding even inside a text.
    case transformers
    /// transformers before 5.23: the rows of soft prompts count as tokens behind the vocabulary.
    case transformersRaw = "transformers-raw"
    /// transformers with `use_cache` off: each step computes the whole text anew and lets all of it see all of it, which
    /// gives other texts. A sweep has as many rows as the text has tokens.
    case transformersUncached = "transformers-uncached"

    var countsPrompt: Bool { self != .cpmLive }
    var zeroIsPadding: Bool { self != .cpmLive }

    /// Ids below it can be generated.
    func tokenCount(in configuration: ModelConfiguration) -> Int {
        configuration.vocabSize + (self == .transformersRaw ? configuration.promptRows : 0)
    }
}
