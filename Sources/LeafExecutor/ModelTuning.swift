public import LeafFormat

/// Small products beside a model's matrices (LoRA): `y = Lin(x) + scale * ((x A^T) B^T)`.
///
/// A description: the numbers are read when a model is opened with it.
///
/// - Source: CPM-Ant reference, section 7.1. The branch is not divided by `sqrt(fan-in)`.
public struct LowRankAdapter: Sendable {
    /// What stands beside one matrix.
    public struct Factors: Sendable {
        /// Index into the file's matrices.
        public var matrix: Int
        public var rank: Int
        public var scale: Float
        /// Gives `[rank, columns]` and `[rows, rank]`.
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

/// A trained soft prompt that stands behind the rows of the model's own table.
public struct SoftPromptRows: Sendable {
    public var count: Int
    /// Gives `[count, dimModel]`, as they enter the sum of the embeddings.
    public var load: @Sendable () throws(LeafError) -> [Float]

    public init(count: Int, load: @escaping @Sendable () throws(LeafError) -> [Float]) {
        self.count = count
        self.load = load
    }
}

/// What was trained beside a model and is loaded with it.
public struct ModelTuning: Sendable {
    /// Rows name one by its place here.
    public var adapters: [LowRankAdapter]
    /// Their rows are numbered through, behind those of the model's own table.
    public var softPrompts: [SoftPromptRows]

    public init(adapters: [LowRankAdapter] = [], softPrompts: [SoftPromptRows] = []) {
        self.adapters = adapters
        self.softPrompts = softPrompts
    }
}
