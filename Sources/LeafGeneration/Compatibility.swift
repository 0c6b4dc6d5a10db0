/// Whose way of generating is followed where the two implementations of CPM-Ant differ.
public enum Compatibility: String, Sendable, CaseIterable {
    /// The original: rules look at generated tokens alone, the first token is neither the end nor a line break, and beam
    /// search gives up to one token more than was asked for.
    case cpmLive = "cpm-live"
    /// Hugging Face transformers: rules look at the prompt too, in beam search at log-probabilities, and nothing is
    /// forbidden at first.
    case transformers
    /// transformers before 5.23: the rows of soft prompts count as tokens behind the vocabulary.
    case transformersRaw = "transformers-raw"

    var countsPrompt: Bool { self != .cpmLive }
}
