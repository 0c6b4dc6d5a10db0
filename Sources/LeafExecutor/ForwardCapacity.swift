/// The sizes of a model's buffers: how much it can compute at once.
public struct ForwardCapacity: Sendable, Equatable {
    /// The most rows of one sweep.
    public var rows: Int
    /// The most rows of one sweep that want logits.
    public var logitRows: Int
    /// The most cached positions of all sequences together, soft prompts included.
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

/// The precision of activations in products with int8 weights.
public enum ActivationPrecision: String, Sendable, CaseIterable {
    case int16, int8
}
