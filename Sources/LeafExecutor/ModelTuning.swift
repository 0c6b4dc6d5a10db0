public import LeafSystem

/// Small products beside a model's matrices (LoRA): `y = Lin(x) + scale * ((x A^T) B^T)`.
///
/// This is a description. Opening a model with it reads the numbers.
///
/// - Source: CPM-Ant reference, section 7.1. The branch is not divided by `sqrt(fan-in)`.
public struct LowRankAdapter: Sendable {
    /// The two factors beside one matrix.
    public struct Factors: Sendable {
        /// Index into the file's matrices.
        public var matrix: Int
        public var rank: Int
        public var scale: Float
        /// Loads `[rank, columns]` and `[outputs, rank]`.
        public var load: @Sendable () throws(LeafError) -> (a: [Float], b: [Float])

        public init(
            matrix: Int, rank: Int, scale: Float,
            load: @escaping @Sendable () throws(LeafError) -> (a: [Float], b: [Float])
        ) {
            self.matrix = matrix
            self.rank = rank
            self.scale = scale
            self.load = load
        }
    }

    public var factors: [Factors]

    public init(factors: [Factors]) {
        self.factors = factors
    }
}

/// A trained soft prompt, whose rows follow those of the model's own table.
public struct SoftPromptRows: Sendable {
    public var count: Int
    /// Loads `[count, dimModel]`, scaled as the sum of the embeddings needs it.
    public var load: @Sendable () throws(LeafError) -> [Float]

    public init(count: Int, load: @escaping @Sendable () throws(LeafError) -> [Float]) {
        self.count = count
        self.load = load
    }
}

/// The adapters and soft prompts that are loaded with a model.
public struct ModelTuning: Sendable {
    /// Adapters; a row names one by its index here.
    public var adapters: [LowRankAdapter]
    /// Soft prompts. Their rows have consecutive numbers that follow the model's own table.
    public var softPrompts: [SoftPromptRows]

    public init(adapters: [LowRankAdapter] = [], softPrompts: [SoftPromptRows] = []) {
        self.adapters = adapters
        self.softPrompts = softPrompts
    }
}
