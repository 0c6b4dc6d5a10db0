/// How much a model must be able to do at once: what its buffers are sized for, once.
public struct ForwardCapacity: Sendable, Equatable {
    /// Rows of one sweep.
    public var rows: Int
    /// Rows of one sweep that want logits.
    public var logitRows: Int
    /// Cached positions of all sequences together, soft prompts included.
    public var positions: Int
    /// Of these, those of the longest sequence.
    public var longest: Int
    public var sequences: Int
    public var threads: Int

    /// - Parameter longest: nil for all positions.
    public init(
        rows: Int, logitRows: Int, positions: Int, longest: Int? = nil, sequences: Int = 1, threads: Int
    ) {
        self.rows = rows
        self.logitRows = logitRows
        self.positions = positions
        self.longest = min(longest ?? positions, positions)
        self.sequences = sequences
        self.threads = threads
    }
}

/// The precision in which rows meet int8 weights.
public enum ActivationPrecision: String, Sendable, CaseIterable {
    case int16, int8
}
